from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import changed_bytes, changed_json, rounds
from safetensors.torch import save, save_file

from alexnet_cli.errors import TargetError
from alexnet_cli.models.alexnet import AlexNet
from alexnet_cli.report_json import read_report
from alexnet_cli.targets.resolve import resolve

ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def test_a_checkpoint_of_alexnet_has_the_parameters_and_types_of_the_model(tmp_path, read):
    model = AlexNet()
    path = tmp_path / "alexnet.safetensors"
    save_file(model.state_dict(), path)
    report = read(path)
    assert report.totals.params == 62_378_344
    assert report.totals.param_bytes == 4 * 62_378_344
    assert (report.run, report.totals.macs, report.totals.flops) == (None, None, None)
    types = {row.path: row.type for row in report.layers if row.leaf}
    holders = [(name, module) for name, module in model.named_modules() if module._parameters]
    assert types == {name: type(module).__name__ for name, module in holders}
    assert [row.path for row in report.layers if row.leaf] == [name for name, _ in holders]  # not 10 before 3


def test_rows_form_a_tree_whose_sums_add_up(sparse, read):
    report = read(
        sparse(
            {
                "scale": ("F32", [1]),
                "a.0.weight": ("F16", [5, 3]),
                "a.0.bias": ("F16", [5]),
                "a.1.weight": ("F32", [7]),
                "b.token": ("F32", [2, 2]),
                "b.proj.weight": ("F32", [4, 4]),
                "b.steps": ("I64", []),
            }
        )
    )
    rows = report.layers
    assert [(row.path, row.depth, row.leaf, row.index) for row in rows] == [
        ("", 0, False, None),
        ("a", 1, False, None),
        ("a.0", 2, True, 1),
        ("a.1", 2, True, 2),
        ("b", 1, False, None),
        ("b.proj", 2, True, 3),
    ]
    assert [row.params for row in rows] == [1, 0, 15 + 5, 7, 4, 16]
    assert [row.params_total for row in rows] == [1 + 20 + 7 + 20, 27, 20, 7, 20, 16]
    assert [row.buffers for row in rows] == [0, 0, 0, 0, 1, 0]
    assert report.totals.param_bytes == 4 * (1 + 7 + 4 + 16) + 2 * 20
    assert sum(row.params for row in rows) == report.totals.params == 48
    assert (report.totals.layers, report.totals.buffers) == (3, 1)
    assert rows[2].settings == {
        "inferred": True,
        "in_features": 3,
        "out_features": 5,
        "bias": True,
        "dtype": "float16",
    }


@pytest.mark.parametrize(
    ("header", "size", "said"),
    [
        (b"{", 0, "not valid JSON"),
        (b"[]", 0, "not a JSON object"),
        (b"{}", 8, "8 for them"),
        (b'{"a":' * 100_000, 0, "nested too deeply"),
        (b'{"a": 1, "a": 2}', 0, "is repeated"),
        (b'{"a": {"dtype": "F32", "dtype": "F32"}}', 0, "is repeated"),
        (b'{"\xff": 1}', 0, "not valid JSON"),
        ({"a": 1}, 0, "'a'"),
        ({"a": ENTRY | {"dtype": "F33"}}, 24, "unknown dtype 'F33'"),
        ({"a": ENTRY | {"shape": [-2, -3]}}, 24, "impossible shape"),
        ({"a": ENTRY | {"shape": [2, True]}}, 24, "impossible shape"),
        ({"a": ENTRY | {"shape": [2.0, 3]}}, 24, "impossible shape"),
        ({"a": ENTRY | {"shape": "23"}}, 24, "and nothing else"),
        ({"a": ENTRY | {"more": 0}}, 24, "and nothing else"),
        ({"a": ENTRY | {"shape": [2**32, 2**32]}}, 24, "needs"),
        ({"a": ENTRY | {"shape": [2**63, 0], "data_offsets": [0, 0]}}, 0, "impossible shape"),
        ({"a": ENTRY | {"shape": [2**62] * 5_000}}, 24, "impossible shape"),
        ({"a": ENTRY | {"data_offsets": [24, 0]}}, 24, "say -24"),
        ({"a": ENTRY | {"data_offsets": [0, 24, 48]}}, 24, "and nothing else"),
        ({"a": ENTRY, "b": ENTRY}, 24, "overlaps"),
        ({"a": ENTRY, "b": ENTRY | {"data_offsets": [12, 36]}}, 36, "overlaps"),
        ({"a": ENTRY, "b": ENTRY | {"data_offsets": [30, 54]}}, 54, "gap"),
        ({"a": ENTRY | {"data_offsets": [8, 32]}}, 32, "gap"),
        ({"a": ENTRY}, 23, "the file has 23"),
        ({"a": ENTRY}, 25, "the file has 25"),
        ({".".join("a" * 1000): ENTRY}, 24, "deep"),
    ],
)
def test_headers_that_violate_the_format_are_refused(raw, refusal, header, size, said):
    path = raw(header, size)
    answer = refusal(path)
    assert said in answer
    assert path in answer


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 1000])
def test_a_header_longer_than_the_file_is_refused(raw, refusal, length):
    assert f"{length:,}" in refusal(raw({"a": ENTRY}, 24, length=length))


def test_a_header_of_a_terabyte_is_refused_before_it_is_read(raw, refusal):
    assert "at most 100,000,000" in refusal(raw(b"{}", 2**40, length=2**40))


