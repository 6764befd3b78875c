"""Parameters against MACs, by type and by layer: who holds the parameters, who does the work."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.shares import by_type, fold, fraction
from alexnet_cli.graphics.bar_chart import BarRow, Panel, draw
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import NARROW, Chart, chart
from alexnet_cli.report_page.material import LeftOut, Material, Section
from alexnet_cli.views.parts import layer_name

MOST_BARS = 24
TITLE = "Parameters against MACs"


class Balance(Struct, frozen=True):
    """Two charts; `title` says how the second is grouped, `note` what it leaves out or sums."""

    by_type: Chart
    title: str
    second: Chart
    note: str


class Holder(Struct, frozen=True):
    """A layer, a module or several layers with their parameters and MACs, and the shares of the model's totals.

    `path` is None unless it is a single layer or module. Without a forward there are only parameters.
    """

    name: str
    family: str
    path: str | None
    amounts: tuple[int | None, ...]
    shares: tuple[float, ...]

    @property
    def told(self) -> str:
        """Its numbers in a sentence."""
        path = f" ({self.path})" if self.path and self.path != self.name else ""
        params, *macs = (
            f"{units.text(amount, 'count')} {what}, {units.share(share)}"
            for amount, share, what in zip(self.amounts, self.shares, ("parameters", "MACs"), strict=False)
        )
        return "; ".join((f"{self.name}{path}: {params}", *macs))

    def row(self, *, short: bool) -> BarRow:
        """Return its bars."""
        texts = tuple(
            _text(amount, share, short=short) for amount, share in zip(self.amounts, self.shares, strict=True)
        )
        return BarRow(self.name, self.family, self.shares, texts, self.told, (self.path,) if self.path else ())


def balance(material: Material) -> Section | LeftOut:
    """Return who holds the parameters and who does the work."""
    report = material.report
    if not any(row.params or row.macs for row in report.layers):
        return LeftOut(TITLE, "no layer has parameters or counted MACs")
    types = [_holder(report, t.type, t.family, None, (t.params, t.macs)) for t in by_type(report) if t.params or t.macs]
    holders, title, note = _chosen(report)
    first, second = _chart(types[:MOST_BARS], report, "By type"), _chart(holders, report, title)
    return Section("balance", TITLE, Balance(first, title, second, note))


def _holder(report: Report, name: str, family: str, path: str | None, amounts: tuple[int, int | None]) -> Holder:
    shares = fraction(amounts[0], report.totals.params), fraction(amounts[1] or 0, report.totals.macs)
    known = 1 if report.run is None else 2
    return Holder(name, family, path, amounts[:known], shares[:known])


def _chosen(report: Report) -> tuple[list[Holder], str, str]:
    """Return all layers; if they are too many, the modules at a depth; if those are too many, the largest layers."""
    every = _holders(report, report)
    if len(every) <= MOST_BARS:
        return every, "By layer", ""
    deepest = max(row.depth for row in report.layers)
    for depth in range(deepest - 1, 0, -1):
        modules = _holders(fold(report, depth), report)
        if len(modules) <= MOST_BARS:
            return modules, "By module", f"{len(every):,} layers, summed into the modules at depth {depth}."
    ranked = sorted(range(len(every)), key=lambda place: max(every[place].shares), reverse=True)
    kept, others = sorted(ranked[:MOST_BARS]), [every[place].amounts for place in ranked[MOST_BARS:]]
    macs = None if report.totals.macs is None else sum(macs[0] or 0 for _, *macs in others)
    rest = _holder(report, f"{len(others):,} others", "other", None, (sum(params or 0 for params, *_ in others), macs))
    note = f"The {len(kept)} largest of {len(every):,} layers; the layer table has all of them."
    return [*(every[place] for place in kept), rest], "By layer", note


def _holders(shown: Report, report: Report) -> list[Holder]:
    return [
        _holder(report, (not row.leaf and row.path) or layer_name(row), row.family, row.path, (row.params, row.macs))
        for row in shown.layers
        if row.params or row.macs
    ]


def _chart(holders: Sequence[Holder], report: Report, title: str) -> Chart:
    """Draw the shares of the holders side by side."""
    panels = [Panel("Parameters"), *([Panel("MACs")] if report.run is not None else [])]
    said = "; ".join(f"{holder.name} {' and '.join(map(units.share, holder.shares))}" for holder in holders[:6])
    return chart(
        f"{' and '.join(panel.title for panel in panels)}, {title.lower()}: {said}",
        lambda width: draw([holder.row(short=width <= NARROW) for holder in holders], panels, width),
    )


def _text(amount: int | None, share: float, *, short: bool) -> str:
    if amount is None:
        return units.UNKNOWN
    if not amount:
        return "0"
    return units.share(share) if short else f"{units.si(amount)} · {units.share(share)}"
