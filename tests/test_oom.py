"""A snapshot of CUDA memory: what is read, what it shows of a failure, and what a traced step explains of it."""

from __future__ import annotations

import pickle
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

import jsonschema
import pytest
import snapshots
from msgspec import UNSET
from mutations import rounds
from snapshots import MIB, Allocator, OutOfMemoryError, frames
from test_floors import run_without_torch

from alexnet_cli.analyses.oom.allocator import block_bytes, segment_bytes
from alexnet_cli.analyses.oom.failure import failure, origin
from alexnet_cli.analyses.oom.match import match
from alexnet_cli.analyses.oom.rewind import at_failure
from alexnet_cli.answers.oom import oom
from alexnet_cli.errors import TargetError
from alexnet_cli.session.how import training_step
from alexnet_cli.session.session import Named, Session
from alexnet_cli.session.snapshots import read_snapshot
from alexnet_cli.snapshot import Frame
from alexnet_cli.tracing.options import TraceOptions

DOCS = Path(__file__).parents[1] / "docs" / "snapshot.pickle"
USERS = ("/home/ann/train.py", 12, "train")
LOSS = ("/home/ann/loss.py", 3, "loss")
TIMM = "C:\\venv\\Lib\\site-packages\\timm\\vit.py:2"


def read(allocator, tmp_path):
    return at_failure(read_snapshot(tmp_path / allocator.write(tmp_path / "snapshot.pickle")))


# Rounding


