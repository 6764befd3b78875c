from __future__ import annotations

import json
import os
from math import prod

import pytest

from alexnet_cli.errors import TargetError
from alexnet_cli.report import Report
from alexnet_cli.targets.resolve import resolve

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1, "I64": 8, "I32": 4}


@pytest.fixture
def raw(tmp_path):
    """Write a safetensors file: a header as it is given, and a hole where the values would be."""

    def write(header, size=0, name="model.safetensors", length=None):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = tmp_path / name
        path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text)
        os.truncate(path, 8 + len(text) + size)
        return str(path)

    return write


@pytest.fixture
def sparse(raw):
    """Write a safetensors file of these dtypes and shapes, without the values."""

    def write(tensors, name="model.safetensors"):
        header, end = {}, 0
        for key, (dtype, shape) in tensors.items():
            begin, end = end, end + BYTES[dtype] * prod(shape)
            header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        return raw(header, end, name)

    return write


@pytest.fixture
def read():
    def call(target) -> Report:
        report = resolve(str(target))
        assert isinstance(report, Report)
        return report

    return call


@pytest.fixture
def refusal():
    """Resolve what must be refused, and return what is said."""

    def call(target) -> str:
        with pytest.raises(TargetError) as caught:
            resolve(str(target))
        assert caught.value.exit_code == 3
        return f"{caught.value.message} | {caught.value.hint}"

    return call
