from __future__ import annotations

import builtins
import collections
import pickle
import warnings
import zipfile
from contextlib import suppress
from random import Random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import changed_bytes, rounds
from torch import nn

from alexnet_cli import torch_insides
from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.contents import damage
from alexnet_cli.targets.resolve import resolve

TORCH = tuple(map(int, torch.__version__.split(".")[:2]))


@pytest.fixture(params=["zip", "legacy"])
def save(request, tmp_path):
    def write(value, name="model.pt"):
        path = tmp_path / name
        torch.save(value, path, _use_new_zipfile_serialization=request.param == "zip")
        return path

    return write


@pytest.fixture
def newer_than_2_6(request):
    """Skip what needs `skip_data` for the older format, which torch 2.6 has for saving only."""
    if request.node.callspec.params["save"] == "legacy" and TORCH < (2, 7):
        pytest.skip("torch 2.6 cannot skip the data of the older format: it is read on meta, without ties")


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


def test_tied_tensors_count_once(newer_than_2_6, save, read):
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


def test_a_dict_that_contains_itself_is_read_once(save, read):
    value: dict[str, object] = {"model": {"weight": torch.zeros(2, 3)}}
    value["again"] = value
    for _ in range(100):
        value = {"left": value, "right": value}
    assert read(save(value)).totals.params == 6


@pytest.mark.parametrize("value", [{}, [torch.zeros(2)], torch.zeros(2), 7, {"a": 1}, {0: torch.zeros(2)}], ids=repr)
def test_a_file_without_a_state_dict_is_refused(save, refusal, value):
    assert "not a state_dict" in refusal(save(value))


def test_code_in_a_checkpoint_is_never_run(save, refusal, tmp_path, alexnet):
    victim = tmp_path / "victim"
    path = save({"weight": torch.zeros(2), "evil": RunsCode(builtins.open, str(victim), "w")})
    said = refusal(path)
    assert f"contains Python objects ({open.__module__}.open)" in said
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


def test_a_pickled_module_is_refused_with_a_hint(save, refusal):
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
    marked = torch_insides.meta_storages_are_marked()
    assert ("4,000 bytes, but the file has 10" if marked else "torch cannot load it") in refusal(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.99])