def test_folders_pipes_and_missing_or_empty_files_are_refused(tmp_path, refusal, alexnet):
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "short.safetensors").write_bytes(b"\0\0")
    (tmp_path / "lfs.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert "is a folder" in refusal(tmp_path / "folder.safetensors")
    assert "is empty" in refusal(tmp_path / "empty.safetensors")
    assert "has 2" in refusal(tmp_path / "short.safetensors")
    assert "git lfs pull" in refusal(tmp_path / "lfs.safetensors")
    assert "not a regular file" in refusal(tmp_path / "pipe.safetensors")
    assert "file not found" in refusal(tmp_path / "none.safetensors")
    assert "null" in refusal("a\0.safetensors")
    answer = alexnet("summary", str(tmp_path / "empty.safetensors"), "--json")
    assert (answer.code, answer.json["error"]["code"]) == (3, "target_failed")
    assert "Traceback" not in answer.err


def test_a_file_without_read_permission_is_refused(sparse, refusal, monkeypatch):
    path = sparse({"a": ("F32", [2])})

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "Permission denied" in refusal(path)


def test_only_the_header_is_read(sparse, read, monkeypatch):
    path = sparse({"a.weight": ("F32", [2**18, 2**20])})
    assert Path(path).stat().st_size > 2**40
    reads = []
    real = Path.open

    def counting(self, *args, **kwargs):
        if str(self) != path:
            return real(self, *args, **kwargs)
        return _Counting(real(self, *args, **kwargs, buffering=0), reads)

    monkeypatch.setattr(Path, "open", counting)
    assert read(path).totals.params == 2**38
    assert 0 < sum(reads) < 1000


class _Counting:
    def __init__(self, file, reads):
        self.file = file
        self.reads = reads

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def read(self, size=-1):
        data = self.file.read(size)
        self.reads.append(len(data))
        return data

    def seek(self, *place):
        return self.file.seek(*place)


def test_metadata_and_padding_are_not_counted_as_tensors(raw, read):
    header = json.dumps({"__metadata__": {"format": "pt"}, "a": ENTRY}).encode() + b"     "
    assert read(raw(header, 24)).totals.params == 6


def test_a_file_without_tensors_has_no_parameters(raw, read, alexnet):
    assert read(raw(b"{}")).totals.params == 0
    assert alexnet("params", raw(b"{}"), "--by-type", "--by-module", "--by-layer").code == 0


@pytest.mark.parametrize("command", [["summary"], ["params", "--by-module", "--depth", "2"], ["params", "--by-type"]])
def test_reading_safetensors_imports_neither_torch_nor_numpy(sparse, command):
    path = sparse({"conv.weight": ("F32", [8, 3, 5, 5]), "conv.bias": ("F32", [8])})
    refuse = (
        "import sys\nclass Refuse:\n def find_spec(self, name, path=None, target=None):\n"
        "  if name.partition('.')[0] in ('torch', 'numpy', 'safetensors'): raise SystemExit('imported ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\nfrom alexnet_cli.__main__ import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", refuse, *command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "608" in done.stdout  # 8 x 3 x 5 x 5 + 8


def test_the_saved_report_of_a_checkpoint_is_a_target(sparse, read, alexnet, tmp_path):
    path = sparse({"a.weight": ("F32", [3, 2])})
    assert alexnet("summary", path, "-o", str(tmp_path / "report.json")).code == 0
    assert read_report((tmp_path / "report.json").read_bytes(), "it") == read(path)
    assert "unknown" in alexnet("summary", path).out


def test_dtypes_written_by_the_safetensors_package_are_known(tmp_path, read):
    tensors = {
        str(dtype).removeprefix("torch."): torch.zeros(3, 2, dtype=dtype)
        for dtype in (torch.float64, torch.bfloat16, torch.float8_e4m3fn, torch.uint8, torch.int16, torch.complex64)
    }
    path = tmp_path / "dtypes.safetensors"
    save_file(tensors, path)
    report = read(path)
    assert set(report.layers[0].settings["dtype"]) == set(tensors)
    assert report.totals.param_bytes == 6 * (8 + 2 + 1 + 1 + 2 + 8)


@settings(max_examples=rounds(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_bytes_give_a_report_or_a_target_error(tmp_path, data):
    header = json.dumps({"a.weight": ENTRY, "b": ENTRY | {"data_offsets": [24, 48]}}).encode()
    good = len(header).to_bytes(8, "little") + header + bytes(48)
    start = data.draw(st.integers(0, len(good)))
    junk = data.draw(st.binary(max_size=12) | st.sampled_from([b"9" * 30, b"[" * 2000, b"-", b"null", b'"a"']))
    bad = data.draw(st.sampled_from([good[:start] + junk + good[start + len(junk) :], junk, good[:start] + junk]))
    path = tmp_path / "any.safetensors"
    path.write_bytes(bad)
    try:
        resolve(str(path))
    except TargetError as error:
        said = error.message
    else:
        said = str(path)
    assert said.startswith(str(path))


def test_changed_files_are_read_or_refused(tmp_path, raw):
    """A file that the package wrote, with other bytes or other values in its header."""
    whole = save({"a.weight": torch.zeros(4, 3), "a.bias": torch.zeros(4, dtype=torch.bfloat16)}, {"format": "pt"})
    length = int.from_bytes(whole[:8], "little")
    header, chance, read = json.loads(whole[8 : 8 + length]), Random(0), 0
    path = tmp_path / "model.safetensors"
    for _ in range(rounds(500)):
        if chance.random() < 0.5:
            path.write_bytes(changed_bytes(whole[: 8 + length], chance) + whole[8 + length :])
        else:
            raw(changed_json(header, chance), len(whole) - 8 - length)
        with suppress(TargetError):  # anything else that is raised fails the test
            resolve(str(path))
            read += 1
    assert 0 < read < rounds(500)
