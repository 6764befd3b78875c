"""Folders of torch.distributed.checkpoint: read by their metadata, a pickle of which nothing is run."""

from __future__ import annotations

import builtins
import os
import pickle
import pickletools
import random
import subprocess
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from model_folders import SIZES, save_distributed
from mutations import rounds
from torch import nn
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    TensorProperties,
    TensorStorageMetadata,
)

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.distributed import read_distributed

CHANGES = rounds(500)


class RunsCode:
    """What a hostile checkpoint holds: loading it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def net():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


NET_PARAMS, NET_BUFFERS = 4 * 3 + 3 + 2 * 3, 2 * 3 + 1


@pytest.fixture
def flat(tmp_path):
    save_distributed(net().state_dict(), tmp_path / "flat")
    return tmp_path / "flat"


def trained():
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return model, optimizer


def metadata_of(tensors, **others):
    return Metadata(
        {
            key: TensorStorageMetadata(
                TensorProperties(dtype), torch.Size(size), [ChunkStorageMetadata(torch.Size(size), torch.Size(size))]
            )
            for key, (dtype, size) in tensors.items()
        },
        **others,
    )


@pytest.fixture
def folder(tmp_path):
    """Write a folder with this metadata, an object or the bytes themselves."""

    def write(metadata, protocol=4):
        data = metadata if isinstance(metadata, bytes) else pickle.dumps(metadata, protocol)
        (tmp_path / ".metadata").write_bytes(data)
        return tmp_path

    return write


def test_a_folder_is_a_target(alexnet, flat):
    answer = alexnet("params", str(flat), "--by-layer", "--json")
    assert answer.code == 0
    assert answer.json["totals"]["params"] == NET_PARAMS
    assert answer.json["totals"]["buffers"] == NET_BUFFERS
    assert answer.json["totals"]["param_bytes"] == 4 * NET_PARAMS
    assert [row["type"] for row in answer.json["layers"]] == ["Linear", "BatchNorm"]


def test_the_metadata_itself_is_a_target_too(flat, read):
    assert read(flat / ".metadata").totals.params == NET_PARAMS


def test_of_what_was_saved_only_the_model_counts(tmp_path, read):
    model, optimizer = trained()
    save_distributed({"optim": optimizer.state_dict(), "model": model.state_dict(), "step": 3}, tmp_path / "all")
    report = read(tmp_path / "all")
    assert report.totals.params == NET_PARAMS
    assert [row.path for row in report.layers] == ["", "0", "1"]
    assert "the model under 'model' (12 other tensors are not counted)" in report.model.description


def test_a_folder_of_accelerate(tmp_path, read):
    model, optimizer = trained()
    save_distributed({"model": model.state_dict()}, tmp_path / "step" / "pytorch_model_fsdp_0")
    save_distributed({"optimizer": optimizer.state_dict()}, tmp_path / "step" / "optimizer_0")
    assert read(tmp_path / "step").totals.params == NET_PARAMS


SHARDED = """
    import os, sys, torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
    from torch import nn
    from torch.distributed.fsdp import fully_shard
    rank, folder = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    mesh = dist.device_mesh.init_device_mesh("cpu", (2,))
    fully_shard(model, mesh=mesh)
    dcp.save({"model": model.state_dict()}, checkpoint_id=f"{folder}/sharded")
    dist.barrier()
    os._exit(0)  # gloo's threads may abort a process that ends by itself
