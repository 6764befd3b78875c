"""Writes a figure as SVG: text stays text, nothing comes from the network, equal figures give equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from itertools import pairwise
from json import dumps
from math import hypot
from typing import Literal

from alexnet_cli.graphics.palette import DARK, LIGHT, Page, hue, mixed
from alexnet_cli.graphics.scene import Box, Item, Label, Line, Mark, Point, Polygon, Scene
from alexnet_cli.graphics.text import visible

Theme = Literal["auto", "light", "dark"]
FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
CORNER, ARROW, ARROW_HALF = 0.55, 0.6, 0.26
EDGE, THIN, OUTLINE, HALO = 0.12, 0.065, 0.08, 0.33
"""In em: the radius of corners, length and half width of arrowheads; widths of lines."""
_ROUND_TO = 2

_PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" id="{id}" role="img" aria-labelledby="{id}-title {id}-about" \
width="{width}" height="{height}" viewBox="0 0 {inner_width} {inner_height}">
<title id="{id}-title">{title}</title>
<desc id="{id}-about">{about}</desc>
<style>
{style}
</style>
<rect class="page" width="{inner_width}" height="{inner_height}"/>
{marks}
</svg>
"""


def write(scene: Scene, theme: Theme, scale: float = 1) -> str:
    """Write a figure, shown `scale` times as large; the theme `auto` follows the viewer's preference."""
    marks = "\n".join(_mark(mark, scene.em) for mark in scene.marks)
    identity = f"alexnet-{sha256((scene.title + marks).encode()).hexdigest()[:10]}"
    shown = scale * scene.shown_width
    return _PAGE.format(
        id=identity,
        width=_n(shown),
        height=_n(scene.height * shown / scene.width),
        inner_width=_n(scene.width),
        inner_height=_n(scene.height),
        title=escape(scene.title),
        about=escape(scene.description),
        style="\n".join(_style(identity, scene, theme)),
        marks=marks,
    )


def _style(identity: str, scene: Scene, theme: Theme) -> Iterator[str]:
    here = f"#{identity}"
    edge, thin, outline, halo = (_n(width * scene.em) for width in (EDGE, THIN, OUTLINE, HALO))
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
    yield from _colors(here, families, DARK if theme == "dark" else LIGHT)
    if theme == "auto":
        yield "@media (prefers-color-scheme: dark) {"
        yield from _colors(here, families, DARK)
        yield "}"


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
        yield f"{own} .front {{ fill: {mixed(color, page.background, 0.55)}; stroke: {color}; }}"
        yield f"{own} .top {{ fill: {mixed(color, page.background, 0.72)}; stroke: {color}; }}"
        yield f"{own} .side {{ fill: {mixed(color, page.background, 0.36)}; stroke: {color}; }}"
        yield f"{own} .node {{ fill: {mixed(color, page.background, 0.86)}; stroke: {color}; }}"
        yield f"{own} .swatch {{ fill: {mixed(color, page.background, 0.45)}; stroke: {color}; }}"
        yield f"{own} .window {{ fill: {mixed(color, page.background, 0.8)}; stroke: {page.ink}; }}"
        yield f"{own} .dot, {own} .bar {{ fill: {color}; }}"


def _mark(mark: Mark, em: float) -> str:
    items = "".join(piece for item in mark.items for piece in _item(item, em))
    if mark.role == "text":
        return f'<g class="text {mark.family}">{items}</g>'
    if mark.role == "edge":
        return items
    title = f"<title>{escape(mark.told)}</title>" if mark.told else ""
    return f'<g class="{mark.role} {mark.family}"{_data(mark.paths)}>{title}{items}</g>'


def _data(paths: Sequence[str]) -> str:
    """Name the rows that a mark stands for, so that a page around the figure can find it.

    Characters that XML cannot hold, or changes, are written as in the texts.
    """
    if not paths:
        return ""
    names = [visible(path) for path in paths]
    several = f' data-paths="{escape(dumps(names, ensure_ascii=False))}"' if len(names) > 1 else ""
    return f' data-path="{escape(names[0])}"{several}'


