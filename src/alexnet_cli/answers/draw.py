"""`draw`: the architecture as a figure, or its data flow for Model Explorer."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

import msgspec

from alexnet_cli import drawing
from alexnet_cli.answers.answer import Outcome, failures_of
from alexnet_cli.drawing.content import Plan
from alexnet_cli.drawing.model_explorer import Explored
from alexnet_cli.drawing.page import Width
from alexnet_cli.drawing.plan import AnyStyle, plan
from alexnet_cli.errors import ForwardError, UsageError, one_of
from alexnet_cli.graphics.palette import Theme
from alexnet_cli.graphics.text import Style
from alexnet_cli.report import Report
from alexnet_cli.session.how import TrainingStep
from alexnet_cli.session.session import Session

STYLES, THEMES = get_args(AnyStyle), get_args(Theme)
MODEL_EXPLORER = "model-explorer"


class Figure(Outcome, frozen=True):
    """A figure that is settled but for its format; `failures` tell why the model failed, if it did."""

    report: Report
    plan: Plan
    theme: Theme

    def write(
        self, file_format: str, *, width: Width = "page", scale: float = 2.0, style: Style | None = None
    ) -> str | bytes:
        """Write the figure in one of `drawing.FORMATS`; `style` is that of text, `width` that of all other formats.

        Raises:
            UsageError: the library for a picture is not installed, or the picture would be huge.
        """
        return drawing.write(self.plan, file_format, theme=self.theme, width=width, scale=scale, style=style)


def draw(session: Session, *, style: str = "auto", depth: int | None = None, theme: str = "auto") -> Figure:
    """Settle what a figure shows.

    Raises:
        UsageError: the style or the theme is unknown, or there is nothing to draw in this style.
        ForwardError: it failed before a layer had run.
        AlexnetError: the model cannot be loaded or run.
    """
    known = cast("AnyStyle", one_of(style, STYLES, "style"))
    colors = cast("Theme", one_of(theme, THEMES, "theme"))
    report = session.report()
    try:
        return Figure(report, plan(report, known, depth), colors, failures=failures_of(report))
    except UsageError:
        failure = report.error
        if failure is None or any(row.leaf for row in report.layers):
            raise
    raise ForwardError(failure.message, failure.hint, failure.path)  # which is why there is nothing to draw


def format_named_by(file: Path) -> str:
    """Return the format of a figure that a file's suffix names.

    Raises:
        UsageError: it names none.
    """
    suffix = file.suffix.lower()
    for name, suffixes in drawing.FORMATS.items():
        if suffix in suffixes:
            return name
    known = ", ".join(suffix for suffixes in drawing.FORMATS.values() for suffix in suffixes)
    raise UsageError(f"{file} has no suffix that names a format", f"known: {known}; or choose with --format")


class ModelExplorerFiles(Outcome, frozen=True):
    """The graph's JSON, and by name the JSON of each kind of node data."""

    graph: bytes
    node_data: dict[str, bytes]


def for_model_explorer(session: Session) -> ModelExplorerFiles:
    """Write the data flow between the layers as Model Explorer reads it, with MACs, bytes moved and bytes saved.

    Raises:
        UsageError: the target was not run, as a checkpoint.
        AlexnetError: the model cannot be loaded or run.
    """
    report = session.report()
    if report.run is None:
        raise UsageError("a checkpoint has no data flow to draw", "give the model")
    explored = Explored(report, session.training(TrainingStep("none")))
    data = {name: _json(each) for name, each in explored.node_data().items()}
    return ModelExplorerFiles(_json(explored.graph()), data, failures=failures_of(report))


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"
