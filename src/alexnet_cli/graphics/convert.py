"""PNG and PDF from SVG, by vl-convert: resvg in a wheel, with fonts of its own, and nothing of the system's needed."""

from __future__ import annotations

from typing import Any

from alexnet_cli.errors import UsageError

POINTS = 0.75
"""A CSS pixel in points; the library takes the pixels of an SVG as points of a PDF."""


def need(name: str) -> None:
    """See that the library is installed, before any work is done.

    Raises:
        UsageError: it is not.
    """
    _library(name)


def png(svg: str, scale: float) -> bytes:
    """Return a picture of `scale` pixels for each of the SVG's.

    Raises:
        UsageError: the library is not installed.
    """
    return bytes(_library("PNG").svg_to_png(svg, scale=scale))


def pdf(svg: str) -> bytes:
    """Return a page as large as the SVG, its text as text with the fonts embedded.

    Raises:
        UsageError: the library is not installed.
    """
    return bytes(_library("PDF").svg_to_pdf(svg))


def _library(name: str) -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise UsageError(
            f"{name} needs the package vl-convert-python",
            "install with: pip install 'alexnet-cli[draw]'; or write .svg, which needs nothing",
        ) from error
    return vl_convert
