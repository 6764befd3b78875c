"""PNG and PDF from SVG, by vl-convert: resvg in a wheel, with its own fonts, independent of the system's."""

from __future__ import annotations

from typing import Any

from alexnet_cli.errors import UsageError

POINTS = 0.75
"""A CSS pixel in points; the library takes the pixels of an SVG as points of a PDF."""


def converter(name: str) -> Any:
    """Return the library, which keeps text as text in PDF and embeds its fonts; `name` is that of the format.

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
