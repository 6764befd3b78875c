"""The settings of `alexnet check` in pyproject.toml."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from alexnet_cli.answers.check import KEYS, SECTION
from alexnet_cli.errors import UsageError, nearest

PYPROJECT = Path("pyproject.toml")


def settings(path: Path = PYPROJECT) -> dict[str, Any]:
    """Return the settings; none if there is no such file or section.

    Raises:
        UsageError: the file cannot be read or does not parse, or a key is unknown.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if b"alexnet" not in data:
        return {}
    try:
        section: dict[str, Any] = _toml_reader().loads(data.decode("utf-8-sig"))
    except ValueError as error:  # TOML and UTF-8 errors are both ValueErrors
        raise UsageError(f"cannot parse {path}: {error}") from error
    for name in ("tool", "alexnet", "check"):
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise UsageError(
                f"{SECTION} in {path} is not a table", 'as in [tool.alexnet.check], then max-params = "65M"'
            )
    for key in section:
        if key not in KEYS:
            raise UsageError(f"unknown key {key!r} in {SECTION} of {path}", nearest(key, KEYS, most=3))
    return section


def _toml_reader() -> ModuleType:
    for name in ("tomllib", "tomli"):
        if find_spec(name) is not None:
            return import_module(name)
    hint = "pip install tomli, or give the limits as options in a folder without it"
    raise UsageError(f"{PYPROJECT} cannot be read by this Python, which is older than 3.11", hint)
