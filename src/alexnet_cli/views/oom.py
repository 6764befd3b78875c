"""What filled a GPU when memory ran out: the request, live memory by line of code, and what a step predicts of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from alexnet_cli.analyses.oom.failure import Failure, Place
from alexnet_cli.analyses.oom.match import LiveLayer, Matched
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.document import Column, Document, Fact, Facts, Note, Table
from alexnet_cli.report import Report
from alexnet_cli.units import size
from alexnet_cli.views.memory import NAMES
from alexnet_cli.views.parts import Columns, facts_given, given, run_line, table, titled

_ORIGINS = {
    "line": "",
    "library": "library",
    "workspace": "workspace of cuBLAS or cuDNN",
    "unknown": "no line recorded",
}
_NO_STACKS = (
    "No stacks were recorded, which would tell live memory by line: call torch.cuda.memory._record_memory_history() "
    "before the run"
)
_NO_FAILURE = (
    "The snapshot records no failure, so this is the memory when it was taken: call "
    "torch.cuda.memory._record_memory_history() before the run, and _dump_snapshot where the error is caught"
)
_BY_SIZE = (
    "Tensors are matched by their size, rounded as the allocator rounds to 512 bytes: of tensors of the same size any "
    "may be meant."
)
MOST_ROWS = 20
_MIB = 2**20


def oom_document(
    snapshot: str, seen: Failure, report: Report | None = None, predicted: Matched | None = None, options: str = ""
) -> Document:
    """Show the request, what was reserved and live, and with a model which layers' tensors were live.

    `options` are those of the command line that the training step was asked for with.
    """
    unknown = all(place.kind == "unknown" for place in seen.places)
    blocks = given(
        _request(seen),
        _memory(seen),
        Note(_why(seen), "error") if seen.request is not None else Note(_NO_FAILURE, "warning"),
        Note(_NO_STACKS, "warning") if unknown and seen.places else None,
        None if unknown else _places(seen.places, seen.allocated_bytes, "live", "Live memory, by what asked for it"),
        *([] if report is None or predicted is None else _predicted(report, predicted, seen)),
        Note("no training step was traced to hold it against", "warning") if report and predicted is None else None,
        _advice(seen, report, predicted, options),
    )
    return Document(f"Memory in {PurePath(snapshot).name}", blocks, "" if report is None else run_line(report.run))


def _request(seen: Failure) -> Facts | None:
    asked = seen.request
    if asked is None:
        return None
    where = f"by {asked.function} at {asked.line}" if asked.line else ""
    facts = (
        Fact("Request", asked.bytes, "bytes", where),
        Fact("as a block", asked.block_bytes, "bytes", level=1),
        Fact("asked of the device", asked.segment_bytes, "bytes", level=1),
    )
    return Facts(facts, f"What failed on GPU {seen.device}")


def _memory(seen: Failure) -> Facts:
    free, usable, largest = seen.free, seen.free.usable_bytes, seen.free.largest_usable_bytes
    known, on_device = usable is not None and largest is not None, seen.device_free_bytes
    return facts_given(
        Fact("Reserved", seen.reserved_bytes, "bytes", f"in {seen.segments:,} segments"),
        Fact("allocated", seen.allocated_bytes, "bytes", level=1),
        Fact("of it rounding", seen.rounding_bytes, "bytes", level=1),
        Fact("free", free.bytes, "bytes", f"largest piece {size(free.largest_bytes)}", level=1),
        Fact("of it in segments partly used", free.split_bytes, "bytes", level=1),
        Fact("of it for this stream and pool", usable, "bytes", f"largest piece {size(largest or 0)}", 1)
        if known
        else None,
        None if on_device is None else Fact("Free on the device", on_device, "bytes", "not reserved by any process"),
        title="Memory then",
    )


def _why(seen: Failure) -> str:
    if seen.request is None:
        return ""
    block, free = size(seen.request.block_bytes), size(seen.free.usable_bytes or 0)
    largest = size(seen.free.largest_usable_bytes or 0)
    if seen.fragmented:
        return (
            f"Fragmented: {free} were reserved and free for a block of {block}, but no piece is larger than {largest}. "
            "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True joins them"
        )
    return f"Full: of what is reserved {free} were free for a block of {block}; the rest was live, or of another pool"


def _places(places: Sequence[Place], whole: int, name: str, caption: str) -> Table:
    columns: Columns[Place] = {
        Column("line", "Line"): lambda place: place.line or _ORIGINS[place.kind],
        Column("function", "Function", priority=4): lambda place: place.function,
        Column("kind", "Origin", priority=6): lambda place: _ORIGINS[place.kind],
        Column("bytes", "Live", "bytes"): lambda place: place.bytes,
        Column("share", "Share", "share", priority=7, bar=True): lambda place: fraction(place.bytes, whole),
        Column("count", "Pieces", "count", priority=5): lambda place: place.count,
    }
    return table(name, columns, places[:MOST_ROWS], caption + _cut(len(places)))


def _predicted(report: Report, found: Matched, seen: Failure) -> list[Facts | Table | Note]:
    where = f" of {found.path}" if found.path else ""
    moment = f"{found.phase}, before {found.op}{where}" if found.op else "before the first operator"
    facts = Facts(
        (
            Fact("Moment", moment, note="it makes a tensor of that size" if found.asks else "by what is live"),
            Fact("Predicted then", found.predicted_bytes, "bytes"),
            Fact("live too", found.matched_bytes, "bytes", level=1),
            Fact("not live", found.missing_bytes, "bytes", level=1),
            Fact("Live, not predicted", found.workspace_bytes + found.unpredicted_bytes, "bytes"),
            Fact("workspaces of cuBLAS and cuDNN", found.workspace_bytes, "bytes", level=1),
            Fact("nobody predicted", found.unpredicted_bytes, "bytes", level=1),
        ),
        f"Held against a training step of {titled(report)}",
    )
    whole = seen.allocated_bytes
    columns: Columns[LiveLayer] = {
        Column("path", "Layer"): lambda layer: "no layer" if layer.path is None else layer.path or "the model itself",
        Column("kind", "Use"): lambda layer: NAMES.get(layer.kind, layer.kind),  # type: ignore[call-overload] # a kind
        Column("bytes", "Live", "bytes"): lambda layer: layer.bytes,
        Column("share", "Share", "share", priority=7, bar=True): lambda layer: fraction(layer.bytes, whole),
        Column("count", "Tensors", "count", priority=5): lambda layer: layer.count,
    }
    caption = "Predicted tensors that were live, by layer" + _cut(len(found.layers))
    blocks: list[Facts | Table | Note] = [facts, table("layers", columns, found.layers[:MOST_ROWS], caption)]
    if found.unpredicted:
        blocks.append(_places(found.unpredicted, whole, "unpredicted", "What nobody predicted"))
    return [*blocks, Note(_BY_SIZE)]


def _cut(count: int) -> str:
    return f": {MOST_ROWS} of {count:,}, --json has all" if count > MOST_ROWS else ""


def _advice(seen: Failure, report: Report | None, predicted: Matched | None, options: str) -> Note | None:
    """Say what was within reach, and the commands that tell what would have fitted in it."""
    if seen.device_free_bytes is None:
        return None
    reach = seen.reserved_bytes + seen.device_free_bytes
    said = f"{size(reach)} were within reach of this process"
    capacity = f"{reach // _MIB}MiB"
    if report is None or predicted is None:
        target = report.model.target if report is not None else "TARGET"
        return Note(f"{said}: alexnet memory {target} --capacity {capacity} tells the largest batch that fits")
    target = report.model.target
    beside = predicted.workspace_bytes + predicted.unpredicted_bytes
    left = f", {size(beside)} of it for what nobody predicts" if beside else ""
    budget = f"{(reach - beside) // _MIB}MiB"
    batch = report.run.batch_size if report.run is not None else None
    step = " ".join(word for word in (f"-b {batch}" if batch else "", options) if word)
    return Note(
        f"{said}{left}: alexnet fit {target} {step} --budget {budget} finds what would have made this step fit, and "
        f"alexnet memory {target} --capacity {capacity} the largest batch that fits"
    )
