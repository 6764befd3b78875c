"""Documents as text, one format a file. Each format is loaded on first use."""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePath
from typing import cast

from alexnet_cli.document import Document
from alexnet_cli.graphics.text import Style

FORMATS = {
    "table": (".txt",),
    "csv": (".csv",),
    "markdown": (".md", ".markdown"),
    "latex": (".tex",),
    "html": (".html", ".htm"),
    "svg": (".svg",),
}
"""The formats of a document, each with the file suffixes that select it."""
_MODULES = {name: name for name in FORMATS} | {"table": "terminal"}


def render(document: Document, format_name: str, style: Style) -> str:
    """Write a document in one of `FORMATS`; the text ends in one newline.

    Raises:
        KeyError: there is no such format.
    """
    module = import_module(f"{__name__}.{_MODULES[format_name]}")
    return cast("str", module.render(document, style))


def format_for_suffix(path: str) -> str | None:
    """Return the format for a file's suffix, upper or lower case; None if no format has it."""
    suffix = PurePath(path).suffix.lower()
    return next((name for name, suffixes in FORMATS.items() if suffix in suffixes), None)
