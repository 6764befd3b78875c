"""The JSON of `alexnet models`."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.models.catalogue import variants
from alexnet_cli.report_json import Envelope


class ListedModel(Struct, frozen=True):
    """A built-in model; the input is without the batch."""

    name: str
    description: str
    input: tuple[int, ...]
    params: int
    macs: int
    source: str


class ModelsResult(Envelope, frozen=True, kw_only=True):
    """`alexnet models --json`."""

    models: tuple[ListedModel, ...]


def listed_models() -> tuple[ListedModel, ...]:
    """Return the built-in models as they are listed."""
    return tuple(ListedModel(v.name, v.description, v.input, v.params, v.macs, v.source) for v in variants().values())
