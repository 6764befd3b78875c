"""What the model is and how it was traced: the numbers at the head of the page and the section below them."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.document import Bars, Facts, Note
from alexnet_cli.report import Model, Report, Run
from alexnet_cli.report_page.section import Material, Section
from alexnet_cli.views.parts import facts_of, notes, run_line, split


class Figure(Struct, frozen=True):
    """A number at the head of the page: short, and in full where that says more."""

    label: str
    short: str
    full: str = ""
    note: str = ""


class Overview(Struct, frozen=True):
    """What the model is and how it was run."""

    model: Model
    run: Run | None
    run_line: str
    torch: str | None
    facts: Facts
    split: Bars | None
    notes: tuple[Note, ...]


def overview(material: Material) -> Section:
    """Return what the model is and how it was traced."""
    report = material.report
    bars = split(report) if report.error is None else None
    content = Overview(
        report.model, report.run, run_line(report.run), report.generator.torch, facts_of(report), bars, notes(report)
    )
    return Section("overview", "Overview", content)


def headline(report: Report) -> tuple[Figure, ...]:
    """Return the numbers that a reader wants first."""
    totals = report.totals
    until = "of one forward" if report.error is None else "until the failure"
    frozen = f"{totals.frozen_params:,} of them frozen" if totals.frozen_params else "all trainable"
    ran = [] if report.run is None else [_figure("MACs", totals.macs, until)]
    return (
        _figure("Parameters", totals.params, frozen if totals.params else ""),
        *ran,
        Figure("Weights", units.size(totals.param_bytes)),
        Figure("Layers", units.count(totals.layers)),
    )


def _figure(label: str, value: int | None, note: str) -> Figure:
    if value is None:
        return Figure(label, units.UNKNOWN, note=note)
    short, full = units.si(value), units.count(value)
    return Figure(label, short, full if full != short else "", note)
