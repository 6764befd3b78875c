"""`cache`: the answers that are kept."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from alexnet_cli.answers.answer import Answer
from alexnet_cli.cache import folder as store
from alexnet_cli.document import Document, Fact, Facts
from alexnet_cli.report_json import Envelope, generator


class CacheResult(Envelope, frozen=True, kw_only=True):
    """`alexnet cache --json`: what is kept and where; `removed` for `clear`."""

    folder: str | None
    entries: int
    bytes: int
    removed: int | UnsetType = UNSET


def cache(*, clear: bool = False) -> Answer[CacheResult]:
    """Show where answers are kept, how many and how large; remove them first with `clear`."""
    folder = store.cache_folder()
    removed = store.clear(folder) if folder is not None and clear else 0
    entries, size = store.size(folder) if folder is not None else (0, 0)
    result = CacheResult(
        generator=generator(),
        command="cache",
        folder=None if folder is None else str(folder),
        entries=entries,
        bytes=size,
        removed=removed if clear else UNSET,
    )
    facts = [Fact("Folder", result.folder), Fact("Entries", entries, "count"), Fact("Size", size, "bytes")]
    if clear:
        facts.append(Fact("Removed", removed, "count"))
    return Answer(result, lambda: Document("Cache", (Facts(tuple(facts)),)))
