"""The page as a whole: its head, its sections in order, its style and its script, all in one file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alexnet_cli import units
from alexnet_cli.document import Unit
from alexnet_cli.graphics.palette import hue
from alexnet_cli.graphics.text import visible
from alexnet_cli.renderers.tables import NUMERIC
from alexnet_cli.report import Family, Generator, Report
from alexnet_cli.report_json import generator
from alexnet_cli.report_page import charts
from alexnet_cli.report_page.bars import balance, receptive_field
from alexnet_cli.report_page.comparison import Sides, figures, lined_up, models, types, verdicts
from alexnet_cli.report_page.layers import layers
from alexnet_cli.report_page.many_gpus import many_gpus
from alexnet_cli.report_page.material import LeftOut, Material, Section
from alexnet_cli.report_page.overview import MARKS, figure, findings, headline, overview, say_verdict
from alexnet_cli.report_page.plots import memory, roofline
from alexnet_cli.report_page.source import source
from alexnet_cli.report_page.times import measured
from alexnet_cli.views.explain import first_alike
from alexnet_cli.views.parts import run_line

SECTIONS = (overview, figure, balance, memory, many_gpus, roofline, measured, receptive_field, layers, source, findings)
COMPARED = (models, figures, types, lined_up, verdicts)
SCRIPTS = ("highlight.js", "table.js", "level.js", "blocks.js", "stage.js", "walk.js")


def model_page(material: Material) -> str:
    """Return a page about one model."""
    report = material.report
    made = [section(material) for section in SECTIONS]
    return _page(
        "model.html", made, report.generator, title=report.model.class_name, report=report, headline=headline(report)
    )


def comparison_page(reports: Sequence[Report]) -> str:
    """Return a page that compares two or more models with the first of them."""
    sides = Sides(reports)
    made = [section(sides) for section in COMPARED]
    return _page("comparison.html", made, generator(), title=sides.document.title, counted=sides.notes[0].text)


def _page(template: str, made: Sequence[Section | LeftOut | None], by: Generator, **values: object) -> str:
    script = Markup().join(_asset(name) for name in SCRIPTS)
    return (
        _environment()
        .get_template(template)
        .render(
            sections=[item for item in made if isinstance(item, Section)],
            left_out=[item for item in made if isinstance(item, LeftOut)],
            generator=by,
            style=charts.style() + _asset("page.css"),
            script=script,
            script_hash=b64encode(sha256(script.encode()).digest()).decode(),
            **values,
        )
    )


def _asset(name: str) -> Markup:
    return Markup(files(__package__).joinpath("assets").joinpath(name).read_text(encoding="utf-8"))  # noqa: S704 - our own text


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") or not isinstance(value, str) else visible(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({unit: partial(units.text, unit=unit) for unit in get_args(Unit)})
    environment.filters.update(written=units.text, run_line=run_line, said=say_verdict, first_alike=first_alike)
    environment.globals.update(hues={family: hue(family) for family in get_args(Family)}, numeric=NUMERIC, marks=MARKS)
    return environment
