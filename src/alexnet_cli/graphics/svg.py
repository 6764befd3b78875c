"""SVG written as text: elements, themes, whole pictures and pictures inside a page. Equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from html import escape
from json import dumps
from typing import Any

from msgspec import Struct

from alexnet_cli.errors import UsageError
from alexnet_cli.graphics.palette import DARK, LIGHT, Page, Theme
from alexnet_cli.graphics.text import visible

POINTS = 0.75
"""A CSS pixel in points; the library that converts to PDF takes the pixels of an SVG as points."""


class Drawing(Struct, frozen=True):
    """Elements that fill a rectangle of this size in pixels."""

    width: float
    height: float
    elements: tuple[str, ...]


def number(value: float) -> str:
    """Write a coordinate, to a hundredth of a pixel.

    Python 3.12 adds up floats more exactly, so the last digits are left out first: else halves would go either way.
    """
    return f"{round(round(value, 6), 2) + 0.0:.10g}"


def element(name: str, *children: str, **attributes: str | float | None) -> str:
    """Write an element around children that are SVG already.

    In the names of attributes `_` stands for `-`, and one at the end is dropped: `class_`, `text_anchor`. Attributes
    that are None or empty are left out; texts are escaped.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value) if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
        if value is not None and value != ""
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if any(children) else f"<{name}{written}/>"


def words(text: str, x: float, y: float, **attributes: str | float | None) -> str:
    """Write a line of text that stands on `y`."""
    return element("text", escape(text).replace("\xa0", "&#160;"), x=x, y=y, **attributes)


def straight(x: float, y: float, to_x: float, to_y: float, class_: str) -> str:
    """Draw a straight line."""
    return element("path", class_=class_, d=f"M{number(x)} {number(y)}L{number(to_x)} {number(to_y)}")


def tooltip_of(text: str) -> str:
    """Write the tooltip of the element around it."""
    return element("title", escape("\n".join(map(visible, text.split("\n"))))) if text else ""


def tied(paths: Sequence[str]) -> dict[str, str]:
    """Return the attributes that name the layers an element stands for, so that the page around it can find them.

    Characters that XML cannot hold, or changes, are written as in the texts.
    """
    names = [visible(path) for path in paths]
    several = {"data_paths": dumps(names, ensure_ascii=False)} if len(names) > 1 else {}
    return {"data_path": names[0], **several} if names else {}


def themed(theme: Theme, colors: Callable[[Page], Iterable[str]]) -> Iterator[str]:
    """Yield style rules in the colours of a theme; those of `auto` follow the viewer's preference."""
    yield from colors(DARK if theme == "dark" else LIGHT)
    if theme == "auto":
        yield "@media (prefers-color-scheme: dark) {"
        yield from colors(DARK)
        yield "}"


def picture(
    page: str, drawing: Drawing, rules: Callable[[str], Iterable[str]], *, title: str, about: str = "", scale: float = 1
) -> str:
    """Write a picture that stands alone, shown `scale` times its size; `rules` makes the rules for its selector."""
    content = "\n".join(drawing.elements)
    own = f"alexnet-{sha256((title + content).encode()).hexdigest()[:10]}"
    labels, head = f"{own}-title", f'<title id="{own}-title">{escape(title)}</title>'
    if about:
        labels, head = f"{labels} {own}-about", f'{head}\n<desc id="{own}-about">{escape(about)}</desc>'
    lines = ["", head, "<style>", *rules(f"#{own}"), "</style>", page, content, ""]
    named = {"xmlns": "http://www.w3.org/2000/svg", "id": own, "role": "img", "aria_labelledby": labels}
    return _svg(drawing, lines, scale, **named) + "\n"


def inline(drawing: Drawing, label: str) -> str:
    """Write a picture for inside a page, which has the style rules; `label` says what it shows."""
    named = {"class_": "plot", "role": "img", "aria_label": visible(label)}
    return _svg(drawing, ["", *drawing.elements, ""], 1, **named)


def _svg(drawing: Drawing, lines: Iterable[str], scale: float, **named: str) -> str:
    size = {"width": drawing.width * scale, "height": drawing.height * scale}
    view = f"0 0 {number(drawing.width)} {number(drawing.height)}"
    return element("svg", "\n".join(lines), **named, **size, viewBox=view)


def converter(name: str) -> Any:
    """Return vl-convert, which makes PNG and PDF of SVG with its own fonts, independent of the system's.

    It keeps text as text in PDF and embeds the fonts. `name` is that of the format.

    Raises:
        UsageError: the library is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise UsageError(
            f"{name} needs the package vl-convert-python",
            "install with: pip install 'alexnet-cli[draw]'; or write .svg, which needs no package",
        ) from error
    return vl_convert
