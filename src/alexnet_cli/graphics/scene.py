"""A figure as plain values: shapes with positions and sizes in pixels, y downward, independent of the output format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.graphics.text import text_width

Point = tuple[float, float]
ASCENT, DESCENT = 0.8, 0.22
"""How far letters reach above and below the baseline, in em."""


class Area(Struct, frozen=True):
    """A rectangle by its edges."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top


class _Through(Struct, frozen=True):
    """A shape through points."""

    points: tuple[Point, ...]

    def area(self) -> Area:
        """Return its bounding box."""
        return united(Area(x, y, x, y) for x, y in self.points)


class Polygon(_Through, frozen=True):
    """A filled outline; `look` names its role: a face of a block, a window, a dot."""

    look: str


class Line(_Through, frozen=True):
    """A line through points: with round corners, or `smooth`: it leaves and enters each point vertically."""

    look: str = "edge"
    arrow: bool = False
    bend: Literal["round", "smooth"] = "round"


class Box(Struct, frozen=True):
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    look: str
    radius: float = 0

    def area(self) -> Area:
        """Return its bounding box."""
        return Area(self.x, self.y, self.x + self.width, self.y + self.height)


class Label(Struct, frozen=True):
    """A line of text; `y` is the baseline. If `turned`, it reads upward and `x` is the baseline.

    A `halo` in the background's colour separates it from lines behind it.
    """

    x: float
    y: float
    text: str
    size: float
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False
    dim: bool = False
    turned: bool = False
    halo: bool = False

    def area(self) -> Area:
        """Return its largest bounding box in any viewer."""
        width = text_width(self.text, self.size, bold=self.bold)
        before = width * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]
        up, down = ASCENT * self.size, DESCENT * self.size
        if self.turned:
            return Area(self.x - up, self.y + before - width, self.x + down, self.y + before)
        return Area(self.x - before, self.y - up, self.x - before + width, self.y + down)


Item = Polygon | Box | Line | Label


class Mark(Struct, frozen=True):
    """Shapes that belong together; those of a layer have the paths of its rows and a tooltip, `told`.

    A mark without paths is an edge, a legend or a title. `family` gives the colour.
    """

    items: tuple[Item, ...]
    role: Literal["layer", "frame", "edge", "text"] = "layer"
    family: str = "other"
    paths: tuple[str, ...] = ()
    told: str = ""

    def moved(self, x: float, y: float) -> Mark:
        """Return it shifted."""
        return replace(
            self,
            items=tuple(
                replace(item, points=tuple((px + x, py + y) for px, py in item.points))
                if isinstance(item, _Through)
                else replace(item, x=item.x + x, y=item.y + y)
                for item in self.items
            ),
        )

    def area(self) -> Area:
        """Return its bounding box."""
        return united(item.area() for item in self.items)


class Scene(Struct, frozen=True):
    """A whole figure; `shown_width` is in CSS pixels, everything else in the figure's own unit.

    `em` is the size of its text; edges that are guessed are `dashed`.
    """

    width: float
    height: float
    shown_width: float
    title: str
    description: str
    marks: tuple[Mark, ...]
    em: float
    dashed: bool = False


def united(areas: Iterable[Area]) -> Area:
    """Return the smallest area that contains all others."""
    known = list(areas)
    return Area(
        min(area.left for area in known),
        min(area.top for area in known),
        max(area.right for area in known),
        max(area.bottom for area in known),
    )
