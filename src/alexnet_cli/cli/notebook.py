"""The notebook's own table: the torchsummary package, called on the same model."""

from __future__ import annotations

import contextlib
import io

import torch
import torchsummary

from alexnet_cli.errors import ForwardError, UsageError
from alexnet_cli.report import Report
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.tracing.devices import require_device
from alexnet_cli.tracing.feed import settle_sides
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.trace import build

_ITS_DEVICES = ("cpu", "cuda")


def notebook_table(target: str, options: TraceOptions) -> str:
    """Return what torchsummary prints, unchanged; `meta` becomes the CPU, where it runs the model for real.

    Raises:
        UsageError: torchsummary cannot do what is asked.
        ForwardError: it fails on this model.
    """
    subject = resolve(target)
    if isinstance(subject, Report):
        raise UsageError("torchsummary needs a model to run, not a saved report", "leave out --format torchsummary")
    device = require_device("cpu" if options.device == META else options.device)
    if device.type not in _ITS_DEVICES:
        raise UsageError(f"torchsummary knows cpu and cuda only, not {device}")
    model = build(subject, device, options)
    specs = settle_sides(options.inputs or subject.inputs or (), model, subject.inputs)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), torch.random.fork_rng([]):
            torchsummary.summary(model, [spec.shape for spec in specs], device=device.type)
    except Exception as error:
        raise ForwardError(
            f"torchsummary failed on {target}: {error}", "see what `alexnet summary` says of it"
        ) from error
    return printed.getvalue()
