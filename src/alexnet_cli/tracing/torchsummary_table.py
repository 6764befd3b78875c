"""The notebook's own table: the torchsummary package, called on the same model."""

from __future__ import annotations

import contextlib
import io

import torchsummary
from torch import nn

from alexnet_cli.errors import ForwardError, UsageError
from alexnet_cli.tape import Shape
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.build import Notify, build
from alexnet_cli.tracing.devices import require_device
from alexnet_cli.tracing.inputs.feed import settle_sides
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.undisturbed import undisturbed

_ITS_DEVICES = ("cpu", "cuda")


def torchsummary_table(subject: Subject, options: TraceOptions, notify: Notify) -> str:
    """Return what torchsummary prints, unchanged; `meta` becomes the CPU, where it runs the model for real.

    Raises:
        UsageError: torchsummary does not know the device.
        ForwardError: it fails on this model.
    """
    device = require_device("cpu" if options.device == META else options.device)
    if device.type not in _ITS_DEVICES:
        raise UsageError(f"torchsummary knows cpu and cuda only, not {device}")
    with undisturbed(), subject.within():
        model = build(subject, device, options, notify)
        specs = settle_sides(options.inputs or subject.inputs or (), model, subject.inputs)
        shapes = [spec.shape for spec in specs if isinstance(spec, InputSpec)]
        if len(shapes) < len(specs) or options.inputs_from is not None:
            raise UsageError("torchsummary takes shapes only", "leave out --format torchsummary")
        return _printed(model, shapes, device.type)


def _printed(model: nn.Module, shapes: list[Shape], device: str) -> str:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            torchsummary.summary(model, shapes, device=device)
    except Exception as error:
        hint = "see what `alexnet summary` says about this model"
        raise ForwardError(f"torchsummary failed: {type(error).__name__}: {error}", hint) from error
    return printed.getvalue()
