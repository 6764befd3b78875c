"""The built-in models."""

from __future__ import annotations

from collections.abc import Iterable

from alexnet_cli.document import Column, Document, Row, Table

COLUMNS = (
    Column("name", "Model"),
    Column("input", "Input", "shape", priority=5),
    Column("params", "Parameters", "count", priority=8),
    Column("macs", "MACs", "macs", priority=7),
    Column("source", "Source", priority=3),
)


def models_document(models: Iterable[tuple[str, tuple[int, ...], int, int, str]]) -> Document:
    """Show name, input without the batch, parameters, MACs and source of each model."""
    return Document("Built-in models", (Table("models", COLUMNS, tuple(Row(cells) for cells in models)),))
