"""Model folders as targets: a config says which class of which library to build; weights are never loaded."""

from __future__ import annotations

from pathlib import Path

CONFIGS = ("model_index.json", "adapter_config.json", "config.json")
"""The files that say what is in a folder; the first that is there does."""


def is_model_folder(target: str) -> bool:
    """Recognise a folder with a config, the config itself, or either with the name of a part: `folder:unet`."""
    return config_of(target) is not None


def config_of(target: str) -> tuple[Path, str] | None:
    """Return the config that a target names and the name of the part, which may be empty; None if there is none."""
    path = Path(target)
    part = ""
    if not path.exists() and ":" in target:
        before, _, part = target.rpartition(":")
        path = Path(before)
    if path.name in CONFIGS:
        return (path, part) if path.is_file() else None
    return next(((path / name, part) for name in CONFIGS if (path / name).is_file()), None)
