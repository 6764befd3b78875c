"""A figure as plain values: shapes with positions and sizes in pixels, y downward; and as SVG.

In the SVG text stays text, and nothing comes from the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import dist
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.graphics.palette import Page, Theme, hue, mixed
from alexnet_cli.graphics.svg import Drawing, element, number, picture, themed, tied, tooltip_of, words
from alexnet_cli.graphics.text import text_width

Point = tuple[float, float]
ASCENT, DESCENT = 0.8, 0.22
"""How far letters reach above and below the baseline, in em."""
FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
CORNER, ARROW, ARROW_HALF = 0.55, 0.6, 0.26
EDGE, THIN, OUTLINE, HALO = 0.12, 0.065, 0.08, 0.33
"""In em: the radius of corners, length and half width of arrowheads; widths of lines."""


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
    """A whole figure, in its own unit but for `shown_width`, in CSS pixels; edges that are guessed are `dashed`."""

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


def write(scene: Scene, theme: Theme, scale: float = 1) -> str:
    """Write a figure, shown `scale` times as large; the theme `auto` follows the viewer's preference."""
    page = element("rect", class_="page", width=scene.width, height=scene.height)
    drawing = Drawing(scene.width, scene.height, tuple(_mark(mark, scene.em) for mark in scene.marks))
    shown = scale * scene.shown_width / scene.width
    style = partial(_style, scene=scene, theme=theme)
    return picture(page, drawing, style, title=scene.title, about=scene.description, scale=shown)


def _style(here: str, scene: Scene, theme: Theme) -> Iterator[str]:
    edge, thin, outline, halo = (number(width * scene.em) for width in (EDGE, THIN, OUTLINE, HALO))
    families = sorted({mark.family for mark in scene.marks})
    yield f"{here} text {{ font-family: {FONTS}; }}"
    yield f"{here} .bold {{ font-weight: bold; }}"
    yield f"{here} .halo {{ paint-order: stroke; stroke-width: {halo}; stroke-linejoin: round; }}"
    yield f"{here} .edge, {here} .ray, {here} .axis {{ fill: none; }}"
    yield f"{here} .edge {{ stroke-width: {edge};{' stroke-dasharray: 4 2;' if scene.dashed else ''} }}"
    yield f"{here} .ray, {here} .axis {{ stroke-width: {thin}; }}"
    yield f"{here} .node.gap {{ stroke-dasharray: 3 2; }}"
    faces = ", ".join(f"{here} .{face}" for face in ("front", "top", "side", "window"))
    yield f"{faces} {{ stroke-width: {outline}; stroke-linejoin: round; }}"
    yield from themed(theme, partial(_colors, here, families))


def _colors(here: str, families: Sequence[str], page: Page) -> Iterator[str]:
    yield f"{here} .page {{ fill: {page.background}; }}"
    yield f"{here} text {{ fill: {page.ink}; }}"
    yield f"{here} .halo {{ stroke: {page.background}; }}"
    yield f"{here} .dim {{ fill: {page.dim}; }}"
    yield f"{here} .edge {{ stroke: {page.line}; }}"
    yield f"{here} .arrow {{ fill: {page.line}; }}"
    yield f"{here} .ray {{ stroke: {page.line}; }}"
    yield f"{here} .axis {{ stroke: {page.faint}; }}"
    yield f"{here} .frame-box {{ fill: {mixed(page.line, page.background, 0.93)}; stroke: {page.faint}; }}"
    for family in families:
        color = hue(family)
        own = f"{here} .{family}"
        for face, paler in (("front", 0.55), ("top", 0.72), ("side", 0.36), ("node", 0.86), ("swatch", 0.45)):
            yield f"{own} .{face} {{ fill: {mixed(color, page.background, paler)}; stroke: {color}; }}"
        yield f"{own} .window {{ fill: {mixed(color, page.background, 0.8)}; stroke: {page.ink}; }}"
        yield f"{own} .dot, {own} .bar {{ fill: {color}; }}"


def _mark(mark: Mark, em: float) -> str:
    items = [piece for item in mark.items for piece in _item(item, em)]
    match mark.role:
        case "edge":
            return "".join(items)
        case "text":
            return element("g", *items, class_=f"text {mark.family}")
        case _:
            return element("g", tooltip_of(mark.told), *items, class_=f"{mark.role} {mark.family}", **tied(mark.paths))


def _item(item: Item, em: float) -> Iterator[str]:
    match item:
        case Polygon():
            yield _polygon(item.points, item.look)
        case Box():
            place = {"x": item.x, "y": item.y, "width": item.width, "height": item.height}
            yield element("rect", class_=item.look, **place, rx=item.radius or None)
        case Label():
            names = [name for name in ("bold", "dim", "halo") if getattr(item, name)]
            turn = f"rotate(-90 {number(item.x)} {number(item.y)})" if item.turned else ""
            anchor = "" if item.anchor == "start" else item.anchor
            look = {"text_anchor": anchor, "transform": turn, "class_": " ".join(names)}
            yield words(item.text, item.x, item.y, font_size=item.size, **look)
        case Line():
            yield element("path", class_=item.look, d=_path(item, CORNER * em))
            if item.arrow:
                yield _arrow(item, em)


def _polygon(points: Sequence[Point], look: str) -> str:
    return element("polygon", class_=look, points=" ".join(f"{number(x)},{number(y)}" for x, y in points))


def _path(line: Line, corner_radius: float) -> str:
    """Write a line: straight with round corners, or smooth, in an S that begins and ends downward."""
    path = f"M{_p(line.points[0])}"
    if line.bend == "smooth":
        for before, after in pairwise(line.points):
            middle = (before[1] + after[1]) / 2
            bend = "" if before[0] == after[0] else f"{_p((before[0], middle))} {_p((after[0], middle))} "
            path += f"{'C' if bend else 'L'}{bend}{_p(after)}"
        return path
    for before, corner, after in zip(line.points, line.points[1:], line.points[2:], strict=False):
        radius = min(corner_radius, dist(before, corner) / 2, dist(corner, after) / 2)
        path += f"L{_p(_toward(corner, before, radius))}Q{_p(corner)} {_p(_toward(corner, after, radius))}"
    return f"{path}L{_p(line.points[-1])}"


def _arrow(line: Line, em: float) -> str:
    """Draw an arrowhead as a shape: viewers draw SVG markers differently."""
    length, half = ARROW * em, ARROW_HALF * em
    before, tip = line.points[-2:]
    dx, dy = (0.0, 1.0) if line.bend == "smooth" else _direction(before, tip)
    base = (tip[0] - dx * length, tip[1] - dy * length)
    points = [tip, (base[0] - dy * half, base[1] + dx * half), (base[0] + dy * half, base[1] - dx * half)]
    return _polygon(points, "arrow")


def _direction(start: Point, end: Point) -> Point:
    length = dist(start, end) or 1.0
    return (end[0] - start[0]) / length, (end[1] - start[1]) / length


def _toward(start: Point, end: Point, length: float) -> Point:
    dx, dy = _direction(start, end)
    return start[0] + dx * length, start[1] + dy * length


def _p(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"
