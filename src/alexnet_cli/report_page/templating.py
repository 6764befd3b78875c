"""The templates: every value that is put into one is made harmless and escaped."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, get_args

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alexnet_cli import units
from alexnet_cli.document import Unit
from alexnet_cli.graphics.palette import hue
from alexnet_cli.graphics.text import visible
from alexnet_cli.renderers.cells import NUMERIC
from alexnet_cli.report import Family


def rendered(template: str, **values: Any) -> str:
    """Fill in a template of `templates`."""
    return _environment().get_template(template).render(values)


def asset(name: str) -> Markup:
    """Return a file of `assets` as it is, to be put into the page."""
    return Markup(files(__package__).joinpath("assets").joinpath(name).read_text(encoding="utf-8"))  # noqa: S704 - our own text


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {unit: _filter(unit) for unit in get_args(Unit)},
        si=lambda value: units.UNKNOWN if value is None else units.si(value),
        written=units.text,
    )
    environment.globals.update(hues={family: hue(family) for family in get_args(Family)}, numeric=NUMERIC)
    return environment


def _filter(unit: Unit) -> Any:
    return lambda value: units.text(value, unit)


def _shown(value: Any) -> Any:
    """Write what cannot be seen as escapes, in text and in attributes alike."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
