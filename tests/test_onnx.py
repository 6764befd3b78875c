"""ONNX files as targets: what torch's exporter writes, held against the model in Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx_models import ANY_LENGTH, BATCH, Recurrent, ResNet, Tokens, Upsampling, ViT, export, llama, quiet, randomised

from alexnet_cli import inspect
from alexnet_cli.models.catalogue import variants

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.skipif(
    torch.__version__ < "2.9",  # compares as versions
    reason="before torch 2.9 its exporter fails on batch norms, and leaves the shapes of recurrent layers unknown",
)

IMAGE = (torch.zeros(2, 3, 32, 32),)
TOKENS = (torch.zeros(2, 7, dtype=torch.int64),)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Export a network once; return the module and the file."""
    folder, known = tmp_path_factory.mktemp("onnx"), {}

    def call(name, make, inputs, **options):
        if name not in known:
            model = randomised(make())
            known[name] = model, export(model, inputs, folder / f"{name}.onnx", **options)
        return known[name]

    return call


def resnet(exported):
    return exported("resnet", ResNet, IMAGE, dynamic_shapes=BATCH)


def vit(exported):
    return exported("vit", ViT, IMAGE, dynamic_shapes=BATCH)


def both(model, file, inputs):
    return inspect(model, *inputs).summary().totals, inspect(file, batch_size=len(inputs[0])).summary().totals


@pytest.mark.parametrize("name", variants())
def test_alexnet(exported, name):
    variant = variants()[name]
    inputs = (torch.zeros(2, *variant.input),)
    python, file = both(*exported(name, variant.build, inputs), inputs)
    assert (file.params, file.macs, file.param_bytes) == (python.params, python.macs, python.param_bytes)
    assert not file.uncounted_ops


@pytest.mark.parametrize(
    ("make", "inputs"),
    [(Recurrent, TOKENS), (Upsampling, (torch.zeros(2, 4, 16, 16),)), (llama, (TOKENS[0][:1],))],
)
def test_parameters_and_macs_are_those_of_the_model(exported, make, inputs):
    if make is llama:
        pytest.importorskip("transformers")
    python, file = both(*exported(make.__name__, make, inputs), inputs)
    assert (file.params, file.macs) == (python.params, python.macs)


def test_a_transformer_with_an_open_batch(exported):
    python, file = both(*vit(exported), IMAGE)
    assert (file.params, file.macs) == (python.params, python.macs)


def test_a_fixed_batch_lets_the_exporter_fold_a_parameter(exported):
    """It writes the class token once for each sample, under a name of its own: no parameter any more."""
    python, file = both(*exported("fixed", ViT, IMAGE), IMAGE)
    assert (file.params, file.macs) == (python.params - 32, python.macs)


def test_folded_batch_norms(exported):
    """A norm of C channels has 2 C parameters; the convolution before it gets a bias of C instead."""
    model, path = resnet(exported)
    python, file = both(model, path, IMAGE)
    channels = 8 + (8 + 8) + (16 + 16)
    assert (file.params, file.macs) == (python.params - 2 * channels + channels, python.macs)
    assert file.buffers == 0
    rows = {row.path: row for row in inspect(path).summary().layers}
    assert (rows["layers.0.conv1"].type, rows["layers.0.conv1"].settings["folded"]) == ("Conv2d", "layers.0.bn1")
    assert "layers.0.bn1" not in rows


def test_equal_weights_are_stored_once(tmp_path):
    """Two layer norms as they are initialised are the same two vectors to the exporter: 16 parameters of 32."""
    model = torch.nn.Sequential(torch.nn.LayerNorm(8), torch.nn.ReLU(), torch.nn.LayerNorm(8)).eval()
    file = inspect(export(model, (torch.zeros(2, 8),), tmp_path / "net.onnx")).summary()
    assert file.totals.params == 16
    assert [row.reuses for row in file.layers if row.type == "LayerNorm"] == [None, "0"]


def test_the_tree_is_that_of_the_model(exported):
    model, path = vit(exported)
    python, file = inspect(model, *IMAGE).summary().layers, inspect(path, batch_size=2).summary().layers
    modules = {row.path: row for row in python if row.kind == "module" and row.family != "dropout"}
    found = {row.path: row for row in file if row.kind == "module"}
    assert list(found) == list(modules)
    for place, row in found.items():
        known = modules[place]
        same = (known.type, known.family, known.params, known.macs, known.depth, known.output_shapes)
        assert (row.type, row.family, row.params, row.macs, row.depth, row.output_shapes) == same


def test_compare_says_what_the_export_changed(exported):
    model, path = resnet(exported)
    from alexnet_cli import compare

    rows = {row.paths: row for row in compare(inspect(model, *IMAGE), inspect(path, batch_size=2)).layers}
    params = {"params": (216, 224), "trainable_params": (216, 224), "param_bytes": (864, 896)}
    assert rows["stem", "stem"].differences == {**params, "bias": (False, True)}
    assert rows["bn", None].change == "removed"
    assert rows["fc", "fc"].change == "same"


def test_options_of_compare_are_for_the_file_too(exported, alexnet, tmp_path):
    _, path = resnet(exported)
    (tmp_path / "net.py").write_text((Path(__file__).parent / "onnx_models.py").read_text())
    answer = alexnet("compare", f"{tmp_path / 'net.py'}:ResNet", path, "-b", "4", "-i", "3,32,32", "--json").json
    assert [side["run"]["batch_size"] for side in answer["subjects"]] == [4, 4]
    assert len({side["totals"]["macs"] for side in answer["subjects"]}) == 1


