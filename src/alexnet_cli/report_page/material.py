"""What a page is made from, and what a section of it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.annotate import Annotated
from alexnet_cli.analyses.cost import Cost, Roof, cost
from alexnet_cli.analyses.findings.one_layer import Changes
from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.analyses.memory import Recipe
from alexnet_cli.analyses.profile import Profile
from alexnet_cli.analyses.receptive_field.fields import ReceptiveFields, receptive_fields
from alexnet_cli.analyses.sharding.floors import Floors
from alexnet_cli.analyses.sharding.search import Tried
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.views.layouts import Searched


def need_packages() -> None:
    """Check before any work that the package for the templates is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("jinja2") is None:
        raise UsageError("a report needs the package jinja2", "install with: pip install 'alexnet-cli[report]'")


class Layouts(Struct, frozen=True):
    """The layouts of many GPUs that were compared; `floors` are those of the first, None where none fits."""

    hardware: Hardware
    searched: Searched
    tried: tuple[Tried, ...]
    floors: Floors | None


class Lines(Struct, frozen=True):
    """What the lines of the user's source did, and the text of each file; None of one that is not as it was."""

    found: Annotated
    texts: dict[str, str | None]


@dataclass(frozen=True)
class Measured:
    """The report of a run that was repeated, where its time went, and what the device can do at most, if known."""

    report: Report
    profile: Profile
    roof: Roof | None


@dataclass(frozen=True)
class Material:
    """What a page about one model is made from.

    `training` is the report of a training step by `recipe`; where it is None, `untrained` says why. `roof` is the
    hardware of the roofline, if any. `changes` has the traces of the changes that findings propose, None if the model
    cannot be run again, `measured` the times of a run, if it was timed, `layouts` are those of many GPUs, if they were
    asked for, and `lines` those of the source, if the run noted them. Analyses that several sections need are computed
    once; where one is a string, it says why there is no result.
    """

    report: Report
    training: Report | None = None
    recipe: Recipe = field(default_factory=Recipe)
    untrained: str = ""
    roof: Roof | None = None
    changes: Changes | None = None
    measured: Measured | None = None
    layouts: Layouts | None = None
    lines: Lines | None = None

    @property
    def not_run(self) -> str:
        """Why nothing that needs a whole forward is known; empty if it ran."""
        if self.report.run is None:
            return "a checkpoint cannot be run"
        return "" if self.report.error is None else "the forward failed"

    @cached_property
    def cost(self) -> Cost | str:
        """What a forward costs."""
        try:
            return self.not_run or cost(self.report, self.roof)
        except UsageError as error:
            return error.message

    @cached_property
    def fields(self) -> ReceptiveFields | str:
        """The receptive fields of the layers."""
        try:
            found = self.not_run or receptive_fields(self.report)
        except UsageError as error:
            return error.message
        if isinstance(found, str) or found.axes:
            return found
        return "the input has no axis of space or time"


Content = dict[str, Any] | str
"""What the template of a section finds as `it`; or why it cannot be shown, said after its title: "it was not run"."""
