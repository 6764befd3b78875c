"""Which models they are: their totals side by side, and what keeps the numbers from being comparable."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.document import Note, Table
from alexnet_cli.report import ErrorInfo
from alexnet_cli.report_page.comparison.sides import Sides, colour
from alexnet_cli.report_page.section import Section
from alexnet_cli.views.compare import compare_document
from alexnet_cli.views.parts import run_line


class Side(Struct, frozen=True):
    """A model: what it is, how it was run, and why it failed if it did."""

    name: str
    target: str
    description: str
    run_line: str
    colour: str
    error: ErrorInfo | None


class Models(Struct, frozen=True):
    """The models, the table of their totals, and what is to be said about them."""

    sides: tuple[Side, ...]
    totals: Table
    notes: tuple[Note, ...]


def models(sides: Sides) -> Section:
    """Return which models are compared."""
    blocks = compare_document(sides.comparison).blocks
    totals = next(block for block in blocks if isinstance(block, Table) and block.name == "totals")
    _, *notes = (block for block in blocks if isinstance(block, Note))  # the first is said at the head of the page
    named = zip(sides.names, sides.reports, strict=True)
    shown = tuple(
        Side(name, it.model.target, it.model.description, run_line(it.run), colour(number), it.error)
        for number, (name, it) in enumerate(named)
    )
    return Section("models", "Models", Models(shown, totals, tuple(notes)))
