"""What the model is and how it was traced, the numbers at the head of the page, its figure, and what claims hold."""

from __future__ import annotations

from collections import Counter

from markupsafe import Markup
from msgspec import Struct

from alexnet_cli import drawing, units
from alexnet_cli.analyses.findings.finding import Verdict
from alexnet_cli.analyses.findings.rules import findings as check
from alexnet_cli.analyses.findings.rules import is_shown
from alexnet_cli.drawing.content import Plan
from alexnet_cli.drawing.plan import plan
from alexnet_cli.drawing.walk import encoded, walk
from alexnet_cli.errors import UsageError
from alexnet_cli.messages import say
from alexnet_cli.report import Report
from alexnet_cli.report_page.charts import Chart
from alexnet_cli.report_page.material import Content, Material
from alexnet_cli.views.explain import tell
from alexnet_cli.views.parts import facts_of, notes, split

WIDE, NARROW = 1000, 300
LANGUAGE = "en"
MARKS: dict[Verdict, str] = {"holds": "✓", "partly": "≈", "fails": "✗", "not_applicable": "–"}


class Number(Struct, frozen=True):
    """A number at the head of the page: short, and in full where that says more."""

    label: str
    short: str
    full: str = ""
    note: str = ""


def overview(material: Material) -> Content:
    """Return what the model is and how it was traced."""
    report = material.report
    bars = split(report) if report.error is None else None
    return {"facts": facts_of(report).facts, "split": bars, "notes": notes(report)}


def headline(report: Report) -> tuple[Number, ...]:
    """Return the numbers that a reader wants first."""
    totals = report.totals
    until = "of one forward" if report.error is None else "until the failure"
    frozen = f"{totals.frozen_params:,} of them frozen" if totals.frozen_params else "all trainable"
    ran = [] if report.run is None else [_number("MACs", totals.macs, until)]
    return (
        _number("Parameters", totals.params, frozen if totals.params else ""),
        *ran,
        Number("Weights", units.size(totals.param_bytes)),
        Number("Layers", units.count(totals.layers)),
    )


def _number(label: str, value: int | None, note: str) -> Number:
    if value is None:
        return Number(label, units.UNKNOWN, note=note)
    short, full = units.si(value), units.count(value)
    return Number(label, short, full if full != short else "", note)


def figure(material: Material) -> Content:
    """Return the figure of the architecture, as it is drawn and to walk in."""
    try:
        drawn, blocks = plan(material.report), encoded(walk(material.report))
    except UsageError as error:
        return error.message
    first = "live" if drawn.style == "graph" else "drawn"
    return {"figure": _at_both_widths(drawn), "blocks": Markup(blocks), "first": first}  # noqa: S704 - it has no markup


def figure_of(report: Report) -> Chart | str:
    """Return the figure, or why there is none."""
    try:
        return _at_both_widths(plan(report))
    except UsageError as error:
        return error.message


def _at_both_widths(drawn: Plan) -> Chart:
    return Chart(*(Markup(drawing.svg(drawn, width=width)) for width in (WIDE, NARROW)))  # noqa: S704 - it escapes


def findings(material: Material) -> Content:
    """Return the claims with their evidence, and how many have which verdict."""
    found = check(material.report, changes=material.changes)
    told = tell([it for it in found if is_shown(it.code, it.verdict)], LANGUAGE)
    counts = Counter(item.verdict for item in told)
    said = [f"{say_verdict(verdict)} {counts[verdict]}" for verdict in MARKS if counts[verdict]]
    return {"claims": told, "counts": ", ".join(said)}


def say_verdict(verdict: Verdict) -> str:
    """Return a verdict in words."""
    return say(LANGUAGE, f"verdict.{verdict}")