def test_open_sizes(exported, alexnet):
    _, path = vit(exported)
    one, three = (inspect(path, batch_size=size).summary() for size in (1, 3))
    assert three.run.batch_size == 3
    assert three.totals.macs == 3 * one.totals.macs
    assert alexnet("cost", path, "-b", "1,4", "--json").json["sweep"][1]["totals"]["macs"] == 4 * one.totals.macs


@pytest.fixture(scope="module")
def of_any_length(exported):
    return exported("lengths", Tokens, TOKENS, dynamic_shapes=ANY_LENGTH)


def test_a_size_that_is_not_given_is_not_guessed(of_any_length, alexnet):
    _, path = of_any_length
    answer = alexnet("summary", path, "--json").json
    assert "sizes left open: tokens" in answer["model"]["description"]
    rows = {row["path"]: row for row in answer["layers"]}
    assert (rows["linear"]["macs"], rows["linear"]["output_shapes"]) == (None, [])
    assert [op["paths"] for op in answer["totals"]["uncounted_ops"]] == [["linear"]]
    assert answer["totals"]["params"] == 50 * 8 + 8 * 4 + 4
    refused = alexnet("cost", path)
    assert (refused.code, "are not known" in refused.err) == (2, True)
    assert "give the sizes that it leaves open with --input-size" in refused.err
    assert alexnet("cost", path, "--input-size", "11").code == 0
    assert alexnet("receptive-field", path).code == 2


def test_a_size_can_be_given(of_any_length, alexnet):
    _, path = of_any_length
    answer = alexnet("summary", path, "-i", "11", "-b", "2", "--json").json
    assert answer["totals"]["macs"] == 2 * 11 * 8 * 4
    assert answer["run"]["inputs"][0]["shape"] == [2, 11]
    assert alexnet("summary", path, "-i", "11,3").code == 2
    assert alexnet("summary", path, "-i", "y=11").code == 2


def test_a_fixed_size_stays(exported, alexnet):
    _, path = exported("Recurrent", Recurrent, TOKENS)
    answer = alexnet("summary", path, "-b", "5")
    assert "batch 2" in answer.out
    assert "a batch cannot change" in answer.err
    assert alexnet("summary", path, "-i", "9:int64").code == 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("draw", "layers.1.conv1"),
        ("memory", "A forward without gradients"),
        ("explain", "narrow-and-deep"),
        ("params --by-type", "Conv2d"),
        ("cost --gpu a100", "Minimum time"),
        ("report -o HERE/page.html", ""),
    ],
)
def test_other_commands(exported, alexnet, command, said):
    _, path = resnet(exported)
    name, *options = command.replace("HERE", str(Path(path).parent)).split()
    answer = alexnet(name, path, *options)
    assert answer.code == 0, answer.err
    assert said in answer.out + answer.err


def test_bytes_moved_are_those_of_the_model(exported):
    """The last layers differ where a batch norm was folded; AlexNet has none."""
    variant = variants()["alexnet"]
    inputs = (torch.zeros(2, *variant.input),)
    model, path = exported("alexnet", variant.build, inputs)
    python, file = inspect(model, *inputs).cost(), inspect(path).cost()
    by_path = {row.path: row for row in python.layers if row.family in ("conv", "linear")}
    assert len(by_path) == 8
    for row in file.layers:
        if row.path in by_path:
            known = by_path[row.path]
            assert (row.bytes_read, row.bytes_written, row.macs) == (
                known.bytes_read,
                known.bytes_written,
                known.macs,
            )


@pytest.mark.parametrize("make", ["alexnet", Upsampling])
def test_receptive_fields_are_those_of_the_model(exported, make):
    if make is Upsampling:
        inputs = (torch.zeros(2, 4, 16, 16),)
        model, path = exported("Upsampling", Upsampling, inputs)
    else:
        variant = variants()[make]
        inputs = (torch.zeros(2, *variant.input),)
        model, path = exported(make, variant.build, inputs)
    python = {row.path: row for row in inspect(model, *inputs).receptive_field().layers}
    found = inspect(path).receptive_field().layers
    shared = [row for row in found if row.path in python]
    assert len(shared) > 3
    for row in shared:
        known = python[row.path]
        assert (row.size, row.jump, row.start, row.status) == (known.size, known.jump, known.start, known.status)


def test_a_saved_report_of_a_file(exported, alexnet, tmp_path):
    _, path = resnet(exported)
    saved = tmp_path / "report.json"
    alexnet("summary", path, "--json", "-o", str(saved))
    assert alexnet("summary", str(saved)).out == alexnet("summary", path).out


def test_names_of_the_older_exporter(tmp_path):
    model = randomised(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3))))
    path = tmp_path / "old.onnx"
    with quiet():
        torch.onnx.export(model, torch.zeros(2, 3, 8, 8), str(path), dynamo=False)
    rows = {row.path: row for row in inspect(str(path)).summary().layers}
    assert (rows["0"].type, rows["0"].params, rows["0"].macs) == ("Conv", 112, 2 * 4 * 36 * 27)
    assert (rows["1.0"].type, rows["1.0"].params, rows["1.0"].macs) == ("Conv", 148, 2 * 4 * 16 * 36)
