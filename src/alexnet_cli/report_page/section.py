"""What a section of the page is, and what all of them are made from."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.findings.one_layer import Changes
from alexnet_cli.analyses.memory import Recipe
from alexnet_cli.report import Report


class Material(Struct, frozen=True):
    """What a page about one model is made from.

    `training` is the report of a training step, by `recipe`; None where there is none, and `untrained` says why.
    `roof` is the hardware of the roofline, None for none. `changes` are what was traced of the changes that findings
    propose, None where the model cannot be run again.
    """

    report: Report
    training: Report | None = None
    recipe: Recipe = Recipe()
    untrained: str = ""
    roof: Roof | None = None
    changes: Changes | None = None


class Section(Struct, frozen=True):
    """A section: `name` is its id in the page and the name of its template, which finds `content` as `it`."""

    name: str
    title: str
    content: Any


class LeftOut(Struct, frozen=True):
    """A section that cannot be shown, and why; `why` goes on after the title: "it was not run"."""

    title: str
    why: str
