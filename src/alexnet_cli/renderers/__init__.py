"""Documents as text, one format a file. Each format is loaded on first use."""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath
from typing import cast

from msgspec import Struct

from alexnet_cli.document import Document
from alexnet_cli.graphics.text import Style


class Format(Struct, frozen=True):
    """A format's name, the file suffixes that select it, and the module whose `render` writes it."""

    name: str
    suffixes: tuple[str, ...]
    module: str


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("table", (".txt",), "terminal"),
        Format("csv", (".csv",), "csv"),
        Format("markdown", (".md", ".markdown"), "markdown"),
        Format("latex", (".tex",), "latex"),
        Format("html", (".html", ".htm"), "html"),
        Format("svg", (".svg",), "svg"),
    )
}


def render(document: Document, format_name: str, style: Style) -> str:
    """Write a document in one of `FORMATS`; the text ends in one newline.

    Raises:
        KeyError: there is no such format.
    """
    module = import_module(f"{__name__}.{FORMATS[format_name].module}")
    return cast("str", module.render(document, style))


def format_for_suffix(path: str) -> str | None:
    """Return the format for a file's suffix, upper or lower case; None if no format has it."""
    suffix = PurePath(path).suffix.lower()
    return next((entry.name for entry in FORMATS.values() if suffix in entry.suffixes), None)
