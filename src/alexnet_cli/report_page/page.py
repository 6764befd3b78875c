"""The page as a whole: its head, its sections in order, its style and its script, all in one file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alexnet_cli import units
from alexnet_cli.document import Unit
from alexnet_cli.graphics.palette import hue
from alexnet_cli.graphics.text import visible
from alexnet_cli.renderers.tables import NUMERIC
from alexnet_cli.report import Family, Report
from alexnet_cli.report_json import generator
from alexnet_cli.report_page import charts
from alexnet_cli.report_page.bars import balance, receptive_field
from alexnet_cli.report_page.comparison import Sides, figures, lined_up, models, types, verdicts
from alexnet_cli.report_page.layers import layers
from alexnet_cli.report_page.many_gpus import many_gpus
from alexnet_cli.report_page.material import Content, Material
from alexnet_cli.report_page.overview import MARKS, figure, findings, headline, overview, say_verdict
from alexnet_cli.report_page.plots import memory, roofline
from alexnet_cli.report_page.source import source
from alexnet_cli.report_page.times import measured
from alexnet_cli.views.explain import first_alike
from alexnet_cli.views.parts import run_line

T = TypeVar("T")
Sections = Mapping[str, tuple[str, Callable[[T], Content | None]]]


class Section(NamedTuple):
    """A section that is shown; the template finds its `content` as `it`."""

    name: str
    title: str
    content: dict[str, Any]


SECTIONS: Sections[Material] = {
    "overview": ("Overview", overview),
    "figure": ("Figure", figure),
    "balance": ("Parameters against MACs", balance),
    "memory": ("Memory over the step", memory),
    "many-gpus": ("Many GPUs", many_gpus),
    "roofline": ("Roofline", roofline),
    "measured": ("Measured times", measured),
    "receptive-field": ("Receptive field", receptive_field),
    "layers": ("Layers", layers),
    "source": ("Source", source),
    "findings": ("Findings", findings),
}
COMPARED: Sections[Sides] = {
    "models": ("Models", models),
    "figures": ("Figures", figures),
    "types": ("Parameters and MACs by type", types),
    "lined-up": ("Layers", lined_up),
    "verdicts": ("Findings", verdicts),
}
"""Each section's name, which is its id in the page and selects its part of the template, its title, and its writer."""
SCRIPTS = ("highlight.js", "table.js", "level.js", "blocks.js", "stage.js", "walk.js")


def model_page(material: Material) -> str:
    """Return a page about one model."""
    report = material.report
    about = {"title": report.model.class_name, "report": report, "headline": headline(report)}
    return _page("model.html", SECTIONS, material, generator=report.generator, **about)


def comparison_page(reports: Sequence[Report]) -> str:
    """Return a page that compares two or more models with the first of them."""
    sides = Sides(reports)
    about = {"title": sides.document.title, "counted": sides.notes[0].text}
    return _page("comparison.html", COMPARED, sides, generator=generator(), **about)


def _page(template: str, sections: Sections[T], material: T, **values: object) -> str:
    made = [(name, title, content(material)) for name, (title, content) in sections.items()]
    script = Markup().join(_asset(name) for name in SCRIPTS)
    return (
        _environment()
        .get_template(template)
        .render(
            sections=[Section(name, title, it) for name, title, it in made if isinstance(it, dict)],
            left_out=[(title, why) for _, title, why in made if isinstance(why, str)],
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
