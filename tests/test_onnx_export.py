"""`alexnet export -o net.onnx`: the file is the model, or each difference is told with its cause."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import exported_models
import pytest
import torch
from older_torch import exports_norms_to_onnx
from torch import nn

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.models.catalogue import variants
from alexnet_cli.tracing import exporting

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

FILE = exported_models.__file__


def written(model, *inputs, to):
    result = inspect(model, *inputs).export(to)
    onnx.checker.check_model(str(to), full_check=True)
    return result


def causes(result):
    return {layer.path: (*layer.params, layer.cause) for layer in result.file.layers}


@pytest.mark.parametrize("name", variants())
def test_alexnet(name, tmp_path, alexnet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = alexnet("export", name, "--arg", "num_classes=10", "-o", "net.onnx", "--json")
    assert (answer.code, answer.err) == (0, "")
    file = answer.json["file"]
    assert (file["differences"], file["layers"], file["beside"]) == ({}, [], [])
    assert file["size_bytes"] == Path("net.onnx").stat().st_size > file["totals"]["param_bytes"]
    for total in ("params", "macs", "param_bytes"):
        assert file["totals"][total] == answer.json["totals"][total]
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_the_weights_are_the_models(tmp_path):
    model = nn.Linear(3, 2, bias=False)
    written(model, torch.ones(1, 3), to=tmp_path / "net.onnx")
    (held,) = onnx.load(tmp_path / "net.onnx").graph.initializer
    assert torch.equal(torch.tensor(onnx.numpy_helper.to_array(held)), model.weight.detach())


@exports_norms_to_onnx
def test_folded_batch_norms(tmp_path):
    """A norm of 16 channels has 32 parameters; the convolution before it gets a bias of 16 instead."""
    model = nn.Sequential(nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU()).eval()
    for tensor in (*model[1].parameters(), model[1].running_mean):
        nn.init.normal_(tensor)
    result = written(model, torch.rand(1, 3, 8, 8), to=tmp_path / "net.onnx")
    weights = 3 * 16 * 9
    assert result.file.differences == {
        "params": (weights + 32, weights + 16),
        "param_bytes": (4 * (weights + 32), 4 * (weights + 16)),
    }
    assert causes(result) == {"0": (weights, weights + 16, "has_folded"), "1": (32, 0, "folded")}
    assert "32 parameters fewer: batch norms worked into the layers before them (1)" in str(result)


@exports_norms_to_onnx
def test_differences_with_known_causes_are_exit_0(tmp_path, alexnet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = alexnet("export", f"{FILE}:ResNet", "-i", "3,32,32", "-o", "net.onnx")
    assert (answer.code, answer.err) == (0, "")
    assert "the model has 19,994 parameters, the file 19,706" in answer.out  # 144 channels of norms, two vectors each


def test_an_lstm(tmp_path, alexnet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = alexnet("export", f"{FILE}:Tagger", "-i", "7:int64", "-o", "net.onnx")
    assert answer.code == 0, answer.err
    assert "Read again, the file has the same parameters and MACs." in answer.out


def test_equal_tensors_zeros_and_constants(tmp_path):
    """The encoder's layers are copies of one: each equal vector is stored once; the class token is a constant."""
    torch.manual_seed(0)
    result = written(exported_models.ViT().eval(), torch.rand(1, 3, 32, 32), to=tmp_path / "net.onnx")
    found = causes(result)
    assert found[""][2] == "computed"
    assert found["encoder.layers.1.norm1"] == (64, 0, "equal")
    assert found["encoder.layers.0.self_attn"][2] == "zero"
    change = sum(after - before for before, after, _ in found.values())
    assert result.file.totals.params - result.totals.params == change


def test_a_module_that_is_never_called(tmp_path):
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    result = written(Unused(), torch.ones(1, 3), to=tmp_path / "net.onnx")
    assert causes(result) == {"spare": (3 * 2 + 2, 0, "unused")}


@exports_norms_to_onnx
def test_a_bilinear_layer_becomes_two_products(tmp_path, alexnet, monkeypatch):
    """Of 174 rows of 4 features, with a 2×4×4 tensor; the second product sums 4 numbers for each of 2 results."""
    monkeypatch.chdir(tmp_path)
    answer = alexnet("export", f"{FILE}:Layers", "-i", "3,16,16", "-o", "net.onnx", "--json")
    assert (answer.code, answer.err) == (0, "")
    found = {layer["path"]: layer for layer in answer.json["file"]["layers"]}
    one, second = 174 * 2 * 4 * 4, 174 * 2 * 4
    assert found["bilinear"] == {
        "path": "bilinear",
        "params": [2 * 4 * 4 + 2] * 2,
        "macs": [one, one + second],
        "cause": "two_products",
    }
    assert [found[path]["cause"] for path in ("group", "prelu", "unused")] == ["computed", "computed", "unused"]


def test_two_products_in_words(tmp_path):
    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.pairs = nn.Bilinear(3, 5, 7)

        def forward(self, x, y):
            return self.pairs(x, y)

    result = written(Pairs(), torch.ones(2, 3), torch.ones(2, 5), to=tmp_path / "net.onnx")
    assert f"{2 * 7 * 5} MACs more: a bilinear layer computed as two products (pairs)" in str(result)


