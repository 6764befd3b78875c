"""Target string to Subject or saved Report."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path

from alexnet_cli.errors import UsageError
from alexnet_cli.models.catalogue import Variant, variants
from alexnet_cli.report import Report
from alexnet_cli.report_json import load_report, read_report
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Subject

STDIN = ("-", "/dev/stdin")


def resolve(target: str) -> Subject | Report:
    """Return what a target names: a model that can be traced, or a report that was saved.

    Raises:
        UsageError: the name is not known.
        TargetError: the file cannot be read, or is not what its name says.
    """
    if target in variants():
        return _variant(variants()[target])
    if target in STDIN:
        return read_report(sys.stdin.buffer.read(), "standard input")
    if target.endswith(".json") or target.startswith("/dev/fd/"):
        return load_report(Path(target))
    raise _unknown(target)


def _variant(variant: Variant) -> Subject:
    return Subject(
        target=variant.name,
        description=variant.description,
        load=variant.build,
        inputs=(InputSpec(variant.input),),
    )


def _unknown(target: str) -> UsageError:
    near = get_close_matches(target.lower(), variants(), n=3, cutoff=0.5)
    known = f"known: {', '.join(variants())}; or a saved report (report.json)"
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"unknown target {target!r}", guess + known)
