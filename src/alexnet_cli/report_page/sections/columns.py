"""What other analyses know of a layer, as further columns of the layer table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, prod

from markupsafe import Markup
from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses import memory
from alexnet_cli.analyses.receptive_field.fields import LayerField
from alexnet_cli.document import Unit, Value
from alexnet_cli.report import Layer
from alexnet_cli.report_page.section import Material
from alexnet_cli.report_page.sections.receptive_field import fields_of
from alexnet_cli.report_page.sections.roofline import cost_of

_Place = tuple[str, int]
"""The path of a row, and which call of its module it is."""


class Cell(Struct, frozen=True):
    """What a column says of a layer; `share` of the model's total draws a bar, `order` is what it is sorted by.

    Without an `order` it is sorted by the number that it shows, and if that is none as if it had the least.
    """

    value: Value
    unit: Unit
    share: float | None = None
    order: float | None = None

    @property
    def order_attribute(self) -> Markup:
        """The attribute that the page's script sorts by."""
        return Markup() if self.order is None else Markup(" data-v={}").format(f"{self.order:.9g}")


BLANK = Cell("", "text")


@dataclass(frozen=True)
class Extra:
    """A column: `key` is its name in the JSON of the command that tells more, `of` its cell for a layer."""

    key: str
    title: str
    unit: Unit
    about: str
    of: Callable[[Layer], Cell]


def extra_columns(material: Material) -> tuple[Extra, ...]:
    """Return the columns that are known of this model."""
    return (*_field(material), *_cost(material), *_saved(material))


def _field(material: Material) -> Iterator[Extra]:
    known = fields_of(material.report)
    if isinstance(known, str):
        return
    rows = material.report.layers
    fields = {(item.path, rows[item.row].call): item for item in known.layers}
    about = "receptive field: how many places of the input a unit of the output sees"
    yield Extra("size", "Field", "shape", about, lambda layer: _field_cell(fields.get((layer.path, layer.call))))


def _field_cell(field: LayerField | None) -> Cell:
    if field is None or field.status == "undefined":
        return Cell("–", "text")
    if field.size is None or None in field.size:
        return Cell("all", "text", order=inf)
    size = tuple(axis for axis in field.size if axis is not None)
    bound = "≤" if field.status == "upper_bound" else ""
    return Cell(f"{bound}{units.shape(size)}", "text", order=prod(size))


def _cost(material: Material) -> Iterator[Extra]:
    """Yield how much a layer computes for each byte, and on hardware the least time."""
    known = cost_of(material.report, material.roof)
    if isinstance(known, str):
        return
    rows = material.report.layers
    costs = {(item.path, rows[item.row].call): item for item in known.layers}

    def intensity(layer: Layer) -> Cell:
        item = costs.get((layer.path, layer.call))
        if item is None or item.flops is None:
            return Cell(None, "intensity")
        if item.intensity is None:  # nothing is moved
            return BLANK
        return Cell(units.intensity(item.intensity).removesuffix("FLOP/byte").strip(), "text", order=item.intensity)

    def seconds(layer: Layer) -> Cell:
        item = costs.get((layer.path, layer.call))
        value = item.seconds if item else None
        return Cell(value, "seconds", order=value)

    yield Extra("intensity", "FLOP/byte", "intensity", "FLOPs for each byte that is read or written", intensity)
    if material.roof is not None:
        yield Extra("seconds", "At least", "seconds", f"least time on the {material.roof.hardware.name}", seconds)


def _saved(material: Material) -> Iterator[Extra]:
    """Yield what a layer is the first to save for backward; a layer that has no such row saves nothing."""
    trained = material.training
    if trained is None or trained.tape is None or trained.error is not None:
        return
    rows = trained.layers
    saved: dict[_Place, int] = {(item.path, rows[item.row].call): item.saved_bytes for item in memory.by_layer(trained)}

    def cell(layer: Layer) -> Cell:
        size = saved.get((layer.path, layer.call), 0)
        return Cell(size, "bytes", order=size)

    yield Extra("saved_bytes", "Saved", "bytes", "memory that the layer is the first to save for backward", cell)