def test_a_shared_weight_counts_once_and_a_buffer_is_none(tmp_path):
    """The file has the shared matrix a second time, transposed, and says that `shift` was no parameter."""
    result = written(exported_models.Tied().eval(), torch.ones(1, 5, dtype=torch.long), to=tmp_path / "net.onnx")
    assert result.totals.params == result.file.totals.params == 10 * 4 + 4 * 4 + 4
    assert result.file.differences == {}
    held = {each.name: tuple(each.dims) for each in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert sum(sorted(shape) == [4, 10] for shape in held.values()) == 2


def test_a_difference_without_a_known_cause_is_exit_1(tmp_path, alexnet, monkeypatch):
    """The model's MACs are counted by a formula that the file does not know."""
    monkeypatch.chdir(tmp_path)
    Path("f.py").write_text(
        'from alexnet_cli import macs_formula\n@macs_formula("relu")\ndef relu(x, **_):\n    return x.numel()\n'
    )
    Path("net.py").write_text("from torch import nn\nNet = lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU())\n")
    answer = alexnet("export", "net.py:Net", "-i", "3", "--formulas", "f.py", "-o", "net.onnx")
    assert answer.code == 1
    assert "1 has 2 MACs, in the file 0, for a reason that is not known" in answer.out


def test_frozen_parameters_are_no_difference(tmp_path):
    model = nn.Linear(3, 2).requires_grad_(requires_grad=False)
    assert written(model, torch.ones(1, 3), to=tmp_path / "net.onnx").file.differences == {}


def test_weights_too_large_for_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_ONE_FILE", 1_000)
    (tmp_path / "net.onnx.data").write_bytes(b"before")
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    result = written(model, torch.ones(1, 64), to=tmp_path / "net.onnx")
    weights = tmp_path / "net.onnx.data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data"]
    assert result.file.beside == (str(weights),)
    assert weights.stat().st_size >= 4 * 64 * 64
    assert result.file.size_bytes == weights.stat().st_size + (tmp_path / "net.onnx").stat().st_size
    assert str(weights) in str(result)
    assert result.file.differences == {}
    held = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert torch.equal(torch.tensor(held["0.weight"]), model[0].weight.detach())


def test_weights_of_an_earlier_export_go_with_it(tmp_path, monkeypatch):
    model, x, file = nn.Linear(64, 64), torch.ones(1, 64), tmp_path / "net.onnx"
    monkeypatch.setattr(exporting, "_ONE_FILE", 1_000)
    written(model, x, to=file)
    (tmp_path / "mine.data").write_bytes(b"mine")
    monkeypatch.undo()
    result = written(model, x, to=file)
    assert result.file.beside == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.data", "net.onnx"]


def test_weights_that_export_did_not_write_stay(tmp_path, monkeypatch):
    """One that another program wrote for the same file, and then one that no file refers to."""
    model, x, file, weights = nn.Linear(64, 64), torch.ones(1, 64), tmp_path / "net.onnx", tmp_path / "net.onnx.data"
    monkeypatch.setattr(exporting, "_ONE_FILE", 1_000)
    written(model, x, to=file)
    monkeypatch.undo()
    others = onnx.load(file, load_external_data=False)
    del others.metadata_props[:]
    onnx.save(others, file)
    for _ in range(2):
        written(model, x, to=file)
        assert weights.exists()


class NoSuchOperator(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvals(x)


def test_an_earlier_file_of_another_format_is_not_read_as_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr("alexnet_cli.targets.onnx.read.read_model", pytest.fail)
    file = tmp_path / "net.pt2"
    file.write_bytes(b"what was there before")
    inspect(nn.Linear(4, 5), torch.zeros(2, 4)).export(file)
    assert file.read_bytes()[:2] == b"PK"


def test_an_operator_that_onnx_does_not_have(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"before")
    with pytest.raises(AlexnetError) as failed:
        inspect(NoSuchOperator(), torch.eye(3), no_batch=True).export(tmp_path / "net.onnx")
    assert failed.value.exit_code == 4
    assert "the model cannot be written as ONNX: " in failed.value.message
    assert "aten.linalg_eig" in failed.value.message
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_what_torch_cannot_export(tmp_path, alexnet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = alexnet("export", f"{FILE}:branching", "-i", "4", "-o", "net.onnx")
    assert answer.code == 4
    assert "branching cannot be exported: " in answer.err
    assert list(tmp_path.iterdir()) == []


def test_without_onnxscript(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(AlexnetError) as failed:
        inspect(nn.Linear(3, 2), torch.ones(1, 3)).export(tmp_path / "net.onnx")
    assert (failed.value.exit_code, failed.value.hint) == (3, "install it with `pip install 'alexnet-cli[onnx]'`")
    assert list(tmp_path.iterdir()) == []


def test_an_onnx_file_is_not_exported_again(tmp_path, alexnet):
    file = tmp_path / "net.onnx"
    written(nn.Linear(3, 2), torch.ones(1, 3), to=file)
    answer = alexnet("export", str(file), "-o", str(tmp_path / "again.onnx"))
    assert (answer.code, "export needs a model to run" in answer.err) == (2, True)


def test_the_callers_logging_and_warnings_are_as_before(tmp_path, capfd):
    before = logging.root.manager.disable, list(warnings.filters)
    inspect(nn.Linear(3, 2), torch.ones(1, 3)).export(tmp_path / "net.onnx")
    assert (logging.root.manager.disable, warnings.filters) == before
    assert capfd.readouterr() == ("", "")
