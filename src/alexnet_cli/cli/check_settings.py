"""What `alexnet check` is asked for: options, and below them `[tool.alexnet.check]` in pyproject.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from alexnet_cli.analyses.limits import LIMITS
from alexnet_cli.errors import TargetError, UsageError
from alexnet_cli.quantities import read_fraction
from alexnet_cli.report import Report
from alexnet_cli.report_json import load_report

PYPROJECT = Path("pyproject.toml")
SECTION = "[tool.alexnet.check]"
BASELINE, TOLERANCE = "baseline", "tolerance"
KEYS = (*(limit.name for limit in LIMITS), BASELINE, TOLERANCE)


@dataclass(frozen=True)
class Asked:
    """The limits by name, and the baseline with its tolerance."""

    limits: Mapping[str, int]
    baseline: Report | None
    tolerance: Decimal


def read_asked(options: Mapping[str, object]) -> Asked:
    """Put the options, where they are given, over the settings.

    Raises:
        UsageError: a limit does not parse, a key is not known, or no limit is set.
        TargetError: the baseline cannot be read.
    """
    given = {**_settings(PYPROJECT), **{name: value for name, value in options.items() if value is not None}}
    read = {limit.name: limit.read(given[limit.name]) for limit in LIMITS if limit.name in given}
    limits = {name: most for name, most in read.items() if most is not None}
    tolerance = read_fraction(str(given.get(TOLERANCE, "0")), TOLERANCE)
    if BASELINE not in given:
        if not limits:
            hint = f"as in --max-params 65M, --baseline report.json, or max-params = '65M' in {SECTION} of {PYPROJECT}"
            raise UsageError("nothing to check: no limit was given", hint)
        if TOLERANCE in options and options[TOLERANCE] is not None:
            raise UsageError("--tolerance goes with --baseline")
    return Asked(limits, _baseline(given[BASELINE]) if BASELINE in given else None, tolerance)


def _baseline(given: object) -> Report:
    if not isinstance(given, str) or not given:
        raise UsageError(f"baseline: {given!r} is no file", "a report that `alexnet summary --json -o FILE` saved")
    baseline = load_report(Path(given))
    if baseline.error is not None:
        raise TargetError(f"{given} cannot be a baseline: its model failed", baseline.error.message)
    return baseline


def _settings(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if b"alexnet" not in data:
        return {}
    toml = _toml_reader()
    try:
        section: dict[str, Any] = toml.loads(data.decode())
    except ValueError as error:  # both kinds of decoding errors are
        raise UsageError(f"{path} does not parse: {error}") from error
    for name in ("tool", "alexnet", "check"):
        section = section.get(name, {})
        if not isinstance(section, dict):
            raise UsageError(f"{SECTION} in {path} is no table", 'as in [tool.alexnet.check], then max-params = "65M"')
    for key in section:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(KEYS)}"
            raise UsageError(f"unknown key {key!r} in {SECTION} of {path}", hint)
    return section


def _toml_reader() -> ModuleType:
    for name in ("tomllib", "tomli"):
        if find_spec(name) is not None:
            return import_module(name)
    hint = "pip install tomli, or give the limits as options in a folder without it"
    raise UsageError(f"{PYPROJECT} cannot be read by this Python, which is older than 3.11", hint)
