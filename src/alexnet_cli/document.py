"""What a command shows, independent of the format: the second waist.

A view builds a `Document` of raw values; a renderer turns it into text. Cells keep the number and its unit, so
that a terminal can print `62,378,344`, a CSV file `62378344` and a narrow column `62.4 M`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Unit = Literal[
    "text",
    "count",
    "macs",
    "flops",
    "bytes",
    "share",
    "shape",
    "shapes",
    "seconds",
    "flops_per_s",
    "intensity",
    "bits",
    "formula",
    "line",
    "code",
]
"""A `formula` is text in signs such as `⋅`, `²`, `⌊` and `₄`, for which LaTeX has its own.

A `line` is the number of a line, `code` its text in Python; a row without a line's number stands for lines left out.
"""
Value = str | int | float | tuple[int, ...] | tuple[tuple[int, ...], ...] | None
"""A cell; None means unknown."""

Role = Literal["leaf", "group", "function", "failed"]
Tone = Literal["info", "warning", "error"]


class Column(Struct, frozen=True):
    """A column. If the page is too narrow, columns with the lowest `priority` are left out first.

    `bar` draws the cell's share of 1 as a bar beside the number; `tree` indents by the row's level.
    """

    key: str
    title: str
    unit: Unit = "text"
    priority: int = 9
    bar: bool = False
    tree: bool = False


class Row(Struct, frozen=True):
    """A row. `level` is its depth in the tree; a `group` sums up the rows below it, a `failed` row did not run."""

    cells: tuple[Value, ...]
    level: int = 0
    role: Role = "leaf"
    family: str = "other"


class Table(Struct, frozen=True):
    """Rows and columns. `name` identifies the table in one word, `caption` is a line above it."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""


class Fact(Struct, frozen=True):
    """A labelled value; `note` follows it, such as a unit's convention; `level` 1 is part of the fact above."""

    label: str
    value: Value
    unit: Unit = "text"
    note: str = ""
    level: int = 0


class Facts(Struct, frozen=True):
    """A short list of labelled values."""

    facts: tuple[Fact, ...]
    title: str = ""


class Part(Struct, frozen=True):
    """One part of a whole: `share` is a fraction of 1."""

    label: str
    value: int | float
    share: float
    family: str


class Bar(Struct, frozen=True):
    """A whole split into parts, in a fixed order."""

    label: str
    unit: Unit
    parts: tuple[Part, ...]


class Bars(Struct, frozen=True):
    """Several wholes split into parts, one above the other for comparison; a part of only one comes last."""

    bars: tuple[Bar, ...]
    title: str = ""


class Axis(Struct, frozen=True):
    """An axis of a plot; its unit is written by the renderer, not in the `label`.

    On a `log` axis only numbers above zero have a place; the others are left out, with a note.
    """

    label: str
    unit: Unit = "count"
    log: bool = False


class Series(Struct, frozen=True):
    """Points (x, y) drawn in one way: apart, joined by a line, or as an area stacked on the areas before it.

    Areas go in steps from half-way to half-way between one x and the next; one without a point at an x adds nothing
    there. `names`, where given, has one name per point: shown on hovering, and in the forms that list the points.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    family: str = "other"
    kind: Literal["points", "line", "area"] = "points"
    names: tuple[str, ...] = ()


class Mark(Struct, frozen=True):
    """A labelled point in a plot, such as the peak."""

    x: float
    y: float
    label: str


class Plot(Struct, frozen=True):
    """Series over the same two axes. `name` identifies the plot in one word; areas are stacked in the order given."""

    name: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    title: str = ""
    marks: tuple[Mark, ...] = ()


class Note(Struct, frozen=True):
    """A sentence."""

    text: str
    tone: Tone = "info"


Block = Table | Facts | Bars | Plot | Note


class Document(Struct, frozen=True):
    """A titled page of blocks."""

    title: str
    blocks: tuple[Block, ...]
    subtitle: str = ""
