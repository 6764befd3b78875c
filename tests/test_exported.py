"""Exported programs as targets and as answers: the rows of a .pt2 file are those of the model in Python."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path

import exported_models
import pytest
import torch
from exported_models import INPUTS
from helpers import trace_target
from test_contract import ENVELOPE

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.analyses.compare import compare
from alexnet_cli.models.catalogue import variants
from alexnet_cli.targets import exported
from alexnet_cli.targets.exported.operators import dtype_of
from alexnet_cli.targets.exported.schema import DTYPES

FILE = exported_models.__file__
OLDER = torch.__version__ < "2.8"  # compares as versions, not as text
NETS = sorted(name for name in INPUTS if name != "Tied" or not OLDER)
"""An archive of an older torch does not tell which weights are one."""

needs_archive = pytest.mark.skipif(OLDER, reason="torch.export.save writes archives of many entries as of torch 2.8")


def saved(path, model, args, kwargs=None, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own LSTM
        torch.export.save(torch.export.export(model.eval(), args, kwargs, strict=False, **how), path)
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file for each network, as torch.export writes it; the AlexNets are on meta, and so without weights."""
    folder, found = tmp_path_factory.mktemp("exported"), {}
    for name, shape in INPUTS.items():
        sizes = [int(size) for size in shape.partition(":")[0].split(",")]
        x = torch.zeros(1, *sizes, dtype=torch.int64 if "int" in shape else torch.float32)
        found[name] = saved(folder / f"{name}.pt2", getattr(exported_models, name)(), (x,))
    with torch.device("meta"):
        for name, variant in variants().items():
            found[name] = saved(folder / f"{name}.pt2", variant.build(), (torch.zeros(1, *variant.input),))
    return {**found, "folder": folder}


@pytest.mark.parametrize("name", sorted(variants()))
def test_the_four_alexnets_are_the_same_by_python_and_by_file(name, files):
    comparison = compare([trace_target(name), trace_target(files[name])])
    assert {layer.change for layer in comparison.layers} == {"same"}
    python, file = comparison.subjects
    assert (python.totals, python.model.class_name) == (file.totals, file.model.class_name)


@pytest.mark.parametrize("name", NETS)
def test_parameters_and_macs_of_every_layer(name, files):
    python = inspect(f"{FILE}:{name}", input_size=INPUTS[name]).report
    file = inspect(files[name]).report
    for total in ("params", "trainable_params", "param_bytes", "buffers", "macs", "unused_modules"):
        assert getattr(file.totals, total) == getattr(python.totals, total), total
    by_path = {(row.path, row.call): row for row in file.layers}
    for row in python.layers:
        other = by_path.get((row.path, row.call))
        if other is None:
            assert row.type == "Identity"  # it leaves no operator
            continue
        seen = (other.type, other.family, other.params, other.macs, other.output_shapes, other.reuses)
        assert seen == (row.type, row.family, row.params, row.macs, row.output_shapes, row.reuses)


def test_what_an_export_changes_is_told_by_compare(files):
    changed = {name: [] for name in INPUTS.keys() - set(NETS)}
    for name in NETS:
        reports = [inspect(f"{FILE}:{name}", input_size=INPUTS[name]).report, inspect(files[name]).report]
        rows = [row for row in compare(reports).layers if row.change != "same"]
        changed[name] = [(row.type, row.change, sorted(row.differences)) for row in rows]
    attention = ("MultiheadAttention", "changed", ["dropout"])  # it leaves no trace in evaluation
    assert changed == {
        "ResNet": [],
        "Tagger": [],
        "ViT": [attention, attention],
        "Layers": [("Identity", "removed", [])],
        "Tied": [],
    }


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch 2.9's own reading
def test_the_file_holds_what_torch_says_it_holds(files):
    for name in NETS:
        program = torch.export.load(files[name])
        distinct = {parameter.data_ptr(): parameter for parameter in program.parameters()}
        expected = sum(parameter.numel() for parameter in distinct.values())  # shared ones once
        assert inspect(files[name]).report.totals.params == expected, name


def test_a_small_llama_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=200,
        use_cache=False,
    )
    model, ids = transformers.LlamaForCausalLM(config).eval(), torch.zeros(1, 16, dtype=torch.int64)
    look = inspect(model, kwargs={"input_ids": ids})
    look.export(tmp_path / "llama.pt2")
    file = inspect(tmp_path / "llama.pt2").report
    assert (file.totals.params, file.totals.macs) == (look.report.totals.params, look.report.totals.macs)
    layers = 2 * (64 * (64 + 2 * 32 + 64) + 3 * 64 * 128)  # q, k, v, o and the three of the MLP
    attention = 2 * 4 * 2 * 16 * 16 * 16  # layers, heads, products, 16 tokens by 16 tokens by 16 numbers
    assert file.totals.macs == 16 * (layers + 64 * 200) + attention


