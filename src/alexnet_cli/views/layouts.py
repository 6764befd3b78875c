"""The layouts of `shard --fit`: the best, why the others fall, and what a GPU holds in each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from msgspec import Struct

from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.sharding.search import SizeTried, Tried
from alexnet_cli.document import Axis, Bar, Bars, Column, Document, Fact, Facts, Note, Part, Plot, Series, Table
from alexnet_cli.rank import HELD, Held
from alexnet_cli.report import Report
from alexnet_cli.units import count, size
from alexnet_cli.views.parts import Columns, given, run_line, table, titled, without
from alexnet_cli.views.shard import BOUND, HELD_AS

_MOST, _MOST_FALLS = 8, 5
_NEAR = 0.25
"""From this share of a GPU's memory on a picture of what it holds shows the whole."""
_NOT_TRACED = "without a trace"
_COMPARED = (
    "Ranked by the least time of a sample, as replicas work on samples of their own; each layout in full by shard with "
    "these sizes. What NCCL, fragmentation and the device's context take adds to the memory."
)


class Searched(Struct, frozen=True):
    """How a search went: of `gpus`, or else for the fewest, None if no number does, with the numbers before it.

    `traces` is how many ranks were run.
    """

    gpus: int | None
    fewest_gpus: int | None
    smaller: tuple[SizeTried, ...]
    traces: int
    checkpoint: str
    amp: str | None


def layouts_document(report: Report, searched: Searched, tried: Sequence[Tried], hardware: Hardware) -> Document:
    """Show the number of GPUs, the layouts that fit from the fastest on, and why the others fall."""
    fitting = [each for each in tried if each.fits]
    blocks = given(
        Facts(tuple(_facts(searched, tried, hardware)), "Does it fit?"),
        ranked(fitting, hardware) if fitting else None,
        falling(tried) if len(fitting) < len(tried) else None,
        memory_plot(tried[:_MOST], hardware),
        Note(_COMPARED),
    )
    return Document(f"Layouts of {titled(report)} on {hardware.name}", blocks, run_line(report.run))


def _facts(searched: Searched, tried: Sequence[Tried], hardware: Hardware) -> Iterable[Fact]:
    yield Fact("Capacity", hardware.capacity_bytes, "bytes", "of each GPU")
    fits = any(each.fits for each in tried)
    if searched.gpus is not None:
        yield Fact("GPUs", searched.gpus, "count", "" if fits else "no layout fits")
    elif searched.fewest_gpus is not None:
        yield Fact("Fewest GPUs", searched.fewest_gpus, "count")
    else:
        yield Fact("Fewest GPUs", f"more than {count(tried[0].gpus)} do not help" if tried else "none")
    for smaller in searched.smaller[-2:]:
        held = "refused" if smaller.least_bytes is None else f"{size(smaller.least_bytes)} on each at least"
        how = "" if smaller.traced else _NOT_TRACED
        yield Fact(f"{count(smaller.gpus)} GPU{'s' * (smaller.gpus > 1)}", held, note=how, level=1)
    yield Fact(
        "Layouts", len(tried), "count", f"{count(searched.traces)} rank{'s' * (searched.traces != 1)} traced in all"
    )


def name_of(tried: Tried) -> str:
    """Name a layout by the dimensions that have several ranks."""
    sizes = {"pp": tried.pp, "ddp": tried.ddp, "fsdp": tried.fsdp, "tp": tried.tp}
    return " × ".join(f"{name} {number}" for name, number in sizes.items() if number > 1) or "one GPU"


def ranked(fitting: Sequence[Tried], hardware: Hardware) -> Table:
    """Compare the layouts that fit, from the fastest on."""
    capacity = hardware.capacity_bytes or 1
    columns: Columns[Tried] = {
        Column("place", "#", "count"): lambda each: each.place,
        Column("layout", "Layout"): name_of,
        Column("peak_bytes", "Peak", "bytes"): lambda each: each.peak_bytes,
        Column("of_capacity", "Of the GPU", "share", priority=4): lambda each: (each.peak_bytes or 0) / capacity,
        Column("step_seconds", "Step", "seconds"): lambda each: each.step_seconds,
        Column("slower", "A sample", priority=8): lambda each: "" if each.slower is None else f"{each.slower:.2f} ×",
        Column("mfu", "MFU", "share", priority=6): lambda each: each.mfu,
        Column("bound", "Bound by", priority=7): lambda each: BOUND[each.bound] if each.bound else "",
    }
    if all(each.mfu is None for each in fitting):  # a forward
        columns = without(columns, {"mfu"})
    left = len(fitting) - _MOST
    more = f"; {count(left)} slower ones are in the JSON" if left > 0 else ""
    return table("layouts", columns, fitting[:_MOST], f"Layouts that fit, by the least time of a sample{more}")


