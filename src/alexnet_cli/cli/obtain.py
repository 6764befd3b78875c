"""From the options of a command to the report that it works on."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from alexnet_cli.analyses.weights import WeightsMatch, compare_weights
from alexnet_cli.cli.cached import cached_trace
from alexnet_cli.errors import ExitCode, UsageError
from alexnet_cli.report import ErrorInfo, Report
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.resolve import parse_arguments, resolve
from alexnet_cli.tracing.options import DEVICES, PARAMETER_DTYPES, TraceOptions

_DEVICE = re.compile(rf"(?:{'|'.join(DEVICES)})|(?:cuda|xpu):\d{{1,4}}")


def trace_options(
    input_size: Sequence[str] | None, batch_size: int, device: str, dtype: str | None, *, no_batch: bool, train: bool
) -> TraceOptions:
    """Read the options that say how a model is run.

    Raises:
        UsageError: one of them does not parse.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}", f"known: {', '.join(DEVICES)}, cuda:N, xpu:N")
    if dtype is not None and dtype not in PARAMETER_DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}", f"known: {', '.join(PARAMETER_DTYPES)}")
    return TraceOptions(
        inputs=tuple(map(parse_input, input_size)) if input_size else None,
        batch_size=None if no_batch else batch_size,
        device=device,
        dtype=dtype,
        mode="train" if train else "eval",
    )


def obtain_report(
    target: str, arguments: Sequence[str] | None, options: TraceOptions, *, cache: bool | None = None
) -> Report:
    """Return the saved report that the target names, or trace the model that it names.

    `cache` says whether a kept answer will do: None for built-in models only, True for the user's own code too.

    Raises:
        AlexnetError: the target cannot be loaded, or the model not be run.
    """
    resolved = resolve(target, parse_arguments(arguments or ()))
    if isinstance(resolved, Report):
        if options != TraceOptions():
            what = "a checkpoint is not run" if resolved.run is None else "a saved report is shown as it was traced"
            note(f"{what}: the options that say how to run a model do nothing here")
        return resolved
    return cached_trace(resolved, arguments or (), options, note, wanted=cache)


def match_weights(
    target: str, arguments: Sequence[str] | None, options: TraceOptions, checkpoint: Path
) -> WeightsMatch:
    """Hold a checkpoint's keys and shapes against the model's.

    Raises:
        UsageError: the target is no model.
        TargetError: the checkpoint cannot be read.
    """
    subject = resolve(target, parse_arguments(arguments or ()))
    if isinstance(subject, Report):
        raise UsageError("--weights needs a model, not a saved report or a checkpoint")
    from alexnet_cli.targets.checkpoint.read import checkpoint_shapes

    shapes = checkpoint_shapes(checkpoint)
    from alexnet_cli.tracing.build import state_shapes  # imports torch

    return compare_weights(state_shapes(subject, options), shapes)


def finish(report: Report) -> int:
    """Say on stderr why a model failed, and return the exit code."""
    if report.error is None:
        return ExitCode.OK
    complain(report.error)
    return ExitCode.FORWARD


def note(text: str) -> None:
    """Tell the user something beside the answer."""
    _say("note", text)


def complain(error: ErrorInfo) -> None:
    """Tell the user what went wrong and what to do."""
    _say("error", error.message)
    for line in (error.hint or "").splitlines():
        _say("hint", line)


def _say(label: str, text: str) -> None:
    encoding = sys.stderr.encoding or "ascii"
    printable = "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)
    print(f"{label}: {printable}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
