"""`models`: the built-in models."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.answers.answer import Answer
from alexnet_cli.document import Column, Document, Row, Table
from alexnet_cli.models.catalogue import variants
from alexnet_cli.report_json import Envelope, generator

_COLUMNS = (
    Column("name", "Model"),
    Column("input", "Input", "shape", priority=5),
    Column("params", "Parameters", "count", priority=8),
    Column("macs", "MACs", "macs", priority=7),
    Column("source", "Source", priority=3),
)


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


def models() -> Answer[ModelsResult]:
    """List the built-in models."""
    listed = tuple(ListedModel(v.name, v.description, v.input, v.params, v.macs, v.source) for v in variants().values())
    rows = tuple(Row((model.name, model.input, model.params, model.macs, model.source)) for model in listed)
    document = Document("Built-in models", (Table("models", _COLUMNS, rows),))
    return Answer(ModelsResult(generator=generator(), command="models", models=listed), lambda: document)
