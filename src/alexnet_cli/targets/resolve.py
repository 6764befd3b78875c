"""From a target string to a Subject or a saved Report."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from alexnet_cli.errors import UsageError
from alexnet_cli.models.catalogue import Variant, variants
from alexnet_cli.report import Report
from alexnet_cli.report_json import load_report, read_report
from alexnet_cli.targets.checkpoint import is_checkpoint
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Loaded, Subject

STDIN = ("-", "/dev/stdin")
_PYTHON = re.compile(r"(?P<place>.*\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")


def resolve(target: str, arguments: Mapping[str, Any] | None = None) -> Subject | Report:
    """Return what a target names: a model to trace, a saved report, or the report of a checkpoint.

    `arguments` are passed on to the class or function that builds the model.

    Raises:
        UsageError: the name is unknown.
        TargetError: the file cannot be read, or is not what its name says.
    """
    arguments = arguments or {}
    if target in variants():
        return _variant(variants()[target], arguments)
    match = _PYTHON.fullmatch(target)
    if match or target.endswith(".py"):
        from alexnet_cli.targets.python_code import python_subject  # a variant needs neither this nor checkpoints

        return python_subject(match["place"] if match else target, match["name"] if match else "", arguments)
    if arguments:
        raise UsageError("--arg applies only to a model that is built, such as file.py:NAME")
    if target in STDIN:
        return read_report(sys.stdin.buffer.read(), "standard input")
    if is_checkpoint(target):
        from alexnet_cli.targets.checkpoint.read import checkpoint_report

        return checkpoint_report(target)
    if target.endswith(".json") or target.startswith("/dev/fd/"):
        return load_report(Path(target))
    raise _unknown(target)


def is_stored(target: str) -> bool:
    """Tell whether a target is a saved report or a checkpoint, and so is not run."""
    return target in STDIN or is_checkpoint(target) or target.endswith(".json") or target.startswith("/dev/fd/")


def parse_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Read `--arg name=value`; a value that is not JSON is a string.

    Raises:
        UsageError: a text has no name before an equals sign.
    """
    arguments = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--arg {text!r} is not of the form name=value", "for example --arg num_classes=10")
        try:
            arguments[name] = json.loads(value)
        except ValueError:
            arguments[name] = value
    return arguments


def _variant(variant: Variant, arguments: Mapping[str, Any]) -> Subject:
    return Subject(
        target=variant.name,
        description=variant.description,
        load=partial(_load_variant, variant, arguments),
        inputs=(InputSpec(variant.input),),
    )


def _load_variant(variant: Variant, arguments: Mapping[str, Any]) -> Loaded:
    try:
        return Loaded(variant.build(**arguments))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"cannot build {variant.name} with these arguments: {error}") from error


def _unknown(target: str) -> UsageError:
    near = get_close_matches(target.lower(), variants(), n=3, cutoff=0.5)
    known = f"known: {', '.join(variants())}; or file.py:NAME, package.module:NAME, a checkpoint, or a saved report"
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"unknown target {target!r}", guess + known)
