from __future__ import annotations

import builtins
import collections
import pickle
import warnings
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.resolve import resolve


@pytest.fixture(params=["zip", "legacy"])
def save(request, tmp_path):
    def write(value, name="model.pt"):
        path = tmp_path / name
        torch.save(value, path, _use_new_zipfile_serialization=request.param == "zip")
        return path

    return write


class RunsCode:
    """What a hostile checkpoint holds: loading it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight


def test_tied_tensors_count_once(save, read):
    report = read(save(Tied().state_dict()))
    rows = {row.path: row for row in report.layers}
    assert report.totals.params == 10 * 4 + 2 * 4
    assert (rows["embed"].params, rows["head"].params) == (40, 0)
    assert (rows["embed"].reuses, rows["head"].reuses) == (None, "embed")


def test_slices_of_one_tensor_are_not_tied(save, read):
    whole = torch.zeros(6, 4)
    report = read(save({"a.weight": whole[:3], "b.weight": whole[3:]}))
    assert [row.params for row in report.layers] == [0, 12, 12]


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "module"])
def test_the_state_dict_is_found(save, read, key):
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(1, 3)).sum().backward()
    optimizer.step()
    path = save({"optimizer": optimizer.state_dict(), "epoch": 3, "lr": [0.1], key: model.state_dict()})
    report = read(path)
    assert report.totals.params == 3 * 2 + 2
    assert f"under {key!r}" in report.model.description


def test_a_dict_that_contains_itself_does_no_harm(save, read):
    value: dict[str, object] = {"model": {"weight": torch.zeros(2, 3)}}
    value["again"] = value
    for _ in range(100):
        value = {"left": value, "right": value}
    assert read(save(value)).totals.params == 6


@pytest.mark.parametrize("value", [{}, [torch.zeros(2)], torch.zeros(2), 7, {"a": 1}, {0: torch.zeros(2)}], ids=repr)
def test_what_holds_no_state_dict_is_refused(save, refusal, value):
    assert "not a state_dict" in refusal(save(value))


def test_code_in_a_checkpoint_is_never_run(save, refusal, tmp_path, alexnet):
    victim = tmp_path / "victim"
    path = save({"weight": torch.zeros(2), "evil": RunsCode(builtins.open, str(victim), "w")})
    said = refusal(path)
    assert "contains Python objects (io.open)" in said
    assert "torch.save(model.state_dict(), path)" in said
    answer = alexnet("params", str(path))
    assert (answer.code, answer.out) == (3, "")
    assert "Traceback" not in answer.err
    assert not victim.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_are_refused_unread(tmp_path, refusal, protocol):
    victim = tmp_path / "victim"
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(RunsCode(builtins.open, str(victim), "w"), protocol))
    said = refusal(path)
    assert "open" in said if protocol >= 2 else "torch.save" in said
    assert not victim.exists()


def test_code_in_a_later_pickle_protocol_is_never_run(tmp_path, refusal):
    victim = tmp_path / "victim"
    path = tmp_path / "model.pt"
    torch.save({"evil": RunsCode(builtins.open, str(victim), "w")}, path, pickle_protocol=4)
    assert "io.open" in refusal(path)
    assert not victim.exists()


@pytest.mark.parametrize("value", [RunsCode(bytearray, 2**50), RunsCode(eval, "1"), collections.UserDict()])
def test_objects_that_could_fill_the_memory_or_run_are_refused(save, refusal, value):
    assert "contains Python objects" in refusal(save({"w": torch.zeros(2), "x": value}))


def test_a_whole_module_is_refused_with_what_to_do(save, refusal):
    said = refusal(save(nn.Linear(2, 2)))
    assert "torch.nn.modules.linear.Linear" in said
    assert "state_dict" in said


def test_torchscript_is_refused(tmp_path, refusal):
    path = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    assert "TorchScript" in refusal(path)


@pytest.mark.parametrize("entry", ["model/data/0", "model/data.pkl", "model/version", "model/padding"])
def test_zip_bombs_are_refused(tmp_path, refusal, entry):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if entry != "model/data.pkl":
            archive.writestr("model/data.pkl", pickle.dumps({}, 2))
        archive.writestr(entry, bytes(50_000_000))
    assert "zip bomb" in refusal(path)


def test_other_archives_are_refused(tmp_path, refusal):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme/text", "no checkpoint")
    assert "not one that torch.save wrote" in refusal(path)


def test_tensors_larger_than_the_file_are_refused(tmp_path, refusal):
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "whole.pt")
    path = tmp_path / "cut.pt"
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(path, "w") as cut:
        for name in whole.namelist():
            cut.writestr(name, whole.read(name)[: 10 if "/data/" in name else None])
    assert "4,000 bytes, the file has 10" in refusal(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.99])
def test_truncated_files_are_refused(save, refusal, part):
    path = save({"weight": torch.zeros(1000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert str(path) in refusal(path)


def test_what_is_no_checkpoint_is_refused(tmp_path, refusal):
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.bin").write_text("hello")
    assert "is a folder" in refusal(tmp_path / "folder.pt")
    assert "is empty" in refusal(tmp_path / "empty.pth")
    assert "not written by torch.save" in refusal(tmp_path / "text.bin")


def test_tensors_saved_from_the_meta_device(save, read):
    report = read(save({"a.weight": torch.empty(2**20, 2**20, device="meta")}))
    assert report.totals.params == 2**40


def test_sizes_beyond_any_file_are_refused(tmp_path, refusal):
    path = tmp_path / "model.pt"
    torch.save({f"{n}.weight": torch.empty(2**60, device="meta") for n in range(8)}, path)
    assert "larger than any file" in refusal(path)


def test_parameters_and_other_kinds_of_tensors(save, read):
    report = read(
        save({"a": nn.Parameter(torch.zeros(3)), "b": torch.eye(4).to_sparse(), "c": torch.zeros(0), "d": "text"})
    )
    assert report.totals.params == 3 + 16


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bytes_give_a_report_or_an_error_of_ours(save, data):
    path = save({"a.weight": torch.zeros(2, 3), "b": {"c": torch.zeros(2)}})
    good = path.read_bytes()
    start = data.draw(st.integers(0, len(good)))
    junk = data.draw(st.binary(max_size=6))
    bad = data.draw(st.sampled_from([good[:start] + junk + good[start + len(junk) :], junk, good[:start] + junk]))
    path.write_bytes(bad)
    try:
        resolve(str(path))
    except TargetError as error:
        said = error.message
    else:
        said = str(path)
    assert said.startswith(str(path))
