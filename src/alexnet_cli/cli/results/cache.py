"""The JSON of `alexnet cache`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from alexnet_cli.report_json import Envelope


class CacheResult(Envelope, frozen=True, kw_only=True):
    """`alexnet cache --json`: what is kept and where; `removed` for `clear`."""

    folder: str | None
    entries: int
    bytes: int
    removed: int | UnsetType = UNSET