def test_nothing_is_read_but_the_program(files, tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        pytest.fail("a loader of torch was called")

    for owner, name in ((torch, "load"), (torch.export, "load")):
        monkeypatch.setattr(owner, name, refused)
    assert inspect(files["ResNet"]).report.totals.params == 19_994


def test_dynamic_dimensions_are_told_with_their_ranges(tmp_path):
    model, x = exported_models.ResNet(), torch.zeros(4, 3, 32, 32)
    batch = torch.export.Dim("batch", min=3, max=64)
    file = saved(tmp_path / "net.pt2", model, (x,), dynamic_shapes=({0: batch},))
    look = inspect(file)
    assert look.report.run.inputs[0].shape == (3, 3, 32, 32)
    assert look.notes == ("the model was made for batches from 3 to 64: it was run with 3, not 1",)
    said = look.report.model.description
    assert "x is s" in said
    assert "×3×32×32 with " + said.partition("x is ")[2].partition("×")[0] + " from 3 to 64" in said
    one, other = (inspect(file, batch_size=size).report for size in (8, 16))
    assert (other.totals.macs, other.run.batch_size) == (2 * one.totals.macs, 16)


def test_a_fixed_batch_is_used_as_it_is(alexnet, tmp_path):
    file = saved(tmp_path / "net.pt2", exported_models.ResNet(), (torch.zeros(2, 3, 32, 32),))
    answer = alexnet("summary", file, "-b", "8", "--json")
    assert answer.json["run"]["batch_size"] == 2
    assert answer.err == "note: the model was made for a batch of 2 only: it was run with 2, not 8\n"
    assert alexnet("summary", file, "-i", "3,32,32", "-b", "2").code == 0
    refused = alexnet("summary", file, "-i", "3,64,64", "-b", "2")
    assert refused.code == 2
    assert "the program takes x as 2×3×32×32, not 2×3×64×64" in refused.err


def test_what_a_fixed_batch_leaves_unknown(alexnet, tmp_path):
    file = saved(tmp_path / "net.pt2", exported_models.ResNet(), (torch.zeros(2, 3, 32, 32),))
    fits = alexnet("memory", file, "--capacity", "1GB", "--json").json["fit"]
    assert (fits["fits"], fits["largest_batch_inference"]) == (True, None)  # that of any other batch is not known
    assert alexnet("summary", file, "--no-batch", "--json").json["run"]["batch_size"] == 2
    swept = alexnet("cost", file, "-b", "2,4")
    assert (swept.code, "the model runs with a batch of 2, not 4" in swept.err) == (2, True)


def test_the_largest_batch_that_fits_is_one_that_the_program_takes(tmp_path, alexnet):
    batch = torch.export.Dim("batch", min=1, max=64)
    x = torch.zeros(2, 3, 32, 32)
    file = saved(tmp_path / "net.pt2", exported_models.ResNet(), (x,), dynamic_shapes=({0: batch},))
    fits = alexnet("memory", file, "--capacity", "100GB", "--json").json["fit"]
    assert (fits["largest_batch_inference"], fits["largest_batch_training"], fits["largest_batch_tried"]) == (
        64,
        64,
        64,
    )


@pytest.mark.parametrize("command", ["cost", "memory", "receptive-field", "explain", "params", "draw"])
def test_commands_answer_as_for_the_model_in_python(command, files, alexnet):
    file, python = (
        alexnet(command, target, *(() if command == "draw" else ("--json",)))
        for target in (files["alexnet-owt"], "alexnet-owt")
    )
    assert file.code == python.code == 0
    if command in ("cost", "receptive-field", "params"):
        assert file.json.get("layers") == python.json.get("layers")
        assert file.json.get("totals") == python.json.get("totals")


def test_arguments_by_name_and_inside_a_dict(tmp_path):
    given = {"mask": torch.ones(2, 3), "more": {"shift": torch.zeros(2, 2)}}
    file = saved(tmp_path / "pair.pt2", exported_models.Pair(), (torch.zeros(2, 4),), given)
    report = inspect(file).report
    assert [(each.name, each.shape) for each in report.run.inputs] == [
        ("x", (2, 4)),
        ("mask", (2, 3)),
        ("more_shift", (2, 2)),
    ]
    assert report.layers[0].output_shapes == ((6,), (2, 2))


def test_on_the_cpu_the_program_runs_with_random_weights(files, alexnet):
    for name in NETS:
        answer = alexnet("summary", files[name], "--device", "cpu", "--json")
        assert answer.code == 0, answer.err
        assert answer.json["totals"]["macs"] == inspect(files[name]).report.totals.macs


def test_a_program_has_one_mode(files):
    notes = inspect(files["ResNet"], train=True).notes
    kept = "an exported program has the mode that it was exported in"
    assert notes == (f"the model cannot be put into train mode, it runs as it was made: {kept}",)


def test_arguments_for_building_do_not_apply(files, alexnet):
    answer = alexnet("summary", files["ResNet"], "--arg", "classes=3")
    assert answer.code == 2
    assert "not to an exported program" in answer.err


@needs_archive
def test_the_layout_of_torch_2_6(files, tmp_path):
    """Its entries are beside each other, and one JSON has the same schema."""
    with zipfile.ZipFile(files["ResNet"]) as archive:
        program = archive.read(next(name for name in archive.namelist() if name.endswith("models/model.json")))
    old = json.loads(program)
    old["schema_version"] = {"major": 8, "minor": 2}
    for node in old["graph_module"]["graph"]["nodes"]:
        node.pop("name", None), node.pop("is_hop_single_tensor_return")
        for given in node["inputs"]:
            given.pop("kind", None)
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("version", "8.2")
        archive.writestr("serialized_exported_program.json", json.dumps(old))
        archive.writestr("serialized_state_dict.pt", b"a pickle that is not read")
    report = inspect(tmp_path / "old.pt2").report
    assert report.totals == inspect(files["ResNet"]).report.totals
    assert report.model.description.endswith("; it does not tell which parameters are shared, so all are counted")


def test_the_numbers_of_dtypes_are_those_of_this_torch():
    from torch._export.serde.schema import ScalarType
    from torch._export.serde.serialize import _SERIALIZE_TO_TORCH_DTYPE

    known = {int(number): dtype for number, dtype in _SERIALIZE_TO_TORCH_DTYPE.items()}
    assert {number: dtype_of(number) for number in DTYPES if number in known} == known
    assert set(known) <= set(DTYPES)
    assert int(ScalarType.FLOAT) == 7


@needs_archive
def test_export_writes_a_file_that_torch_loads(tmp_path, alexnet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.pt2").write_bytes(b"before")
    answer = alexnet("export", f"{FILE}:Tied", "-i", "5:int64", "-o", "net.pt2", "--json")
    assert answer.code == 0, answer.err
    assert list(answer.json) == [*ENVELOPE, "totals", "file"]
    file = answer.json["file"]
    assert list(file) == ["path", "beside", "size_bytes", "totals", "differences", "layers"]
    assert (file["path"], file["size_bytes"]) == ("net.pt2", Path("net.pt2").stat().st_size)
    assert (file["beside"], file["differences"], file["layers"]) == ([], {}, [])
    assert file["totals"]["params"] == answer.json["totals"]["params"] == 10 * 4 + 4 * 4 + 4
    loaded = torch.export.load("net.pt2").module()
    assert loaded(torch.zeros(1, 5, dtype=torch.int64)).shape == (1, 5, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt2"]


def test_export_of_a_live_model_keeps_its_weights(tmp_path):
    model = exported_models.ResNet().eval()
    x = torch.rand(2, 3, 32, 32)
    result = inspect(model, x).export(tmp_path / "net.pt2")
    assert "Read again, the file has the same parameters and MACs." in str(result)
    assert torch.equal(torch.export.load(tmp_path / "net.pt2").module()(x), model(x))


def test_what_torch_cannot_export_is_told_in_its_words(tmp_path, alexnet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.pt2").write_bytes(b"before")
    answer = alexnet("export", f"{FILE}:branching", "-i", "4", "-o", "net.pt2")
    assert answer.code == 4
    assert "branching cannot be exported: " in answer.err
    assert "data-dependent" in answer.err
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alexnet",), "no file was given"),
        (("alexnet", "-o", "net.onx"), "known: .pt2, .onnx"),
        (("alexnet", "-o", "nowhere/net.pt2"), "the folder nowhere is not there"),
        (("report.json", "-o", "net.pt2"), "export needs a model"),
        (("Tied.pt2", "-o", "net.pt2"), "Tied.pt2 is an exported program already, and its weights are not read"),
    ],
)
def test_export_refuses_what_it_cannot_do(arguments, said, files, alexnet, monkeypatch):
    monkeypatch.chdir(files["folder"])
    if "report.json" in arguments:
        assert alexnet("summary", "--json", "-o", "report.json").code == 0
    answer = alexnet("export", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_a_program_that_branches_is_refused(tmp_path, alexnet):
    class Branching(torch.nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))

    answer = alexnet("summary", saved(tmp_path / "net.pt2", Branching(), (torch.ones(2, 3),)))
    assert answer.code == 3
    assert "the program branches or loops by 'cond', which is not followed" in answer.err


def test_a_name_that_ends_in_pt2_is_an_exported_program(alexnet):
    assert exported.is_exported("net.pt2")
    assert not exported.is_exported("net.pt")
    answer = alexnet("summary", "missing.pt2")
    assert (answer.code, answer.err) == (3, "error: file not found: missing.pt2\n")
    with pytest.raises(AlexnetError):
        inspect("missing.pt2")


def test_weights_of_a_program_are_held_against_a_model(files, alexnet):
    """By the names and shapes that the program tells; buffers that the state_dict has not are not among them."""
    answer = alexnet("summary", f"{FILE}:ResNet", "-i", "3,32,32", "--weights", files["ResNet"], "--json")
    assert answer.code == 0, answer.err
    weights = answer.json["weights"]
    assert weights["matched"] == len(exported_models.ResNet().state_dict())
    assert weights["missing"] == weights["unexpected"] == weights["mismatched"] == []


def test_weights_of_another_program(files, alexnet):
    answer = alexnet("summary", f"{FILE}:ResNet", "-i", "3,32,32", "--weights", files["ViT"], "--json")
    assert "patch.weight" in answer.json["weights"]["unexpected"]
    assert "fc.weight" in answer.json["weights"]["missing"]
