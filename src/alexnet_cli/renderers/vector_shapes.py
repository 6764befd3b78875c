"""What a vector plot is drawn with: SVG elements as text, each coordinate to a hundredth of a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Run = tuple[float, float, float, float]
"""A piece of an area: its left, right, top and bottom edge."""

CHAR = 7.3
"""How wide a character of plot text is at most, in pixels: 12 pixels of a monospaced font."""

RADIUS = 4.0
_SHAPES = (
    "M-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",  # circle
    "M0 -{w}L{w} {r}H-{w}z",  # triangle
    "M-{s} -{s}H{s}V{s}H-{s}z",  # square
    "M0 -{w}L{w} 0L0 {w}L-{w} 0z",  # diamond
    "M0 {w}L{w} -{r}H-{w}z",  # triangle, point down
    "M-{w} -{t}H-{t}V-{w}H{t}V-{t}H{w}V{t}H{t}V{w}H-{t}V{t}H-{w}z",  # cross
)
_DASHES = ("", ' stroke-dasharray="7 4"', ' stroke-dasharray="2 4"')


def px(number: float) -> str:
    """Write a coordinate."""
    return f"{round(number, 2) + 0.0:.10g}"


def words(text: str, x: float, y: float, *, anchor: str = "start", classes: str = "") -> str:
    """Write text with its base line at `y`; control characters are the caller's to remove."""
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    named = f' class="{classes}"' if classes else ""
    return f'<text x="{px(x)}" y="{px(y)}"{placed}{named}>{escape(text)}</text>'


def straight(x: float, y: float, to_x: float, to_y: float, classes: str) -> str:
    """Draw a straight line."""
    return f'<path class="{classes}" d="M{px(x)} {px(y)}L{px(to_x)} {px(to_y)}"/>'


def marker(index: int, x: float, y: float, color: str, *, told: str = "", bigger: float = 0.0) -> str:
    """Draw the point of the index-th series; `told` is shown where one points at it."""
    r = RADIUS + bigger
    sizes = {"r": r, "d": 2 * r, "w": 1.25 * r, "s": 0.9 * r, "t": 0.4 * r}
    shape = _SHAPES[index % len(_SHAPES)].format(**{name: px(size) for name, size in sizes.items()})
    title = f"<title>{escape(told)}</title>" if told else ""
    return f'<g class="point" transform="translate({px(x)} {px(y)})" fill="{color}">{title}<path d="{shape}"/></g>'


def polyline(index: int, places: Sequence[tuple[float, float]], color: str, *, told: str = "") -> str:
    """Draw the index-th line; a line of one place is a dot."""
    d = "L".join(f"{px(x)} {px(y)}" for x, y in places)
    end = "h0" if len(places) == 1 else ""
    title = f"<title>{escape(told)}</title>" if told else ""
    return f'<path class="line" stroke="{color}"{_DASHES[index % len(_DASHES)]} d="M{d}{end}">{title}</path>'


def steps(runs: Sequence[Run], color: str, opacity: float) -> str:
    """Draw an area that goes in steps, from left to right; runs of no height are left out, nothing is empty text."""
    d = ""
    for group in _touching(runs):
        d += f"M{px(group[0][0])} {px(group[0][3])}"
        d += "".join(f"V{px(top)}H{px(right)}" for _, right, top, _ in group)
        d += "".join(f"V{px(bottom)}H{px(left)}" for left, _, _, bottom in reversed(group)) + "z"
    return f'<path class="area"{filled(color, opacity)} d="{d}"/>' if d else ""


def filled(color: str, opacity: float) -> str:
    """Return the attributes of a fill."""
    return f' fill="{color}"' + (f' fill-opacity="{opacity:g}"' if opacity < 1 else "")


def swatch(width: float, height: float, color: str, opacity: float) -> str:
    """Draw a filled rectangle that stands half above and half below its base line."""
    return f"<rect{_edges(0, -height / 2, width, height)}{filled(color, opacity)}/>"


def ring(x: float, y: float, told: str) -> str:
    """Draw a ring around a place."""
    return f'<circle class="ring" cx="{px(x)}" cy="{px(y)}" r="5"><title>{escape(told)}</title></circle>'


def sensed(left: float, top: float, width: float, height: float, told: str) -> str:
    """Lay a rectangle that is not seen over a place, so that something is told where one points at it."""
    return f'<rect class="sensed"{_edges(left, top, width, height)}><title>{escape(told)}</title></rect>'


def _edges(left: float, top: float, width: float, height: float) -> str:
    return f' x="{px(left)}" y="{px(top)}" width="{px(width)}" height="{px(height)}"'


def _touching(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs that touch; neighbours between the same heights become one."""
    groups: list[list[Run]] = []
    for left, right, top, bottom in runs:
        if bottom <= top:
            continue
        if not groups or px(groups[-1][-1][1]) != px(left):
            groups.append([(left, right, top, bottom)])
        elif groups[-1][-1][2:] == (top, bottom):
            groups[-1][-1] = (groups[-1][-1][0], right, top, bottom)
        else:
            groups[-1].append((left, right, top, bottom))
    return groups
