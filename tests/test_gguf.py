"""GGUF files as targets, as the gguf package writes them, and as nobody should."""

from __future__ import annotations

import random
import struct
from contextlib import suppress

import numpy as np
import pytest
from mutations import rounds

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.gguf import TYPES, read_gguf

gguf = pytest.importorskip("gguf")
CHANGES = rounds(1_000)
Q4_K, Q8_0 = gguf.GGMLQuantizationType.Q4_K, gguf.GGMLQuantizationType.Q8_0


def write(path, *, endianess=gguf.GGUFEndian.LITTLE):
    writer = gguf.GGUFWriter(path, "llama", endianess=endianess)
    writer.add_name("Tiny")
    writer.add_token_list(["a", "b", "c"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.add_tensor("token_embd.weight", np.zeros((100, 256), np.float16))
    quantised = gguf.quants.quantize(np.ones((64, 256), np.float32), Q8_0)
    writer.add_tensor("blk.0.attn_q.weight", quantised, raw_dtype=Q8_0)
    writer.add_tensor("blk.0.ffn_up.weight", np.zeros((512, 144), np.uint8), raw_dtype=Q4_K)
    writer.add_tensor("output_norm.weight", np.zeros(256, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_parameters_beside_stored_bytes(alexnet, file):
    answer = alexnet("params", str(file), "--json")
    assert answer.code == 0
    assert answer.json["totals"]["params"] == 100 * 256 + 64 * 256 + 512 * 256 + 256
    q8_0, q4_k = 64 * 256 // 32 * 34, 512 * 256 // 256 * 144  # 32 bytes and a scale of two; see the table of ggml
    assert answer.json["totals"]["param_bytes"] == 100 * 256 * 2 + q8_0 + q4_k + 256 * 4
    assert "a GGUF file (llama, Tiny)" in answer.json["model"]["description"]


def test_shapes_are_as_torch_has_them(file):
    held = read_gguf(file).tensors
    assert held["token_embd.weight"].shape == (100, 256)
    assert (held["blk.0.ffn_up.weight"].shape, held["blk.0.ffn_up.weight"].dtype) == ((512, 256), "Q4_K")


def test_the_other_byte_order(tmp_path, file):
    assert read_gguf(write(tmp_path / "big.gguf", endianess=gguf.GGUFEndian.BIG)) == read_gguf(file)


def test_the_types_are_those_of_the_package():
    ours = {number: (block, size) for number, (_, block, size) in TYPES.items()}
    assert ours == {int(kind): sizes for kind, sizes in gguf.constants.GGML_QUANT_SIZES.items()}


def _header(*counts: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, *counts) + rest


NAME = struct.pack("<Q", 1) + b"a"
ENDLESS_ARRAY = NAME + struct.pack("<IIQ", 9, 8, 2**63)
NESTED = NAME + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 50


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GGML" + bytes(100), "does not begin with GGUF"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(100), "version 1"),
        (_header(2**63, 0), "should hold 9,223,372,036,854,775,808 entries"),
        (_header(0, 2**63), "should hold 9,223,372,036,854,775,808 entries"),
        (_header(0, 1, rest=ENDLESS_ARRAY), "should hold 9,223,372,036,854,775,808 entries"),
        (_header(0, 1, rest=NESTED), "unknown type 9"),
        (_header(0, 1, rest=struct.pack("<Q", 2**62)), "does not end in the file"),
        (_header(1, 0, rest=NAME + struct.pack("<I", 2**31) + bytes(64)), "2,147,483,648 dimensions"),
        (_header(1, 0, rest=NAME + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0)), "impossible shape"),
        (_header(1, 0, rest=NAME + struct.pack("<IQIQ", 1, 33, 8, 0)), "impossible shape for Q8_0"),
        (_header(1, 0, rest=NAME + struct.pack("<IQIQ", 1, 32, 99, 0)), "unknown type 99"),
        (_header(1, 0, rest=NAME + struct.pack("<IQIQ", 1, 32, 0, 2**60)), "ends after the file"),
    ],
)
def test_a_damaged_file(alexnet, tmp_path, data, said):
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    answer = alexnet("params", str(path))
    assert answer.code == 3
    assert said in answer.err


def test_any_change_of_bytes_is_read_or_refused(file, tmp_path):
    whole, path = file.read_bytes(), tmp_path / "changed.gguf"
    header, chance = len(whole) - sum(each.size_bytes for each in read_gguf(file).tensors.values()), random.Random(0)
    read = 0
    for _ in range(CHANGES):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(header)] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        with suppress(TargetError):  # anything else that is raised fails the test
            read_gguf(path)
            read += 1
    assert 0 < read < CHANGES
