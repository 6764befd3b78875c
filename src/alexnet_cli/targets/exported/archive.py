"""The zip archive of a `.pt2` file: which entry holds the program, and what is refused before it is read.

Two layouts are known: that of `torch.export.pt2_archive` (torch 2.8 and newer), whose entries are below one folder, and
that of torch 2.6 and 2.7, whose entries are not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.contents import LARGEST_HEADER, Limited, damage, damaged, opened

KIND = "exported program"
_OLDER = "serialized_exported_program.json"
_COMPILED = "data/aotinductor/"
_MODELS, _WEIGHTS, _CONSTANTS = "models/", "data/weights/", "data/constants/"
_LARGEST_DIRECTORY = 100_000_000
_LARGEST_RATIO = 1000
"""How much smaller deflate makes a file at most, about: what unpacks to more is no honest archive."""


class Archive(NamedTuple):
    """The JSON of the program, and of which entry holds which weight and constant; None where that is not told.

    `empty` names the entries for tensors that hold nothing: those of a model without values.
    """

    program: bytes
    weights: bytes | None = None
    constants: bytes | None = None
    empty: frozenset[str] = frozenset()


def read_archive(path: Path) -> Archive:
    """Read the JSON in a `.pt2` file; weights, pickles and libraries in it are never read.

    Raises:
        TargetError: it cannot be read, is damaged, holds compiled code or no program.
    """
    with opened(path) as (file, size):
        if file.read(4) != b"PK\x03\x04":
            raise damaged(path, "it is not a zip archive", KIND)
        file.seek(0)
        limited: Any = Limited(file, path, _LARGEST_DIRECTORY + 3 * LARGEST_HEADER)
        with damage(path, "its zip archive is damaged", KIND), ZipFile(limited) as archive:
            return _read(path, archive, size)


def _read(path: Path, archive: ZipFile, size: int) -> Archive:
    entries: dict[str, ZipInfo] = {}
    older = any(entry.filename == _OLDER for entry in archive.infolist())
    for entry in archive.infolist():
        name = entry.filename if older else entry.filename.partition("/")[2]
        if name in entries:
            raise damaged(path, f"it has two entries {name!r}", KIND)
        entries[name] = entry

    def read(name: str) -> bytes | None:
        entry = entries.get(name)
        if entry is None:
            return None
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise damaged(path, f"its entry {name!r} is compressed in an unknown way", KIND)
        if entry.file_size > min(LARGEST_HEADER, _LARGEST_RATIO * size):
            raise damaged(path, f"its entry {name!r} would unpack to {entry.file_size:,} bytes (a zip bomb)", KIND)
        with archive.open(entry) as file:
            return file.read(entry.file_size + 1)

    if any(name.startswith(_COMPILED) for name in entries):
        raise TargetError(
            f"{path} contains compiled code (AOTInductor); loading it would run it, so it is never loaded",
            "save the program instead: torch.export.save(exported, path)",
        )
    if older:
        return Archive(read(_OLDER) or b"")
    name = _only_model(path, entries)
    program = read(f"{_MODELS}{name}.json") or b""
    weights = read(f"{_WEIGHTS}{name}_weights_config.json")
    constants = read(f"{_CONSTANTS}{name}_constants_config.json")
    empty = frozenset(name.rpartition("/")[2] for name, entry in entries.items() if not entry.file_size)
    return Archive(program, weights, constants, empty)


def _only_model(path: Path, entries: dict[str, ZipInfo]) -> str:
    names = [
        name.removeprefix(_MODELS).removesuffix(".json")
        for name in entries
        if name.startswith(_MODELS) and name.endswith(".json")
    ]
    if not names:
        raise damaged(path, "it is a zip archive without a program of torch.export.save", KIND)
    if len(names) > 1 and "model" not in names:
        raise TargetError(f"{path} holds {len(names)} programs: {', '.join(names[:5])}", "save the one that is meant")
    return "model" if "model" in names else names[0]