def falling(tried: Sequence[Tried]) -> Table:
    """Tell why layouts fall; those that are refused for the same reason together."""
    large = [(name_of(each), _why(each)) for each in tried if each.fits is False]
    refused = sorted((each for each in tried if each.refused is not None), key=lambda each: each.refused or "")
    groups = ((why, list(alike)) for why, alike in groupby(refused, key=lambda each: each.refused))
    rows = [*large[:_MOST_FALLS], *((_together(alike), why or "") for why, alike in groups)]
    columns: Columns[tuple[str, str]] = {
        Column("layout", "Layout"): lambda row: row[0],
        Column("why", "Why it falls"): lambda row: row[1],
    }
    left = len(large) - _MOST_FALLS
    more = f"; {count(left)} that need more are in the JSON" if left > 0 else ""
    return table("falls", columns, rows, f"Layouts that fall{more}")


def _together(alike: Sequence[Tried]) -> str:
    return name_of(alike[0]) if len(alike) == 1 else f"{name_of(alike[0])} and {count(len(alike) - 1)} more"


def _why(tried: Tried) -> str:
    over = f"does not fit by {size(tried.over_bytes or 0)}"
    return over if tried.peak_bytes is not None else f"{over} or more, {_NOT_TRACED}"


def memory_plot(tried: Sequence[Tried], hardware: Hardware) -> Plot | None:
    """Return what a GPU holds at its peak in each layout that was traced, stacked by kind; None for one alone."""
    known = _traced(tried)
    if len(known) < 2:  # noqa: PLR2004 - one alone is compared with nothing
        return None
    names = tuple(name_of(each) for each in known)
    areas = []
    for use in _uses(known):
        points = tuple((float(at), float(each.live_bytes.get(use, 0))) for at, each in enumerate(known, 1))
        areas.append(Series(HELD_AS[use][0], points, HELD_AS[use][1], "area", names))
    capacity = float(hardware.capacity_bytes or 0)
    limit = Series("capacity", ((0.5, capacity), (len(known) + 0.5, capacity)), "other", "line")
    near = is_near(known, hardware)
    title = "What a GPU holds at its peak, by layout in the order above"
    return Plot("memory", Axis("layout"), Axis("held", "bytes"), (*areas, *([limit] if near else [])), title)


def memory_bars(tried: Sequence[Tried], hardware: Hardware) -> Bars | None:
    """Return what a GPU holds at its peak in each layout that was traced: a share of its memory.

    Where no layout comes near that, shares are of the highest peak. None if none was traced.
    """
    known = _traced(tried[:_MOST])
    if not known:
        return None
    highest = max(each.peak_bytes or 0 for each in known)
    whole = max(highest, hardware.capacity_bytes or 0) if is_near(known, hardware) else highest
    bars = []
    for each in known:
        live = {use: each.live_bytes[use] for use in HELD if use in each.live_bytes}
        parts = (Part(HELD_AS[use][0], held, held / whole, HELD_AS[use][1]) for use, held in live.items())
        bars.append(Bar(name_of(each), "bytes", tuple(parts)))
    return Bars(tuple(bars), "What a GPU holds at its peak")


def is_near(tried: Sequence[Tried], hardware: Hardware) -> bool:
    """Tell whether the highest of some peaks is near the GPU's memory, so that a picture shows the whole of it."""
    return max(each.peak_bytes or 0 for each in tried) > (hardware.capacity_bytes or 0) * _NEAR


def _traced(tried: Sequence[Tried]) -> list[Tried]:
    return [each for each in tried if each.live_bytes]


def _uses(tried: Sequence[Tried]) -> list[Held]:
    return [use for use in HELD if any(use in each.live_bytes for each in tried)]
