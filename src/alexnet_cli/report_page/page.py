"""The page as a whole: its head, its sections in their order, its style and its script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256

from markupsafe import Markup

from alexnet_cli.analyses.compare import compare
from alexnet_cli.document import Note
from alexnet_cli.report import Generator, Report
from alexnet_cli.report_json import generator
from alexnet_cli.report_page import charts
from alexnet_cli.report_page.comparison.figures import figures
from alexnet_cli.report_page.comparison.layers import layers as lined_up
from alexnet_cli.report_page.comparison.models import models
from alexnet_cli.report_page.comparison.sides import Sides
from alexnet_cli.report_page.comparison.types import types
from alexnet_cli.report_page.comparison.verdicts import verdicts
from alexnet_cli.report_page.section import LeftOut, Material, Section
from alexnet_cli.report_page.sections.balance import balance
from alexnet_cli.report_page.sections.figure import figure
from alexnet_cli.report_page.sections.findings import findings
from alexnet_cli.report_page.sections.layers import layers
from alexnet_cli.report_page.sections.memory import memory
from alexnet_cli.report_page.sections.overview import headline, overview
from alexnet_cli.report_page.sections.receptive_field import receptive_field
from alexnet_cli.report_page.sections.roofline import roofline
from alexnet_cli.report_page.templating import asset, rendered
from alexnet_cli.views.compare import compare_document

SECTIONS: tuple[Callable[[Material], Section | LeftOut], ...] = (
    overview,
    figure,
    balance,
    memory,
    roofline,
    receptive_field,
    layers,
    findings,
)
COMPARED: tuple[Callable[[Sides], Section | LeftOut], ...] = (models, figures, types, lined_up, verdicts)
STYLES = ("page.css", "print.css")
SCRIPTS = ("highlight.js", "table.js")


def model_page(material: Material) -> str:
    """Return a page about one model."""
    report = material.report
    made = [section(material) for section in SECTIONS]
    return _page(
        "model.html", made, report.generator, title=report.model.class_name, report=report, headline=headline(report)
    )


def comparison_page(reports: Sequence[Report]) -> str:
    """Return a page that shows models, two or more, side by side; the first is what the others are compared with."""
    sides = Sides(tuple(reports), compare(reports))
    made = [section(sides) for section in COMPARED]
    document = compare_document(sides.comparison)
    counted = next(block.text for block in document.blocks if isinstance(block, Note))
    return _page("comparison.html", made, generator(), title=document.title, counted=counted)


def _page(template: str, made: Sequence[Section | LeftOut], by: Generator, **values: object) -> str:
    script = Markup().join(asset(name) for name in SCRIPTS)
    return rendered(
        template,
        sections=[item for item in made if isinstance(item, Section)],
        left_out=[item for item in made if isinstance(item, LeftOut)],
        generator=by,
        style=charts.style() + Markup().join(asset(name) for name in STYLES),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        **values,
    )
