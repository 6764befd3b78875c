"""Model folders as targets: a config says which class of which library to build; weights are never loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

CONFIGS = ("model_index.json", "adapter_config.json", "config.json")
"""The files that say what is in a folder; the first that is there does."""
LARGEST_CONFIG = 20_000_000


class _Marks(Struct):
    """The keys by which a config is known from other JSON, and that of everything this program writes."""

    schema_version: Any = UNSET
    peft_type: Any = UNSET
    class_name: Any = msgspec.field(default=UNSET, name="_class_name")
    model_type: Any = UNSET
    auto_map: Any = UNSET
    architectures: Any = UNSET
    architecture: str | UnsetType = UNSET


def is_model_folder(target: str) -> bool:
    """Recognise a folder with a config, a config of any name, or either with the name of a part: `folder:unet`."""
    return config_of(target) is not None


def config_of(target: str) -> tuple[Path, str] | None:
    """Return the config that a target names and the name of the part, which may be empty; None if there is none."""
    path = Path(target)
    part = ""
    if not path.exists() and ":" in target:
        before, _, part = target.rpartition(":")
        path = Path(before)
    if path.is_file():
        return (path, part) if path.name in CONFIGS or (path.suffix == ".json" and _is_config(path)) else None
    return next(((path / name, part) for name in CONFIGS if (path / name).is_file()), None)


def _is_config(file: Path) -> bool:
    """Tell by its keys whether a JSON file is a config; what cannot be read is none, and whoever reads it says so."""
    try:
        if file.stat().st_size > LARGEST_CONFIG:
            return False
        marks = msgspec.json.decode(file.read_bytes(), type=_Marks)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return False
    return marks.schema_version is UNSET and marks != _Marks()
