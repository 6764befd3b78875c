"""PNG and PDF from SVG, by vl-convert: resvg in a wheel, with its own fonts, independent of the system's."""

from __future__ import annotations

from typing import Any

from alexnet_cli.errors import UsageError

POINTS = 0.75
"""A CSS pixel in points; the library takes the pixels of an SVG as points of a PDF."""


def need(name: str) -> None:
    """Check before any work that the library is installed.

    Raises:
        UsageError: it is not.
    """
    _library(name)


def png(svg: str, scale: float) -> bytes:
    """Return a picture with `scale` pixels for each pixel of the SVG.

    Raises:
        UsageError: the library is not installed.
    """
    return bytes(_library("PNG").svg_to_png(svg, scale=scale))


def pdf(svg: str) -> bytes:
    """Return a page of the SVG's size; text stays text, with the fonts embedded.

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
            "install with: pip install 'alexnet-cli[draw]'; or write .svg, which needs no package",
        ) from error
    return vl_convert
