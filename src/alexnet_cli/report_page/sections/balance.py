"""Parameters against MACs, by type and by layer: who holds the one and who does the other."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.fold import fold
from alexnet_cli.analyses.shares import by_type, fraction
from alexnet_cli.graphics.bar_chart import BarRow, Panel, draw
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import NARROW, Chart, chart
from alexnet_cli.report_page.material import LeftOut, Material, Section
from alexnet_cli.views.parts import layer_name

MOST_BARS = 24
TITLE = "Parameters against MACs"


class Balance(Struct, frozen=True):
    """Two charts; `title` says what the second is by, `note` what it leaves out or sums up."""

    by_type: Chart
    title: str
    second: Chart
    note: str


class Holder(Struct, frozen=True):
    """What a bar stands for, a module by its path; `path` None where it is no single layer.

    MACs are None where nothing was run.
    """

    name: str
    family: str
    path: str | None
    params: int
    macs: int | None


def balance(material: Material) -> Section | LeftOut:
    """Return who holds the parameters and who does the work."""
    report = material.report
    if not any(row.params or row.macs for row in report.layers):
        return LeftOut(TITLE, "no layer has parameters and none does work that is counted")
    types = [Holder(t.type, t.family, None, t.params, t.macs) for t in by_type(report) if t.params or t.macs]
    holders, title, note = _chosen(report)
    first, second = _chart(types[:MOST_BARS], report, "By type"), _chart(holders, report, title)
    return Section("balance", TITLE, Balance(first, title, second, note))


def _chosen(report: Report) -> tuple[list[Holder], str, str]:
    """Return all layers; where they are too many the modules at a depth, and where these are too the largest layers."""
    every = _holders(report)
    if len(every) <= MOST_BARS:
        return every, "By layer", ""
    deepest = max(row.depth for row in report.layers)
    for depth in range(deepest - 1, 0, -1):
        modules = _holders(fold(report, depth))
        if len(modules) <= MOST_BARS:
            return modules, "By module", f"{len(every):,} layers, each summed up into the module at depth {depth}."
    kept, others = _largest(every, report)
    note = f"The {len(kept)} of {len(every):,} layers that hold or do most; all are in the layer table."
    return [*kept, others], "By layer", note


def _holders(report: Report) -> list[Holder]:
    return [
        Holder((not row.leaf and row.path) or layer_name(row), row.family, row.path, row.params, row.macs)
        for row in report.layers
        if row.params or row.macs
    ]


def _largest(holders: Sequence[Holder], report: Report) -> tuple[list[Holder], Holder]:
    """Return the holders of most, in the order in which they run, and all others as one."""
    ranked = sorted(range(len(holders)), key=lambda place: max(_shares(holders[place], report)), reverse=True)
    others = [holders[place] for place in ranked[MOST_BARS:]]
    macs = None if report.totals.macs is None else sum(holder.macs or 0 for holder in others)
    rest = Holder(f"{len(others):,} others", "other", None, sum(holder.params for holder in others), macs)
    return [holders[place] for place in sorted(ranked[:MOST_BARS])], rest


def _chart(holders: Sequence[Holder], report: Report, title: str) -> Chart:
    """Draw the holders' shares side by side."""
    panels = [Panel("Parameters"), *([Panel("MACs")] if report.run is not None else [])]
    label = f"{' and '.join(panel.title for panel in panels)}, {title.lower()}: " + "; ".join(
        f"{holder.name} {' and '.join(map(units.share, _shares(holder, report)))}" for holder in holders[:6]
    )
    return chart(
        label,
        lambda width: draw([_row(holder, report, short=width <= NARROW) for holder in holders], panels, width),
    )


def _row(holder: Holder, report: Report, *, short: bool) -> BarRow:
    amounts = _shares(holder, report)
    numbers = [holder.params, *([holder.macs] if report.run is not None else [])]
    texts = [_text(number, share, short=short) for number, share in zip(numbers, amounts, strict=True)]
    paths = (holder.path,) if holder.path else ()
    return BarRow(holder.name, holder.family, tuple(amounts), tuple(texts), _sentence(holder, report), paths)


def _text(number: int | None, share: float, *, short: bool) -> str:
    if number is None:
        return units.UNKNOWN
    if not number:
        return "0"
    return units.share(share) if short else f"{units.si(number)} · {units.share(share)}"


def _shares(holder: Holder, report: Report) -> list[float]:
    shares = [fraction(holder.params, report.totals.params)]
    return shares if report.run is None else [*shares, fraction(holder.macs or 0, report.totals.macs)]


def _sentence(holder: Holder, report: Report) -> str:
    shares = [units.share(share) for share in _shares(holder, report)]
    path = f" ({holder.path})" if holder.path and holder.path != holder.name else ""
    said = f"{holder.name}{path}: {holder.params:,} parameters, {shares[0]}"
    if report.run is None:
        return said
    return f"{said}; {units.text(holder.macs, 'macs')} MACs, {shares[1]}"