def _item(item: Item, em: float) -> Iterator[str]:
    match item:
        case Polygon():
            points = " ".join(f"{_n(x)},{_n(y)}" for x, y in item.points)
            yield f'<polygon class="{item.look}" points="{points}"/>'
        case Box():
            place = f'x="{_n(item.x)}" y="{_n(item.y)}" width="{_n(item.width)}" height="{_n(item.height)}"'
            radius = f' rx="{_n(item.radius)}"' if item.radius else ""
            yield f'<rect class="{item.look}" {place}{radius}/>'
        case Label():
            yield _text(item)
        case Line():
            yield f'<path class="{item.look}" d="{_path(item, CORNER * em)}"/>'
            if item.arrow:
                yield _arrow(item, em)


def _text(label: Label) -> str:
    names = [name for name, has in (("bold", label.bold), ("dim", label.dim), ("halo", label.halo)) if has]
    x, y = _n(label.x), _n(label.y)
    attributes = {
        "x": x,
        "y": y,
        "font-size": _n(label.size),
        "text-anchor": "" if label.anchor == "start" else label.anchor,
        "transform": f"rotate(-90 {x} {y})" if label.turned else "",
        "class": " ".join(names),
    }
    written = "".join(f' {name}="{value}"' for name, value in attributes.items() if value)
    return f"<text{written}>{escape(label.text)}</text>"


def _path(line: Line, corner_radius: float) -> str:
    pieces = [f"M{_p(line.points[0])}"]
    if line.bend == "smooth":
        pieces += [_step(before, after) for before, after in pairwise(line.points)]
        return "".join(pieces)
    for before, corner, after in zip(line.points, line.points[1:], line.points[2:], strict=False):
        radius = min(corner_radius, _distance(before, corner) / 2, _distance(corner, after) / 2)
        pieces.append(f"L{_p(_toward(corner, before, radius))}Q{_p(corner)} {_p(_toward(corner, after, radius))}")
    return "".join([*pieces, f"L{_p(line.points[-1])}"])


def _step(before: Point, after: Point) -> str:
    """Lead a smooth line on: straight down, or in an S that begins and ends downward."""
    if before[0] == after[0]:
        return f"L{_p(after)}"
    middle = (before[1] + after[1]) / 2
    return f"C{_n(before[0])} {_n(middle)} {_n(after[0])} {_n(middle)} {_p(after)}"


def _arrow(line: Line, em: float) -> str:
    """Draw an arrowhead as a shape: markers are drawn differently from viewer to viewer."""
    length, half = ARROW * em, ARROW_HALF * em
    before, tip = line.points[-2:]
    dx, dy = (0.0, 1.0) if line.bend == "smooth" else _direction(before, tip)
    base = (tip[0] - dx * length, tip[1] - dy * length)
    points = [tip, (base[0] - dy * half, base[1] + dx * half), (base[0] + dy * half, base[1] - dx * half)]
    return f'<polygon class="arrow" points="{" ".join(f"{_n(x)},{_n(y)}" for x, y in points)}"/>'


def _direction(start: Point, end: Point) -> Point:
    length = _distance(start, end) or 1.0
    return (end[0] - start[0]) / length, (end[1] - start[1]) / length


def _toward(start: Point, end: Point, length: float) -> Point:
    dx, dy = _direction(start, end)
    return start[0] + dx * length, start[1] + dy * length


def _distance(a: Point, b: Point) -> float:
    return hypot(b[0] - a[0], b[1] - a[1])


def _p(point: Point) -> str:
    return f"{_n(point[0])} {_n(point[1])}"


def _n(number: float) -> str:
    return f"{round(number, _ROUND_TO):g}" if abs(number) < 10**5 else f"{number:.0f}"
