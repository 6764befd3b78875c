"""Several targets, each with how it is built and run: options that are given once for all or once for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from alexnet_cli.cli.obtain import complain, obtain_report, trace_options
from alexnet_cli.errors import ExitCode, UsageError
from alexnet_cli.report import Report
from alexnet_cli.targets.checkpoint.read import is_checkpoint
from alexnet_cli.targets.resolve import STDIN
from alexnet_cli.tracing.options import META, TraceOptions

T = TypeVar("T")
_FOR_ONE = re.compile(r"(?P<place>\d{1,4}):(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True)
class SideOptions:
    """The options as they were given; None or a list of one for all targets or one for each."""

    arguments: Sequence[str] | None = None
    input_size: Sequence[str] | None = None
    batch_size: Sequence[int] | None = None
    device: Sequence[str] | None = None
    dtype: Sequence[str] | None = None
    no_batch: bool = False
    train: bool = False
    formulas: Path | None = None
    traceback: bool = False


def obtain_reports(targets: Sequence[str], given: SideOptions) -> list[Report]:
    """Return the report of each target, each with its own options; what was saved takes none.

    Raises:
        UsageError: an option does not parse, or is given neither once nor once for each target.
        AlexnetError: a target cannot be loaded, or not be run.
    """
    arguments = arguments_of(given.arguments, len(targets))
    hows = _trace_options(given, len(targets))
    stored = [is_stored(target) for target in targets]
    if not all(stored):  # where something is run, the options are for that
        hows = [TraceOptions() if keep else how for keep, how in zip(stored, hows, strict=True)]
        arguments = [[] if keep else own for keep, own in zip(stored, arguments, strict=True)]
    return [obtain_report(target, own, how) for target, own, how in zip(targets, arguments, hows, strict=True)]


def finish_all(reports: Sequence[Report]) -> int:
    """Say on stderr which models failed and why, and return the exit code."""
    failed = False
    for report in reports:
        if report.error is not None:
            complain(structs.replace(report.error, message=f"{report.model.target}: {report.error.message}"))
            failed = True
    return ExitCode.FORWARD if failed else ExitCode.OK


def is_stored(target: str) -> bool:
    """Tell whether a target is a saved report or a checkpoint, and so is not run."""
    return target in STDIN or is_checkpoint(target) or target.endswith(".json") or target.startswith("/dev/fd/")


def arguments_of(texts: Sequence[str] | None, count: int) -> list[list[str]]:
    """Hand each target its `--arg`s: those for all, and those that begin with its number as in `2:width=32`.

    Raises:
        UsageError: there is no target of that number.
    """
    found: list[list[str]] = [[] for _ in range(count)]
    for text in texts or ():
        match = _FOR_ONE.fullmatch(text)
        if match is None:
            for own in found:
                own.append(text)
        elif 1 <= int(match["place"]) <= count:
            found[int(match["place"]) - 1].append(match["rest"])
        else:
            raise UsageError(f"--arg {text!r}: there is no target {match['place']}", f"they are numbered 1 to {count}")
    return found


def per_target(values: Sequence[T] | None, count: int, option: str, default: T) -> list[T]:
    """Return a value for each target.

    Raises:
        UsageError: there is neither one value nor one for each.
    """
    if not values:
        return [default] * count
    if len(values) not in (1, count):
        raise UsageError(
            f"{option} was given {len(values)} times for {count} targets",
            "give it once for all of them, or once for each in their order",
        )
    return list(values) * (count // len(values))


def _trace_options(given: SideOptions, count: int) -> list[TraceOptions]:
    sizes = per_target(given.input_size, count, "--input-size", "")
    batches = per_target(given.batch_size, count, "--batch-size", 1)
    devices = per_target(given.device, count, "--device", META)
    dtypes = per_target(given.dtype, count, "--dtype", "")
    found = []
    for size, batch, device, dtype in zip(sizes, batches, devices, dtypes, strict=True):
        inputs = size.split(";") if size else None
        how = trace_options(inputs, batch, device, dtype or None, no_batch=given.no_batch, train=given.train)
        found.append(replace(how, formulas=given.formulas, traceback=given.traceback))
    return found