@pytest.mark.parametrize(
    ("asked", "block", "segment"),
    [
        (1, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (11 * MIB, 11 * MIB, 12 * MIB),
    ],
)
def test_sizes_are_rounded_as_the_allocator_rounds(asked, block, segment):
    assert (block_bytes(asked), segment_bytes(asked)) == (block, segment)


# What failed


def test_the_request_and_what_was_live_are_told_by_line(tmp_path):
    allocator = Allocator(64 * MIB)
    allocator.malloc(10 * MIB, frames(USERS))
    allocator.malloc(1000, frames(LOSS, USERS))
    allocator.malloc(8 * MIB, frames(USERS, native=("at::cuda::getCurrentCUDABlasHandle()", "at::cuda::blas::gemm")))
    allocator.malloc(3 * MIB, [])
    with pytest.raises(OutOfMemoryError):
        allocator.malloc(40 * MIB + 1, frames(LOSS, USERS))
    seen = failure(read(allocator, tmp_path))
    assert (seen.request.bytes, seen.request.block_bytes) == (40 * MIB + 1, 40 * MIB + 512)
    assert (seen.request.segment_bytes, seen.request.line) == (42 * MIB, "/home/ann/loss.py:3")
    assert (seen.reserved_bytes, seen.segments) == ((10 + 2 + 20) * MIB, 3)
    assert seen.device_free_bytes == 64 * MIB - seen.reserved_bytes
    told = {(place.kind, place.line): (place.bytes, place.count) for place in seen.places}
    assert told == {
        ("line", "/home/ann/train.py:12"): (10 * MIB, 1),
        ("line", "/home/ann/loss.py:3"): (1024, 1),
        ("workspace", "/home/ann/train.py:12"): (8 * MIB, 1),
        ("unknown", None): (3 * MIB, 1),
    }
    assert seen.rounding_bytes == 24
    assert seen.fragmented is False
    assert seen.allocated_bytes + seen.free.bytes == seen.reserved_bytes


def test_free_memory_in_pieces_is_told_from_memory_that_is_full(tmp_path):
    """Ten blocks of 2 MiB fill a segment of 20; every other one is freed, and 4 MiB fit nowhere."""
    allocator = Allocator(20 * MIB)
    held = [allocator.malloc(2 * MIB, frames(USERS)) for _ in range(10)]
    for address in held[::2]:
        allocator.free(address)
    with pytest.raises(OutOfMemoryError):
        allocator.malloc(4 * MIB, frames(USERS))
    seen = failure(read(allocator, tmp_path))
    assert seen.fragmented is True
    free = seen.free
    assert (free.bytes, free.largest_bytes, free.split_bytes, free.whole_bytes) == (10 * MIB, 2 * MIB, 10 * MIB, 0)
    assert (free.usable_bytes, free.largest_usable_bytes) == (10 * MIB, 2 * MIB)


def test_what_is_free_in_the_other_pool_does_not_count(tmp_path):
    allocator = Allocator(22 * MIB)
    allocator.malloc(512, frames(USERS))
    allocator.malloc(20 * MIB, frames(USERS))
    with pytest.raises(OutOfMemoryError):
        allocator.malloc(3 * MIB // 2, frames(USERS))
    seen = failure(read(allocator, tmp_path))
    assert (seen.free.bytes, seen.free.usable_bytes, seen.fragmented) == (2 * MIB - 512, 0, False)


def test_what_came_after_the_failure_is_taken_back(tmp_path):
    """The error is caught, tensors are freed, the cache is emptied, others allocated; then the snapshot is taken."""
    allocator = Allocator(64 * MIB)
    kept = [allocator.malloc(size * MIB, frames((f"/home/ann/{size}.py", size, "f"))) for size in (12, 14, 16)]
    with pytest.raises(OutOfMemoryError):
        allocator.malloc(40 * MIB, frames(LOSS))
    before = failure(read(allocator, tmp_path))
    for address in kept[1:]:
        allocator.free(address)
    allocator.empty_cache()
    allocator.malloc(18 * MIB, frames(USERS))
    allocator.malloc(100, frames(USERS))
    assert failure(read(allocator, tmp_path)) == before
    assert [place.line for place in before.places] == ["/home/ann/16.py:16", "/home/ann/14.py:14", "/home/ann/12.py:12"]


def test_without_a_history_it_is_the_memory_when_the_snapshot_was_taken(tmp_path, alexnet):
    allocator = Allocator(64 * MIB, history=False)
    allocator.malloc(10 * MIB, frames(USERS))
    seen = failure(read(allocator, tmp_path))
    assert (seen.request, seen.device_free_bytes, seen.fragmented, seen.free.usable_bytes) == (None, None, None, None)
    assert [place.kind for place in seen.places] == ["unknown"]
    answer = alexnet("oom", str(tmp_path / "snapshot.pickle"))
    assert answer.code == 0
    assert "records no failure" in answer.out
    assert "No stacks were recorded" in answer.out


@pytest.mark.parametrize(
    ("stack", "kind", "line"),
    [
        ([("/home/ann/a.py", 1, "f")], "line", "/home/ann/a.py:1"),
        ([("C:\\venv\\Lib\\site-packages\\timm\\vit.py", 2, "f")], "library", TIMM),
        ([("/v/lib/python3.11/site-packages/torch/nn/functional.py", 3, "linear")], "unknown", None),
        ([("/usr/lib/python3.11/threading.py", 4, "run")], "unknown", None),
        ([("??", 0, "at::cuda::getCurrentCUDABlasHandle()"), ("??", 0, "gemm")], "workspace", None),
        ([("??", 0, "at::native::run_conv_plan"), ("/home/ann/a.py", 1, "f")], "workspace", "/home/ann/a.py:1"),
        ([("??", 0, "at::detail::empty_generic"), ("??", 0, "at::native::run_conv_plan")], "unknown", None),
    ],
)  # fmt: skip
def test_an_origin_is_the_innermost_line_of_the_user(stack, kind, line):
    assert origin(tuple(Frame(*frame) for frame in stack))[:2] == (kind, line)


# Held against a step


@cache
def step(batch=64):
    return Session(Named("alexnet"), TraceOptions(batch_size=batch), cache=False).training(training_step("adam"))


@cache
def failed(capacity=1200 * MIB):
    """A step of AlexNet on a small GPU, beside tensors that somebody keeps and a workspace."""
    allocator = Allocator(capacity)
    allocator.malloc(77 * MIB, frames(LOSS))
    allocator.malloc(8 * MIB + 128 * 1024, frames(USERS, native=("at::cuda::getCurrentCUDABlasHandle()",)))
    at, live = snapshots.run_step(allocator, step(), lambda _: frames(USERS))
    return allocator, at, live


def test_the_moment_and_the_layers_are_found_by_the_sizes(tmp_path):
    allocator, at, live = failed()
    state = read(allocator, tmp_path)
    found = match(state, step())
    storages = step().tape.storages
    assert (found.operation, found.asks) == (at, True)
    assert found.matched_bytes == sum(block_bytes(storages[number].bytes) for number in live)
    assert (found.missing_bytes, found.workspace_bytes) == (0, 8 * MIB + 128 * 1024)
    assert [(place.line, place.requested_bytes) for place in found.unpredicted] == [("/home/ann/loss.py:3", 77 * MIB)]
    held = {(layer.path, layer.kind): layer.bytes for layer in found.layers}
    linear = block_bytes((9216 * 4096) * 4)
    assert held["architecture.14", "weights"] == linear + block_bytes(4096 * 4)
    assert found.predicted_bytes == found.matched_bytes


@pytest.mark.parametrize("capacity", [860 * MIB, 1050 * MIB, 1150 * MIB])
def test_it_is_found_wherever_memory_runs_out(tmp_path, capacity):
    """In the first convolution, in a later one, and in backward."""
    allocator, at, live = failed(capacity)
    found = match(read(allocator, tmp_path), step())
    predicted = sum(block_bytes(step().tape.storages[number].bytes) for number in live)
    assert (found.operation, found.matched_bytes, found.missing_bytes) == (at, predicted, 0)


def test_another_batch_leaves_much_that_nobody_predicted(tmp_path):
    allocator, _, _ = failed()
    right, wrong = (match(read(allocator, tmp_path), step(batch)) for batch in (64, 16))
    assert wrong.unpredicted_bytes > right.unpredicted_bytes


def test_the_snapshot_in_the_docs_is_this_one():
    """`python tests/test_oom.py` writes it again."""
    assert pickle.loads(DOCS.read_bytes()) == failed()[0].dump()


# What is read


class Runs:
    def __reduce__(self):
        return print, ("it ran",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps({"segments": [Runs()], "device_traces": []}), "contains Python objects"),
        (pickle.dumps([1, 2]), "is no snapshot of CUDA memory"),
        (pickle.dumps({"segments": [], "device_traces": 7}), "a int instead of a list"),
        (pickle.dumps({"segments": [{"address": 0}], "device_traces": []}), "total_size"),
        (pickle.dumps({"segments": [], "device_traces": [[{"action": "alloc", "size": 1.5}]]}), "a number"),
        (b"not a pickle", "damaged"),
        (b"", "empty"),
    ],
    ids=["a call", "a list", "no list", "no size", "no number", "text", "nothing"],
)
def test_what_is_no_snapshot_is_refused(tmp_path, content, said, alexnet):
    path = tmp_path / "snapshot.pickle"
    path.write_bytes(content)
    with pytest.raises(TargetError, match=said):
        read_snapshot(path)
    answer = alexnet("oom", str(path))
    assert answer.code == 3
    assert "Traceback" not in answer.err
    assert "it ran" not in answer.out + answer.err


