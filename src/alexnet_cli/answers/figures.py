"""The few numbers of an answer that an edit of the model is judged by, and what changed in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.memory import Inference, Training, inference
from alexnet_cli.analyses.sharding.memory import RankMemory
from alexnet_cli.answers.cost import CostResult
from alexnet_cli.answers.memory import MemoryResult
from alexnet_cli.answers.params import ParamsResult
from alexnet_cli.answers.shard import ShardResult
from alexnet_cli.answers.summary import SummaryResult
from alexnet_cli.report import Report, Totals
from alexnet_cli.report_json import Envelope


class Figure(Struct, frozen=True):
    """A number with its name. `bytes` are shown with a binary prefix, a `count` with an SI prefix."""

    name: str
    value: int
    unit: Literal["count", "bytes"] = "count"


def figures(result: Envelope) -> tuple[Figure, ...]:
    """Return the parameters, MACs and peaks that an answer holds, as far as they are known."""
    match result:
        case SummaryResult():
            return (*_totals(result.totals), *_peak("peak", _forward(result)))
        case ParamsResult():
            return _totals(result.totals)
        case CostResult():
            return _macs(result.totals.macs)
        case MemoryResult():
            return (*_peak("peak", result.inference), *_peak("training peak", result.training))
        case ShardResult():
            return _peak("peak per GPU", result.memory)
    return ()


def changes(before: Sequence[Figure], after: Sequence[Figure]) -> str:
    """Say what changed: `+1.2 M parameters, −0.3 G MACs, peak +40.00 MiB`; empty if nothing did."""
    was = {figure.name: figure.value for figure in before}
    changed = ((figure, figure.value - was[figure.name]) for figure in after if figure.name in was)
    return ", ".join(_told(figure, by) for figure, by in changed if by)


def _told(figure: Figure, by: int) -> str:
    sign = "+" if by > 0 else "−"
    if figure.unit == "bytes":
        return f"{figure.name} {sign}{units.size(abs(by))}"
    return f"{sign}{units.si(abs(by))} {figure.name}"


def _totals(totals: Totals) -> tuple[Figure, ...]:
    return (Figure("parameters", totals.params), *_macs(totals.macs))


def _macs(macs: int | None) -> tuple[Figure, ...]:
    return () if macs is None else (Figure("MACs", macs),)


def _peak(name: str, held: Inference | Training | RankMemory | None) -> tuple[Figure, ...]:
    return () if held is None else (Figure(name, held.peak_bytes, "bytes"),)


def _forward(result: SummaryResult) -> Inference | None:
    if result.model is None or result.error is not None or not result.tape:
        return None
    return inference(
        Report(result.generator, result.model, result.run, None, result.layers, result.totals, result.tape)
    )
