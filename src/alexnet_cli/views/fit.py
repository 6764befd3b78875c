"""What makes a training step fit: the change that was chosen, and why each other one was not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from alexnet_cli.analyses.capacity import Room
from alexnet_cli.analyses.fitting.paging import host_link
from alexnet_cli.analyses.fitting.tried import SMALLER, TRAINS_LESS, Tried
from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.document import Column, Document, Fact, Facts, Note, Row, Table
from alexnet_cli.report import Report
from alexnet_cli.units import count, size
from alexnet_cli.views.parts import Columns, given, run_line, table, titled

_MOST = 16
_SAME = 1.0005
"""Times that differ by less are shown as equal."""
_PREDICTED = (
    "Each row was traced with its change made. Kernel workspaces, allocator rounding and the device's context add to "
    "the peaks: a budget below the GPU's memory leaves room for them."
)
_PREDICTED_CPU = (
    "Each row was traced with its change made, for the CPU with what oneDNN's kernels for convolutions and LSTMs "
    "allocate. Memory that other kernels take outside torch's allocator adds to the peaks."
)
_TIMED = "Time is the roofline floor of a step, its update included, relative to the step as asked."
_WORK = "Without --gpu the work of a step is compared by its FLOPs; with a GPU it is the least time."
_RESULT = (
    "Changes that leave the training's result as it is come first: checkpoints, micro-batches unless batch norms see "
    "them, activations in place, the loss in chunks, state on the host, updates one by one. Then those that round: "
    "mixed precision, 8 bits. Other optimisers train differently."
)
_PAGED = (
    "The peak of a paged optimiser counts only what has to be on the GPU. State that does not fit beside it moves to "
    "the host and back; the time includes that, at {rate:g} GB/s each way."
)
_TRAINS_LESS = (
    "LoRA and QLoRA train adapters beside the linear layers, all but the output layer; where blocks are frozen, what "
    "runs before the others is not trained at all. These come after all that trains the same parameters."
)
_SMALLER = (
    "A smaller batch is another step than was asked for, so it comes last; it is the largest that fits with nothing "
    "else changed, and its time is for as many samples."
)
_ROUNDED = (
    "There were too many choices of blocks to look at each: those that keep almost the same were taken together. Any "
    "choice with less work needs more than the budget less {size}."
)


class Fitting(Struct, frozen=True):
    """What was found: the budget, what was tried, the best first, and what was chosen, rounded by so many bytes."""

    room: Room
    hardware: Hardware | None
    tried: Sequence[Tried]
    chosen: Tried | None
    least_bytes: int | None
    rounded_bytes: int
    optimizer: str
    emitted: str | None
    device: str


def fit_document(report: Report, found: Fitting) -> Document:
    """Show what was chosen, the blocks that are run again, and all that was tried."""
    chosen = found.chosen
    blocks = given(
        Facts(tuple(_facts(found)), "Does it fit?"),
        _blocks(chosen) if chosen is not None and chosen.step.checkpoint else None,
        _tried(found) if len(found.tried) > 1 else None,
        Note(_TIMED if found.hardware else _WORK) if len(found.tried) > 1 else None,
        Note(_RESULT) if len(found.tried) > 1 else None,
        _paged(found),
        Note(_TRAINS_LESS) if any(TRAINS_LESS <= each.change_of_result < SMALLER for each in found.tried) else None,
        Note(_SMALLER) if any(each.change_of_result == SMALLER for each in found.tried) else None,
        Note(_ROUNDED.format(size=size(found.rounded_bytes))) if found.rounded_bytes else None,
        Note(_PREDICTED_CPU if found.device == "cpu" else _PREDICTED),
    )
    where = "" if found.hardware is None else f" on {found.hardware.name}"
    return Document(f"Fitting a training step of {titled(report)}{where}", blocks, run_line(report.run))


def fit_failed_document(report: Report) -> Document:
    """Show that there is no step to fit, as the forward fails."""
    return Document(f"Fitting a training step of {titled(report)}", (), run_line(report.run))


def _facts(found: Fitting) -> Iterator[Fact]:
    asked = next((each for each in found.tried if not each.kinds), None)
    yield Fact("Budget", found.room.bytes, "bytes", found.room.gpu or "as given")
    yield Fact("Optimiser", found.optimizer)
    if asked is not None:
        if asked.step.loss != "sum":
            yield Fact("Loss", asked.step.loss)
        yield Fact(
            "As asked", asked.peak_bytes, "bytes", "fits" if asked.fits else f"too large by {size(asked.over_bytes)}"
        )
    chosen = found.chosen
    if chosen is None:
        yield Fact("Nothing fits", found.least_bytes, "bytes", "the least peak that was reached")
    elif not chosen.kinds:
        yield Fact("Change", "none is needed")
    else:
        yield Fact("Change", chosen.change)
        yield Fact("its peak", chosen.peak_bytes, "bytes", level=1)
        yield Fact("its time", _slower(chosen), level=1)
        if chosen.seconds_floor is not None:
            yield Fact("at least", chosen.seconds_floor, "seconds", "a step", level=1)
        yield Fact("the result", _result(chosen), level=1)
    if found.emitted is not None:
        yield Fact("Code", found.emitted)


def _paged(found: Fitting) -> Note | None:
    link = None if found.hardware is None else host_link(found.hardware.name)
    paged = any("paged" in each.kinds for each in found.tried)
    return Note(_PAGED.format(rate=link / 1e9)) if paged and link is not None else None


def _result(chosen: Tried) -> str:
    if chosen.change_of_result == SMALLER:
        return f"is that of other steps: each sees {count(chosen.step.batch_size or 0)} samples"
    return "stays the same" if chosen.same_result else "changes: the training is another one"


def _slower(tried: Tried) -> str:
    return "the same" if 1 / _SAME < tried.slowdown < _SAME else f"{tried.slowdown:.3f} ×"


def _tried(found: Fitting) -> Table:
    columns: Columns[Tried] = {
        Column("change", "Change"): lambda each: each.change,
        Column("peak_bytes", "Peak", "bytes"): lambda each: each.peak_bytes,
        Column("saves_bytes", "Saves", "bytes", priority=6): lambda each: each.saves_bytes,
        Column("slowdown", "Time" if found.hardware else "Work", priority=8): _slower,
        Column("same_result", "Same result", priority=5): lambda each: "yes" if each.same_result else "no",
        Column("why", "Verdict", priority=9): lambda each: _why(each, found.chosen),
    }
    left = len(found.tried) - _MOST
    more = f"; {count(left)} more in the JSON" if left > 0 else ""
    return table("candidates", columns, found.tried[:_MOST], f"What was tried, the best first{more}", _look)


def _look(tried: Tried) -> Row:
    return Row((), role="leaf" if tried.fits else "function")


def _why(tried: Tried, chosen: Tried | None) -> str:
    if not tried.fits:
        return f"too large by {size(tried.over_bytes)}"
    if chosen is None or tried == chosen:
        return "chosen"
    if chosen.change_of_result < tried.change_of_result:
        if tried.change_of_result >= TRAINS_LESS:
            return "fits, another step" if tried.change_of_result == SMALLER else "fits, trains less"
        return "fits, changes the result" if chosen.same_result else "fits, changes more"
    return "fits, slower" if tried.slowdown > chosen.slowdown * _SAME else "fits, takes as long"


def _blocks(chosen: Tried) -> Table:
    columns: Columns[tuple[str, ...]] = {
        Column("block", "Block"): lambda paths: paths[0] if len(paths) == 1 else f"{paths[0]} to {paths[-1]}"
    }
    shown = chosen.step.checkpoint
    title = f"Run again in the backward: {count(len(shown))} of {count(chosen.blocks)} blocks"
    return table("blocks", columns, shown, title)