def test_lists_that_repeat_a_list_are_not_followed_forever(tmp_path, monkeypatch):
    """A file of some kilobytes with 10,000 segments of 10,000 blocks, all the same list."""
    monkeypatch.setattr("alexnet_cli.targets.snapshot_file.MOST", 1_000_000)
    block = {"size": 0, "address": 0, "state": "inactive", "frames": []}
    blocks = [block] * 10_000
    segment = {"address": 0, "total_size": 1, "blocks": blocks}
    path = tmp_path / "snapshot.pickle"
    path.write_bytes(pickle.dumps({"segments": [segment] * 10_000, "device_traces": []}))
    assert path.stat().st_size < 10**6
    with pytest.raises(TargetError, match="entries"):
        read_snapshot(path)


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    allocator = Allocator(64 * MIB)
    path = tmp_path / "snapshot.pickle"
    allocator.write(path)
    monkeypatch.setattr("alexnet_cli.targets.snapshot_file.LARGEST", path.stat().st_size - 1)
    with pytest.raises(TargetError, match=r"has [\d,]+ bytes"):
        read_snapshot(path)


def test_every_change_of_a_file_is_read_or_refused(tmp_path):
    allocator = Allocator(20 * MIB)
    held = [allocator.malloc(2 * MIB, frames(USERS)) for _ in range(4)]
    allocator.free(held[1])
    data = pickle.dumps(allocator.dump())
    path = tmp_path / "snapshot.pickle"
    chance = Random(17)
    for _ in range(rounds(300)):
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            changed[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(changed[: chance.choice((len(data), chance.randrange(1, len(data))))])
        with suppress(TargetError):
            failure(at_failure(read_snapshot(path)))


# The command


def test_the_answer_has_its_schema_and_needs_torch_for_a_model_alone(tmp_path, alexnet):
    allocator = failed()[0]
    path = allocator.write(tmp_path / "snapshot.pickle")
    alone = alexnet("oom", path, "--json")
    schema = alexnet("schema", "oom").json
    jsonschema.validate(alone.json, schema)
    assert (alone.json["model"], "predicted" in alone.json) == (None, False)
    assert run_without_torch("oom", path).returncode == 0
    with_model = alexnet("oom", path, "alexnet", "-b", "64", "--optimizer", "adam", "--json")
    jsonschema.validate(with_model.json, schema)
    assert with_model.json["predicted"]["matched_bytes"] > 800 * MIB
    assert with_model.json["failure"] == alone.json["failure"]
    assert list(with_model.json)[6:] == ["snapshot", "failure", "predicted"]


@pytest.mark.parametrize("name", ["table", "csv", "markdown", "latex", "html", "svg"])
def test_every_format_shows_it(tmp_path, alexnet, name):
    path = failed()[0].write(tmp_path / "snapshot.pickle")
    answer = alexnet("oom", path, "alexnet", "-b", "64", "--optimizer", "adam", "-f", name)
    assert answer.code == 0
    assert "loss.py" in answer.out


def test_a_hint_names_what_was_within_reach(tmp_path, alexnet):
    allocator = failed()[0]
    path = allocator.write(tmp_path / "snapshot.pickle")
    seen = oom(None, path).result
    assert seen.predicted is UNSET
    reach = seen.failure.reserved_bytes + seen.failure.device_free_bytes
    assert reach == 1200 * MIB
    answer = alexnet("oom", path, "alexnet", "-b", "64")
    assert "alexnet memory alexnet --capacity 1200MiB" in " ".join(answer.out.split())
    assert alexnet("memory", "alexnet", "--capacity", "1200MiB", "--json").json["fit"]["capacity_bytes"] == reach


def test_a_hint_names_the_command_that_makes_the_step_fit(alexnet):
    """Its budget is what was within reach, without what nobody predicted; what it finds fits there."""
    given = ["alexnet", "-b", "64", "--optimizer", "adam"]
    answer = alexnet("oom", str(DOCS), *given)
    said = re.search(r"alexnet fit (.* --budget \d+MiB)", " ".join(answer.out.split()))
    assert said is not None
    command = said[1].split()
    assert command[:-2] == given
    predicted = alexnet("oom", str(DOCS), *given, "--json").json["predicted"]
    beside = predicted["workspace_bytes"] + predicted["unpredicted_bytes"]
    assert command[-1] == f"{(1200 * MIB - beside) // MIB}MiB"
    found = alexnet("fit", *command, "--json")
    assert found.code == 0
    assert found.json["chosen"]["peak_bytes"] <= 1200 * MIB - beside


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing.pickle"], 3, "file not found"),
        (["."], 3, "is a folder"),
        ([], 2, "SNAPSHOT"),
        (["missing.pickle", "--optimizer", "adamm"], 2, "unknown optimizer"),
        (["SNAPSHOT", "no_such_model"], 2, "no_such_model"),
    ],
)
def test_bad_arguments_exit_with_their_code(tmp_path, alexnet, arguments, code, said):
    path = Allocator(64 * MIB).write(tmp_path / "snapshot.pickle")
    answer = alexnet("oom", *[path if given == "SNAPSHOT" else given for given in arguments])
    assert (answer.code, "Traceback" in answer.err) == (code, False)
    assert said in answer.err


if __name__ == "__main__":
    failed()[0].write(DOCS)