def test_truncated_files_are_refused(save, refusal, part):
    path = save({"weight": torch.zeros(1000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert str(path) in refusal(path)


def test_folders_and_other_files_are_refused(tmp_path, refusal):
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "empty.pth").touch()
    (tmp_path / "text.bin").write_text("hello")
    assert "is a folder" in refusal(tmp_path / "folder.pt")
    assert "is empty" in refusal(tmp_path / "empty.pth")
    assert "not written by torch.save" in refusal(tmp_path / "text.bin")


def test_tensors_saved_from_the_meta_device_are_counted(save, read):
    report = read(save({"a.weight": torch.empty(2**20, 2**20, device="meta")}))
    assert report.totals.params == 2**40


def test_sizes_beyond_any_file_are_refused(tmp_path, refusal):
    path = tmp_path / "model.pt"
    torch.save({f"{n}.weight": torch.empty(2**60, device="meta") for n in range(8)}, path)
    assert "larger than any file" in refusal(path)


def test_parameters_and_empty_tensors_are_counted_and_texts_are_not(save, read):
    report = read(save({"a": nn.Parameter(torch.zeros(3)), "c": torch.zeros(0), "d": "text"}))
    assert report.totals.params == 3


SPARSE = {
    "coo": lambda: torch.eye(4).to_sparse(),
    "csr": lambda: torch.eye(4).to_sparse_csr(),
    "bsr": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
}


@pytest.mark.parametrize("layout", SPARSE)
@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
def test_sparse_tensors_count_all_their_elements(save, read, layout):
    assert read(save({"a": torch.zeros(3), "b": SPARSE[layout]()})).totals.params == 3 + 16


@pytest.mark.parametrize("layout", SPARSE)
@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
def test_sparse_tensors_take_the_bytes_of_their_values_and_indices(save, read, layout):
    values, indices = {"coo": (4, 2 * 4), "csr": (4, 5 + 4), "bsr": (2 * 2 * 2, 3 + 2)}[layout]
    assert read(save({"b": SPARSE[layout]()})).totals.param_bytes == 4 * values + 8 * indices


@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta state")
def test_reading_a_checkpoint_leaves_no_sparse_tensor_for_torch_to_check(save, read, tmp_path):
    read(save({"b": SPARSE["csr"]()}))
    torch.save({"a": torch.zeros(3)}, tmp_path / "plain.pt")
    torch.load(tmp_path / "plain.pt", weights_only=True)  # would check what is left from before


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_tensors_count_a_byte_for_each_element(save, read, newer_than_2_6):
    weight = torch.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, torch.qint8)
    report = read(save({"a.weight": weight, "b.bias": torch.zeros(3)}))
    assert (report.totals.params, report.totals.param_bytes) == (12 + 3, 12 + 3 * 4)


def test_scales_and_zero_points_of_channels_are_bytes_and_no_parameters(save, read, newer_than_2_6):
    scales, zeros = torch.full((3,), 0.1), torch.zeros(3)  # as float32 for this kind, as `q_per_channel_scales` tells
    weight = torch.quantize_per_channel(torch.ones(3, 4), scales, zeros, 0, torch.qint8)
    beside = weight.q_per_channel_scales().nbytes + weight.q_per_channel_zero_points().nbytes
    report = read(save({"a.weight": weight}))
    assert (report.totals.params, report.totals.param_bytes) == (12, 12 + beside)


def without_marks_on_meta(monkeypatch):
    monkeypatch.setattr(torch_insides, "meta_storages_are_marked", lambda: False)
    monkeypatch.setattr(torch_insides, "place_in_file", lambda storage: None)


def test_without_marks_on_meta_a_zip_archive_is_mapped_and_ties_are_found(tmp_path, read, monkeypatch):
    without_marks_on_meta(monkeypatch)
    torch.save(Tied().state_dict(), tmp_path / "model.pt")
    report = read(tmp_path / "model.pt")
    assert report.totals.params == 10 * 4 + 2 * 4
    assert "share memory" not in report.model.description


def test_without_marks_or_a_mapping_the_report_says_that_ties_are_unknown(tmp_path, read, monkeypatch):
    without_marks_on_meta(monkeypatch)
    load = torch.load

    def load_unmapped(*args, mmap, **kwargs):
        if mmap:
            raise RuntimeError("unable to mmap")
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", load_unmapped)
    torch.save(Tied().state_dict(), tmp_path / "model.pt")
    report = read(tmp_path / "model.pt")
    assert report.totals.params == 2 * 10 * 4 + 2 * 4
    assert "does not tell which tensors share memory" in report.model.description


def test_without_skipping_data_the_older_format_is_read_on_meta(tmp_path, read, monkeypatch):
    def refuse():
        raise RuntimeError("`torch.load` called within a torch.serialization.skip_data context manager")

    monkeypatch.setattr(torch.serialization, "skip_data", refuse)
    torch.save(Tied().state_dict(), tmp_path / "model.pt", _use_new_zipfile_serialization=False)
    report = read(tmp_path / "model.pt")
    assert report.totals.params == 2 * 10 * 4 + 2 * 4
    assert "does not tell which tensors share memory" in report.model.description


def test_without_the_check_to_replace_sparse_tensors_are_mapped(tmp_path, read, monkeypatch):
    monkeypatch.setattr(torch_insides.checkpoints, "_check_sparse", None)
    torch.save({"b": SPARSE["coo"]()}, tmp_path / "model.pt")
    assert read(tmp_path / "model.pt").totals.params == 16


@settings(max_examples=rounds(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bytes_give_a_report_or_a_target_error(save, data):
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


def test_changed_files_are_read_or_refused(save, tmp_path, monkeypatch):
    """A file that torch wrote, in its format of today and in its older one, with other bytes; nothing in it runs."""
    monkeypatch.chdir(tmp_path)
    path = save({"a.weight": torch.zeros(2, 3), "b": {"c": torch.zeros(2)}})
    whole, chance, read, before = path.read_bytes(), Random(0), 0, sorted(tmp_path.iterdir())
    for _ in range(rounds(300)):
        path.write_bytes(changed_bytes(whole, chance))
        with suppress(TargetError):  # anything else that is raised fails the test
            resolve(str(path))
            read += 1
    assert 0 < read < rounds(300)
    assert sorted(tmp_path.iterdir()) == before


def test_damage_that_says_nothing_is_named_by_its_type(tmp_path):
    named = pytest.raises(TargetError, match=r"its pickle is damaged \(AssertionError\)")
    with named, damage(tmp_path / "net.pt", "its pickle is damaged"):
        raise AssertionError
