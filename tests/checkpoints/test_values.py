"""The values of one tensor of a checkpoint: statistics held to numpy's, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from alexnet_cli.errors import TargetError, UsageError
from alexnet_cli.session.checkpoints import statistics, tensors
from alexnet_cli.session.session import Named, Session
from alexnet_cli.targets.checkpoint import values
from alexnet_cli.targets.checkpoint.values import tensor_statistics

GENERATOR = torch.Generator().manual_seed(7)
STATE = {
    "conv.weight": torch.randn(40, 30, generator=GENERATOR) * 3 + 100,
    "half.weight": torch.randn(50, generator=GENERATOR).to(torch.bfloat16),
    "odd.mask": torch.tensor([True, False, True]),
    "odd.index": torch.arange(-5, 6),
    "odd.same": torch.full((4,), 2.5),
    "odd.none": torch.empty(0, 3),
    "odd.broken": torch.tensor([1.0, float("nan"), float("inf"), 0.0, -1.0]),
    "odd.nothing": torch.tensor([float("nan")]),
    "odd.small": torch.randn(33, generator=GENERATOR).to(torch.float8_e4m3fn),
}


@pytest.fixture(scope="module", params=["safetensors", "pt", "index.json"])
def path(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("values")
    if request.param == "pt":
        torch.save({"optimizer": {"step": torch.ones(1)}, "model": STATE}, folder / "net.pt")
        return folder / "net.pt"
    if request.param == "safetensors":
        save_file(STATE, folder / "net.safetensors")
        return folder / "net.safetensors"
    names = [*STATE]
    parts = {"a.safetensors": names[:4], "b.safetensors": names[4:]}
    for name, keys in parts.items():
        save_file({key: STATE[key] for key in keys}, folder / name)
    index = {"weight_map": {key: name for name, keys in parts.items() for key in keys}}
    (folder / "net.safetensors.index.json").write_text(json.dumps(index))
    return folder / "net.safetensors.index.json"


@pytest.mark.parametrize("key", STATE)
def test_statistics_are_numpy_s(path, key, monkeypatch):
    monkeypatch.setattr(values, "_CHUNK", 7)  # several chunks, the last of them shorter
    found = tensor_statistics(path, key)
    whole = STATE[key].to(torch.float64).numpy().ravel()
    finite = whole[np.isfinite(whole)]
    assert (found.elements, found.zeros) == (whole.size, int((whole == 0).sum()))
    assert found.not_finite == whole.size - finite.size
    if not finite.size:
        assert (found.least, found.most, found.mean, found.deviation, found.histogram) == (None, None, None, None, ())
        return
    assert (found.least, found.most) == (finite.min(), finite.max())
    assert found.mean == pytest.approx(finite.mean(), rel=1e-12, abs=1e-12)
    assert found.deviation == pytest.approx(finite.std(), rel=1e-9, abs=1e-12)
    if finite.min() < finite.max():
        assert sum(found.histogram) == finite.size
        assert np.abs(np.array(found.histogram) - np.histogram(finite, 16)[0]).sum() <= 2  # a value on an edge
    else:
        assert found.histogram == ()


def test_values_that_start_at_an_odd_byte_are_read(tmp_path):
    entries = {"a": ("U8", 1, 0, 1), "b": ("F32", 2, 1, 9)}
    header = json.dumps(
        {key: {"dtype": t, "shape": [n], "data_offsets": [begin, end]} for key, (t, n, begin, end) in entries.items()}
    ).encode()
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x07" + np.array([1.5, -2], "<f4").tobytes())
    found = tensor_statistics(path, "b")
    assert (found.least, found.most) == (-2, 1.5)


def test_only_one_tensor_is_read(tmp_path):
    """A hole of a terabyte beside it would take hours, and no machine has the memory."""
    size = 2**40
    entries = {
        "huge": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
        "small": {"dtype": "U8", "shape": [2], "data_offsets": [size, size + 2]},
    }
    header = json.dumps(entries).encode()
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.seek(size, 1)
        file.write(b"\x03\x05")
    assert tensor_statistics(path, "small").mean == 4


def refusal(path, key) -> str:
    with pytest.raises(TargetError) as caught:
        tensor_statistics(path, key)
    return f"{caught.value.message} | {caught.value.hint}"


def test_what_cannot_be_read_alone_is_refused(path, tmp_path, sparse):
    assert "has no tensor 'nowhere'" in refusal(path, "nowhere")
    old = tmp_path / "old.pt"
    torch.save({"w": torch.ones(2)}, old, _use_new_zipfile_serialization=False)
    assert "older format" in refusal(old, "w")
    complex_ = tmp_path / "complex.pt"
    torch.save({"w": torch.ones(2, dtype=torch.complex64), "s": torch.eye(3).to_sparse()}, complex_)
    assert "complex" in refusal(complex_, "w")
    assert "sparse" in refusal(complex_, "s")
    assert "are not read" in refusal(tmp_path / "net.gguf", "w")


def test_no_code_in_a_file_runs(tmp_path):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return Path.touch, (ran,)

    torch.save({"w": torch.ones(2), "evil": Evil()}, tmp_path / "evil.pt")
    assert "contains Python objects" in refusal(tmp_path / "evil.pt", "w")
    assert not ran.exists()


def test_only_a_checkpoint_has_tensors(path):
    session = Session(Named(str(path)))
    assert {tensor.key for tensor in tensors(session) or ()} == STATE.keys()
    assert statistics(session, "odd.same").mean == 2.5
    assert tensors(Session(Named("alexnet"))) is None
    with pytest.raises(UsageError, match="only a checkpoint"):
        statistics(Session(Named("alexnet")), "w")
