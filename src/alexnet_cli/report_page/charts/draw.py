"""From a chart's specification to SVG that is part of the page.

vl-convert runs Vega-Lite in this process, without a browser and without the network. The pictures are drawn here and
not in the reader's browser: so they are there without JavaScript and on paper, and take a fraction of the bytes that
Vega's scripts would. What is drawn is then tied to the page: each mark that stands for a layer gets the layer's path,
and a text that says what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup
from msgspec import Struct

from alexnet_cli.graphics.text import visible
from alexnet_cli.report_page.charts.look import CONFIG, HIT, NARROW, WIDE

_SVG = "http://www.w3.org/2000/svg"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_TRANSLATE = re.compile(r"translate\((-?[\d.]+),")
_SAYS_NOTHING = re.compile(r"aria-.*|role|pointer-events|font-family|stroke-miterlimit")
_DEFAULTS = {"opacity": "1", "transform": "translate(0,0)", "stroke-width": "1"}
_NUMBERS = frozenset({"d", "transform", "x", "y", "x2", "y2", "width", "height"})
_LONG = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")


class Mark(Struct, frozen=True):
    """What a mark stands for: the paths of its layers, none where it is no layer, and a sentence with its numbers."""

    paths: tuple[str, ...]
    text: str


class Specification(Struct, frozen=True):
    """A Vega-Lite specification; `left` is how many pixels stand left of what it calls its left edge, as an axis."""

    vega_lite: dict[str, Any]
    left: int = 0


class Chart(Struct, frozen=True):
    """A chart as SVG at two widths; `label` says in a sentence what it shows."""

    label: str
    wide: Markup
    narrow: Markup


def draw(specification: Callable[[int], Specification], marks: Mapping[str, Mark], label: str) -> Chart:
    """Draw a chart at both widths.

    `specification` gives the Vega-Lite specification for a width in pixels; a mark whose description is a key of
    `marks` is that mark.
    """
    wide, narrow = (_drawn(specification(width), width, marks, label) for width in (WIDE, NARROW))
    return Chart(label, wide, narrow)


def _drawn(specification: Specification, width: int, marks: Mapping[str, Mark], label: str) -> Markup:
    import vl_convert

    whole = {"$schema": _SCHEMA, "config": CONFIG, **specification.vega_lite}
    text = vl_convert.vegalite_to_svg(_harmless(whole), allowed_base_urls=[])
    root = ET.fromstring(text)  # noqa: S314 - the library's own output
    _frame(root, width, specification.left)
    for element in list(root.iter()):
        _tie(element, marks)
        _slim(element)
    root.set("role", "img")
    root.set("aria-label", visible(label))
    ET.register_namespace("", _SVG)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - a serialiser wrote it


def _frame(root: ET.Element, width: int, left: int) -> None:
    """Give the picture its width, whatever the fonts here make of its texts."""
    moved = _TRANSLATE.match(root[0].get("transform", ""))
    assert moved is not None  # noqa: S101 - for the type checker
    root.set("viewBox", f"{float(moved[1]) - left:g} 0 {width} {root.get('height')}")
    root.set("width", str(width))


def _tie(element: ET.Element, marks: Mapping[str, Mark]) -> None:
    """Replace the key that a mark carries by the layer's path; what takes the pointer gets a title too."""
    key = element.get("aria-label", "")
    mark = marks.get(key.removeprefix(HIT))
    if mark is None:
        return
    if mark.paths:
        element.set("data-path", visible(mark.paths[0]))
    if len(mark.paths) > 1:
        element.set("data-paths", json.dumps([visible(path) for path in mark.paths], ensure_ascii=False))
    if key.startswith(HIT):
        element.set("class", "hit")
        ET.SubElement(element, f"{{{_SVG}}}title").text = visible(mark.text)


def _slim(element: ET.Element) -> None:
    """Leave out what says nothing on this page, and round what is finer than a tenth of a pixel."""
    for name, value in list(element.attrib.items()):
        if _SAYS_NOTHING.fullmatch(name) or _DEFAULTS.get(name) == value:
            del element.attrib[name]
        elif name in _NUMBERS:
            element.set(name, _LONG.sub(lambda match: f"{float(match[0]):.1f}".rstrip("0").rstrip("."), value))
    if element.get("class", "").startswith("mark-"):
        del element.attrib["class"]
    for child in list(element):
        if child.get("class") in {"background", "foreground"} and not child.get("stroke"):
            element.remove(child)


def _harmless(value: Any) -> Any:
    """Write characters that no SVG can hold as escapes, in all texts of a specification."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {key: _harmless(item) for key, item in value.items()}
        case list() | tuple():
            return [_harmless(item) for item in value]
        case _:
            return value
