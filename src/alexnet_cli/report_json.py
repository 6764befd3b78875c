"""Reports as JSON: written, read back, and the envelope that every command's JSON has."""

from __future__ import annotations

import codecs
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from alexnet_cli import __version__
from alexnet_cli.errors import TargetError
from alexnet_cli.older_reports import with_natures
from alexnet_cli.report import SCHEMA_VERSION, ErrorInfo, Generator, Layer, Model, Report, Run, Totals
from alexnet_cli.report_checks import flaw
from alexnet_cli.tape import Tape

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_HOW_TO_SAVE = "save one with `alexnet summary --json -o report.json`"
_TORCH = re.compile(r"torch-(?P<version>[^-]+)\.dist-info")


class Envelope(Struct, frozen=True, kw_only=True):
    """The keys that every command's JSON begins with; a command's own keys follow."""

    schema_version: Literal[1] = SCHEMA_VERSION
    generator: Generator
    command: str
    model: Model | None = None
    run: Run | None = None
    error: ErrorInfo | None = None

    @staticmethod
    def of(report: Report, command: str) -> dict[str, Any]:
        """Return the keys of a command's answer about one model."""
        return {
            "generator": report.generator,
            "command": command,
            "model": report.model,
            "run": report.run,
            "error": report.error,
        }


class SavedReport(Envelope, frozen=True, kw_only=True):
    """The part of `summary`'s JSON that makes a report."""

    model: Model
    layers: tuple[Layer, ...]
    totals: Totals
    tape: Tape | None = None


@cache
def generator() -> Generator:
    """Name the program and the installed torch, without importing it."""
    return Generator("alexnet-cli", __version__, torch_version())


def torch_version() -> str | None:
    """Return the version of the installed torch; None where it is not installed.

    The name of torch's metadata folder has it. In case of doubt `importlib.metadata` is asked, whose import takes
    longer than showing a saved report.
    """
    found = _metadata_folders()
    if len(found) == 1 and "_" not in found[0]:
        return found[0]
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def _metadata_folders() -> list[str]:
    """Return the torch versions in the first folder of `sys.path` that has any."""
    for folder in sys.path:
        try:
            matches = [_TORCH.fullmatch(name) for name in os.listdir(folder or ".")]  # noqa: PTH208 - names are matched
        except OSError:
            continue
        if found := [match["version"] for match in matches if match]:
            return found
    return []


def to_json(envelope: Envelope) -> str:
    """Return indented JSON that ends in a newline."""
    return msgspec.json.format(msgspec.json.encode(envelope), indent=2).decode() + "\n"


def read_report(data: bytes, name: str) -> Report:
    """Read a report that `alexnet summary --json` wrote; `name` is used in errors.

    Raises:
        TargetError: it is empty, not JSON, not such a report, or does not hold together.
    """
    if not data:
        raise TargetError(f"{name} is empty, not a saved report", hint=_HOW_TO_SAVE)
    try:
        saved = msgspec.json.decode(_as_utf8(data), type=SavedReport)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"{name} is not a saved report: {error}", hint=_HOW_TO_SAVE) from error
    tape = with_natures(saved.tape) if saved.tape else None
    report = Report(saved.generator, saved.model, saved.run, saved.error, saved.layers, saved.totals, tape)
    wrong = flaw(report)
    if wrong is not None:
        raise TargetError(f"{name} is not a report as alexnet saves it: it has {wrong}", hint=_HOW_TO_SAVE)
    return report


def _as_utf8(data: bytes) -> bytes:
    """Return JSON in UTF-8 without a mark: Windows PowerShell's `>` writes UTF-16, and some editors add a mark."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding).encode()
    return data


def load_report(path: Path) -> Report:
    """Read a saved report from a file.

    Raises:
        TargetError: the file cannot be read or holds no report.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}") from error
    return read_report(data, str(path))
