"""A figure as plain values: shapes with places and sizes in pixels, y downward, before it is known what writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.graphics.text import text_width

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11 on

Point = tuple[float, float]
ASCENT, DESCENT = 0.8, 0.22
"""How far letters reach above and below their line, in em."""


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

    def moved(self, x: float, y: float) -> Self:
        """Return it elsewhere."""
        return replace(self, points=tuple((px + x, py + y) for px, py in self.points))

    def area(self) -> Area:
        """Return what it covers."""
        return united(Area(x, y, x, y) for x, y in self.points)


class _At(Struct, frozen=True):
    """A shape at a place."""

    x: float
    y: float

    def moved(self, x: float, y: float) -> Self:
        """Return it elsewhere."""
        return replace(self, x=self.x + x, y=self.y + y)


class Polygon(_Through, frozen=True):
    """A filled outline; `look` says of what: a face of a block, a window, a dot."""

    look: str


class Line(_Through, frozen=True):
    """A line through points: with round corners, or `smooth` between two points that it leaves and enters downward."""

    look: str = "edge"
    arrow: bool = False
    bend: Literal["round", "smooth"] = "round"


class Box(_At, frozen=True):
    """A rectangle with round corners."""

    width: float
    height: float
    look: str
    radius: float = 0

    def area(self) -> Area:
        """Return what it covers."""
        return Area(self.x, self.y, self.x + self.width, self.y + self.height)


class Label(_At, frozen=True):
    """A line of text; `y` is the line that letters stand on. If `turned` it reads upward, and `x` is that line.

    With a `halo` it has an edge of the background, where lines may pass behind it.
    """

    text: str
    size: float
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False
    dim: bool = False
    turned: bool = False
    halo: bool = False

    def area(self) -> Area:
        """Return the most that it covers in any viewer."""
        width = text_width(self.text, self.size, bold=self.bold)
        before = width * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]
        up, down = ASCENT * self.size, DESCENT * self.size
        if self.turned:
            return Area(self.x - up, self.y + before - width, self.x + down, self.y + before)
        return Area(self.x - before, self.y - up, self.x - before + width, self.y + down)


Item = Polygon | Box | Line | Label


class Mark(Struct, frozen=True):
    """Shapes that belong together: those of a layer with the paths of its rows and what is told of it, or others.

    A mark without paths is an edge, a legend or a title. `family` gives the colour.
    """

    items: tuple[Item, ...]
    role: Literal["layer", "frame", "edge", "text"] = "layer"
    family: str = "other"
    paths: tuple[str, ...] = ()
    told: str = ""

    def moved(self, x: float, y: float) -> Mark:
        """Return it elsewhere."""
        return replace(self, items=tuple(item.moved(x, y) for item in self.items))

    def area(self) -> Area:
        """Return what it covers."""
        return united(item.area() for item in self.items)


class Scene(Struct, frozen=True):
    """A whole figure; `shown_width` is how wide it is to be shown, the rest in its own unit.

    `em` is the size of its text; `dashed` edges are a guess.
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
    """Return the smallest area around others."""
    known = list(areas)
    return Area(
        min(area.left for area in known),
        min(area.top for area in known),
        max(area.right for area in known),
        max(area.bottom for area in known),
    )