"""


def test_a_model_that_fsdp_sharded_over_two_ranks(tmp_path, read):
    pytest.importorskip("torch.distributed.fsdp", reason="this torch cannot shard")
    if not hasattr(torch.distributed.fsdp, "fully_shard"):
        pytest.skip("fully_shard is public as of torch 2.6")
    script = tmp_path / "save.py"
    script.write_text(dedent(SHARDED))
    ranks = [subprocess.Popen([sys.executable, str(script), str(rank), str(tmp_path)]) for rank in range(2)]
    assert [rank.wait() for rank in ranks] == [0, 0]
    assert len(list((tmp_path / "sharded").glob("*.distcp"))) == 2
    report = read(tmp_path / "sharded")
    assert (report.totals.params, report.totals.buffers) == (NET_PARAMS, NET_BUFFERS)
    assert next(row for row in report.layers if row.path == "0").settings["in_features"] == 4


def test_a_model_folder_with_distributed_weights(alexnet, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))
    model.config.architectures = ["LlamaForCausalLM"]
    model.config.save_pretrained(tmp_path)
    save_distributed(model.state_dict(), tmp_path)
    answer = alexnet("summary", str(tmp_path), "-i", "4:int64")
    assert answer.code == 0
    assert f"all {len(model.state_dict())} tensors fit" in answer.out


def test_missing_files_are_told(flat, read):
    next(flat.glob("*.distcp")).unlink()
    report = read(flat)
    assert report.totals.params == NET_PARAMS
    assert "1 of its 1 files are not in the folder" in report.model.description


def test_torch_is_not_needed(flat):
    code = "import sys; from alexnet_cli.cli.app import run; run(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "params", str(flat)], check=True, capture_output=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_binary_protocol_is_read(folder, read, protocol):
    assert read(folder(metadata_of({"a.weight": (torch.bfloat16, (2, 3))}), protocol)).totals.param_bytes == 12


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float64", "int8", "uint8", "float8_e4m3fn", "complex64", "int32"]
)
def test_bytes_of_each_dtype(folder, read, dtype):
    kind = getattr(torch, dtype)
    assert read(folder(metadata_of({"a.scale": (kind, (5,))}))).totals.param_bytes == 5 * kind.itemsize


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", ["alone", "planner_data", "key"])
def test_code_in_metadata_is_never_run(alexnet, folder, tmp_path, protocol, place):
    victim = tmp_path / "victim"
    evil = RunsCode(builtins.open, str(victim), "w")
    metadata = metadata_of({"a.weight": (torch.float32, (2,))}, planner_data={"x": evil})
    if place == "key":
        metadata.state_dict_metadata = {"a": evil}
    answer = alexnet("params", str(folder(evil if place == "alone" else metadata, protocol)))
    assert (answer.code, answer.out) == (3, "")
    assert "Traceback" not in answer.err
    named = f"contains Python objects ({open.__module__}.open)"  # `_io` from Python 3.14 on
    assert protocol < 2 or named in answer.err or "instruction" in answer.err
    assert not victim.exists()


@pytest.mark.parametrize(
    "value",
    [
        RunsCode(os.system, "true"),
        RunsCode(torch.load, "x"),
        RunsCode(torch.hub.load, "x"),
        RunsCode(eval, "1"),
        RunsCode(bytearray, 2**50),
        Path.cwd,
        nn.Linear,
        {1: 2},
        {(("a",),): 1},
        frozenset({1}),
        bytearray(10),
        OrderedDict({3: 4}),
    ],
)
def test_other_objects_are_refused(folder, refusal, value):
    metadata = metadata_of({"a.weight": (torch.float32, (2,))}, planner_data=value)
    assert "contains Python objects" in refusal(folder(metadata, 5))


NAMED = b"\x80\x04\x8c\x25torch.distributed.checkpoint.metadata\x8c\x08Metadata\x93)\x81"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"hello", "damaged"),
        (NAMED, "damaged"),
        (NAMED + b".", "holds no metadata"),
        (b"\x80\x04}.", "holds no metadata"),
        (b"\x80\x04.", "damaged"),
        (b"\x80\x04R.", "damaged"),
        (b"\x80\x04)R.", "damaged"),
        (b"\x80\x04))R.", "call of what is no class"),
        (b"\x80\x04)]a.", "change of a tuple"),
        (b"\x80\x04h\x07.", "damaged"),
        (b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x.", "damaged"),
        (b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b"x.", "damaged"),
        (b"\x80\x04\x82\x01.", "instruction EXT1"),
        (b"\x80\x04\x8c\x01xQ.", "instruction BINPERSID"),
        (b"\x80\x04" + b"(" * 100_000 + b".", "damaged"),
        (b"\x80\x04)" + b"\x85" * 1_000_000 + b".", "holds no metadata"),
    ],
)
def test_damaged_metadata(folder, refusal, data, said):
    assert said in refusal(folder(data))


@pytest.mark.parametrize("size", [(2**63,), (-1,), (2**40, 2**40), (1,) * 100])
def test_impossible_sizes_are_refused(folder, refusal, size):
    whole = pickletools.optimize(pickle.dumps(metadata_of({"a.weight": (torch.float32, (2,))}), 2))
    small, large = (pickletools.optimize(pickle.dumps(each, 2))[2:-1] for each in ((2,), size))
    assert small in whole
    assert "'a.weight'" in refusal(folder(whole.replace(small, large)))


def test_sizes_beyond_any_file_are_refused(folder, refusal):
    many = {f"{number}.weight": (torch.float32, (2**60,)) for number in range(4)}
    assert "larger than any file" in refusal(folder(metadata_of(many)))


@pytest.mark.parametrize("part", [0.01, 0.3, 0.6, 0.99])
def test_truncated_metadata_is_refused(flat, refusal, part):
    path = flat / ".metadata"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert "its pickle is damaged" in refusal(flat)


def test_only_names_beside_the_metadata_are_looked_for(folder, read, tmp_path):
    from torch.distributed.checkpoint.filesystem import _StorageInfo
    from torch.distributed.checkpoint.metadata import MetadataIndex

    (tmp_path.parent / "outside").touch()
    places = {MetadataIndex("a.weight", [0]): _StorageInfo("../outside", 0, 8)}
    report = read(folder(metadata_of({"a.weight": (torch.float32, (2,))}, storage_data=places)))
    assert "1 of its 1 files are not in the folder" in report.model.description


def test_any_change_of_bytes_is_read_or_refused(flat):
    path, chance, read = flat / ".metadata", random.Random(0), 0
    whole = path.read_bytes()
    for _ in range(CHANGES):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(1, len(data))])])
        with suppress(TargetError):  # anything else that is raised fails the test
            read_distributed(path)
            read += 1
    assert 0 < read < CHANGES
