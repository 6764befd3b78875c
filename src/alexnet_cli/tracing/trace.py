"""Subject to Report: build the model on a device, run it once, and say what was seen."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from alexnet_cli.errors import AlexnetError, DeviceError
from alexnet_cli.report import Measured, Model, Report, Run
from alexnet_cli.report_json import generator
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing import doctor
from alexnet_cli.tracing.clone import copy_to
from alexnet_cli.tracing.devices import measure, require_device
from alexnet_cli.tracing.feed import count_bytes, make_tensors, model_dtype, settle_sides, with_batch
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.recorder import Recorder
from alexnet_cli.tracing.rows import RowBuilder


def trace(subject: Subject, options: TraceOptions, notify: Callable[[str], None]) -> Report:
    """Run one forward and report it; `notify` gets notes for the user.

    A forward that fails gives a report of what ran until then, with `error` set.

    Raises:
        TargetError: the model cannot be built.
        DeviceError: the device is not there or out of memory.
        UsageError: the inputs cannot be made.
    """
    device = require_device(options.device)
    with _undisturbed():
        try:
            report, failure = _trace_on(device, subject, options)
            if device.type == META and failure is not None and _needs_values(failure):
                notify(f"this model cannot run without values ({doctor.first_line(failure)}): it was run on the CPU")
                report, failure = _trace_on(torch.device("cpu"), subject, options)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise DeviceError(f"out of memory on {options.device}", hint="--device meta allocates nothing") from error
    return report


def _trace_on(device: torch.device, subject: Subject, options: TraceOptions) -> tuple[Report, Exception | None]:
    model = build(subject, device, options)
    dtype = model_dtype(model)
    specs = settle_sides(options.inputs or subject.inputs or (), model, subject.inputs)
    inputs = with_batch(specs, options.batch_size, dtype, found=options.inputs is None and subject.inputs is None)
    args, kwargs = make_tensors(inputs, device)
    recorder = Recorder(device, model.parameters())
    failure = _run(recorder, model, args, kwargs)
    builder = RowBuilder(model, recorder.touched)
    layers, totals = builder.build(recorder.root)
    error = None
    if failure is not None:
        remedy = doctor.Remedy(specs, _Trial(subject, options))
        error = doctor.diagnose(failure, recorder.failed, builder.path_of(recorder.failed), layers, remedy)
    run = Run(
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        mode=options.mode,
        batch_size=options.batch_size,
        inputs=inputs,
        complete=failure is None,
        measured=_measure(model, args, kwargs, device) if failure is None else None,
    )
    described = Model(subject.target, type(model).__name__, subject.description)
    return Report(generator(), described, run, error, layers, totals), failure


def build(subject: Subject, device: torch.device, options: TraceOptions) -> nn.Module:
    """Return the subject's model on `device`, in the dtype and mode asked for; never somebody else's instance."""
    with device:
        loaded = subject.load()
    model = copy_to(loaded, device) if subject.shared else loaded
    if options.dtype is not None:
        model = model.to(getattr(torch, options.dtype))
    return model.train(options.mode == "train")


def _run(recorder: Recorder, model: nn.Module, args: list[Tensor], kwargs: dict[str, Tensor]) -> Exception | None:
    try:
        with torch.no_grad(), recorder.recording():
            model(*args, **kwargs)
    except (AlexnetError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the user's model may raise anything
        return error
    return None


class _Trial:
    """Tells whether the model runs on other inputs, tried on `meta`."""

    def __init__(self, subject: Subject, options: TraceOptions) -> None:
        self.device = torch.device(META)
        self.batch_size = options.batch_size
        self.model = build(subject, self.device, options)

    def __call__(self, specs: Sequence[InputSpec]) -> bool:
        inputs = with_batch(specs, self.batch_size, model_dtype(self.model), found=True)
        args, kwargs = make_tensors(inputs, self.device)
        try:
            with torch.no_grad(), self.device:
                self.model(*args, **kwargs)
        except Exception:  # noqa: BLE001 - the user's model may raise anything
            return False
        return True


def _measure(model: nn.Module, args: list[Tensor], kwargs: dict[str, Tensor], device: torch.device) -> Measured | None:
    if device.type == META:
        return None

    def forward() -> None:
        with torch.no_grad():
            model(*args, **kwargs)

    resident = count_bytes([*model.parameters(), *model.buffers(), *args, *kwargs.values()])
    return measure(forward, device, resident)


def _needs_values(error: Exception) -> bool:
    return isinstance(error, NotImplementedError) or META in str(error).lower()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the random state as it was, and what a model prints off stdout."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call] # torch leaves it untyped
    with torch.random.fork_rng(devices), contextlib.redirect_stdout(sys.stderr):
        yield
