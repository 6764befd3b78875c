"""The answers that are kept."""

from __future__ import annotations

from alexnet_cli.document import Document, Fact, Facts


def cache_document(folder: str | None, entries: int, size: int, removed: int | None) -> Document:
    """Show where the answers are kept, how many there are and their bytes; `removed` is None where none were to be."""
    facts = [Fact("Folder", folder), Fact("Entries", entries, "count"), Fact("Size", size, "bytes")]
    if removed is not None:
        facts.append(Fact("Removed", removed, "count"))
    return Document("Cache", (Facts(tuple(facts)),))
