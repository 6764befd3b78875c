"""Subject to Report: build the model on a device, run it once, and say what was seen."""

from __future__ import annotations

import traceback
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from torch import nn

from alexnet_cli.errors import AlexnetError, NeedsValuesError, TargetError, UsageError, first_line, told
from alexnet_cli.report import Measured, Model, Report, Run, Served
from alexnet_cli.report_json import generator
from alexnet_cli.targets.subject import Subject
from alexnet_cli.timing import Passes
from alexnet_cli.torch_insides import fake_tensor_mode
from alexnet_cli.tracing.build import Notify, build
from alexnet_cli.tracing.devices import measure, no_memory, out_of_memory, require_device
from alexnet_cli.tracing.formulas import users_formulas
from alexnet_cli.tracing.inputs.context import by_name, text_of
from alexnet_cli.tracing.inputs.feed import count_bytes, model_dtype
from alexnet_cli.tracing.inputs.resolve import feed
from alexnet_cli.tracing.inputs.trial import Trial, needs_values
from alexnet_cli.tracing.meta.stand_ins import pretended_cpu
from alexnet_cli.tracing.narrowing import Refusal
from alexnet_cli.tracing.options import META, TraceOptions, TrainingStep
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.operators import operator
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.rows import RowBuilder
from alexnet_cli.tracing.recording.runs import Forward, Step
from alexnet_cli.tracing.recording.serving import Serve
from alexnet_cli.tracing.undisturbed import undisturbed
from alexnet_cli.tracing.wiring.making import Making
from alexnet_cli.units import shape
from alexnet_cli.users_code import users_frames

if TYPE_CHECKING:
    from alexnet_cli.tracing.inputs.find_inputs import FoundInputs

SEED = 0
"""The seed of random weights and inputs on a real device."""


def trace(subject: Subject, options: TraceOptions, notify: Notify) -> Report:
    """Run one forward and report it; `notify` gets notes for the user.

    A forward that fails gives a report of what ran until then, with `error` set.

    Raises:
        TargetError: the model cannot be built, or its code fails where torch asks it something.
        DeviceError: the device is not there or out of memory.
        ForwardError: the model nests calls deeper than Python can.
        UsageError: the inputs cannot be made, or none were given and none found.
        NeedsValuesError: it cannot run on `meta`, and does not fall back.
    """
    device = require_device(options.device)
    with undisturbed(), subject.within():
        try:
            return _trace_where_it_runs(device, subject, options, _once(notify))
        except (AlexnetError, Refusal):
            raise
        except RecursionError as error:
            from alexnet_cli.tracing.doctor import too_deep

            raise too_deep() from error
        except Exception as error:
            if out_of_memory(error):
                raise no_memory(options.device) from error
            hint = users_frames(error) or "--traceback shows where"
            raise TargetError(f"{subject.target} cannot be inspected: {told(error)}", hint) from error


def _once(notify: Notify) -> Notify:
    """Return a `notify` that says the same thing once: a model that is run twice has the same to say."""
    before: set[str] = set()

    def tell(text: str) -> None:
        if text not in before:
            before.add(text)
            notify(text)

    return tell


def _trace_where_it_runs(device: torch.device, subject: Subject, options: TraceOptions, notify: Notify) -> Report:
    trial = Trial(subject, options)
    report, failure = _trace_as_asked(device, trial, notify)
    if device.type == META and failure is not None and needs_values(failure):
        if not options.falls_back:
            raise NeedsValuesError(f"this model needs values to run ({first_line(failure)})") from failure
        where = "the CPU" if subject.home == "cpu" else subject.home
        said = first_line(failure)
        is_given = subject.example is not None or options.inputs_from is not None
        inputs = "" if is_given else f", on random inputs with seed {SEED}"
        notify(f"this model needs values to run ({said}): it was run on {where}{inputs}")
        device = torch.device(subject.home)
        report, failure = _trace_with_room(device, trial, notify)
    while failure is not None and device.type != META and trial.search_on(failure):
        report, failure = _trace_with_room(device, trial, notify)
    if trial.found is not None:
        notify(f"no input was given: {_said_of(trial.found)}, from {trial.found.how}")
    return report


def _trace_with_room(device: torch.device, trial: Trial, notify: Notify) -> tuple[Report, BaseException | None]:
    """Run on a real device, on other inputs where those that were found take more memory than there is.

    Raises:
        DeviceError: there are no others, or the inputs were said.
    """
    try:
        return _trace_on(device, trial, notify)
    except Exception as error:
        if not out_of_memory(error):
            raise
        if not trial.search_on(error):
            raise no_memory(device) from error
    return _trace_with_room(device, trial, notify)


def _trace_as_asked(device: torch.device, trial: Trial, notify: Notify) -> tuple[Report, BaseException | None]:
    options = trial.options
    if device.type != META or options.step is None or options.step.amp is None:
        return _trace_on(device, trial, notify)
    if options.dtype not in (None, "float32"):
        given = f"--amp {options.step.amp} and --dtype {options.dtype}"
        raise UsageError(f"mixed precision keeps the weights in float32: {given} exclude each other", "leave one out")
    fake = fake_tensor_mode()
    if fake is None:
        notify(f"torch {torch.__version__} cannot trace mixed precision without values: the step was run on the CPU")
        return _trace_on(torch.device("cpu"), trial, notify)
    with pretended_cpu(fake, as_on_cpu=options.as_on_cpu), _recurrent_layers(options):
        report, failure = _trace_on(torch.device("cpu"), trial, notify)
    run = None if report.run is None else replace(report.run, device=META, measured=None)
    return replace(report, run=run), failure


def _assumed(options: TraceOptions) -> list[str]:
    """Say what the CPU's kernels were picked by."""
    if not options.as_on_cpu:
        return []
    from alexnet_cli.tracing.cpu.kernels import assumptions

    return assumptions()


def _recurrent_layers(options: TraceOptions) -> AbstractContextManager[None]:
    if not options.as_on_cpu:
        return nullcontext()
    from alexnet_cli.tracing.cpu.recurrent import recurrent_as_on_cpu  # most runs need none of it

    return recurrent_as_on_cpu("AutogradCPU")


def _trace_on(device: torch.device, trial: Trial, notify: Notify) -> tuple[Report, BaseException | None]:
    subject, options = trial.subject, trial.options
    _seed(device)
    making = None if options.step is None else Making()
    with nullcontext() if making is None else making.watched():
        model = build(subject, device, options, notify)
    _change(model, options.step)
    fed = feed(model, device, trial, notify)
    taping = options.device == META or options.repeat is not None
    recorder = Recorder(device, model, taping=taping, source=options.source, as_on_cpu=options.as_on_cpu)
    recorder.feed(model, fed.args, fed.kwargs, fed.given)
    forward = Forward(model, fed.args, fed.kwargs)
    step = options.step
    run: Forward | Step | Serve = forward if step is None else Step(forward, step, fed.batch_size, making, options.only)
    if options.serving is not None:
        run = Serve(forward, options.serving, text_of(by_name(fed.specs, model)) if fed.is_prompt else None)
    with users_formulas(options.formulas, notify, operator.cache_clear):
        failure = _run(run, recorder)
    runs_again = failure is not None and device.type == META and needs_values(failure)
    for note in () if runs_again else [*recorder.notes, *_assumed(options)]:
        notify(note)
    if failure is not None and options.traceback:
        traceback.print_exception(failure)
    rows = RowBuilder(model, recorder.touched, recorder.purposes)
    layers, totals = rows.build(recorder.root)
    error = measured = None
    if failure is None:
        measured = None if options.step or options.serving or options.device == META else _measure(forward, device)
    elif not runs_again:
        from alexnet_cli.tracing.doctor import Failure, diagnose, is_understood  # a forward that runs needs no doctor
        from alexnet_cli.tracing.inputs.remedy import Remedy

        seen = Failure(failure, recorder.failed or Call(None, "", 0), layers)
        by_input = isinstance(failure, Exception) and not is_understood(seen, recorder.failed_function)
        if by_input and trial.inputs_matter:
            raise trial.nothing_fits()
        path = rows.path_of(recorder.failed)
        resized = bool(options.sizes) and any(spec.values is not None for spec in fed.specs)  # as a search wrote them
        sought = resized or trial.found is not None or not options.advises
        origin = trial.origin(path) if options.advises else None
        error = diagnose(seen, path, recorder.failed_function, Remedy(model, fed.specs, trial, sought=sought), origin)
    described = Model(subject.target, type(model).__name__, subject.description)
    asked, dtype = options.serving, str(model_dtype(model)).removeprefix("torch.")
    served = UNSET if asked is None else Served(asked.part, asked.context)
    how = Run(str(device), dtype, options.mode, fed.batch_size, fed.inputs, failure is None, measured, served)
    if recorder.tape is not None and recorder.source is not None:
        recorder.tape.source = recorder.source.finish(failure)
    tape = None if recorder.tape is None else recorder.tape.finish(rows.row_of)
    passes: Passes | UnsetType = UNSET
    if failure is None and tape is not None and options.repeat is not None and not isinstance(run, Serve):
        from alexnet_cli.tracing.clock import time_passes  # a run that is not timed needs no clock

        passes = time_passes(run, tape, device, options.repeat, compiles=options.compiles, captures=options.captures)
    wiring = run.wiring if isinstance(run, Step) and run.wiring is not None else UNSET
    return Report(generator(), described, how, error, layers, totals, tape, passes, wiring), failure


def _change(model: nn.Module, step: TrainingStep | None) -> None:
    """Change what is trained of a model, and how its layers run; most steps do neither."""
    if step is not None and (step.lora or step.trained):
        from alexnet_cli.tracing.recording.adapters import as_trained

        as_trained(model, step)
    if step is not None and (step.in_place or step.chunked):
        from alexnet_cli.tracing.recording.layers import as_run

        as_run(model, step)


def _seed(device: torch.device) -> None:
    """Make weights and inputs on a real device the same in each run: what a model does may depend on them."""
    if device.type != META:
        torch.default_generator.manual_seed(SEED)
        if device.type == "cuda":
            torch.cuda.manual_seed(SEED)


def _said_of(found: FoundInputs) -> str:
    """Say which inputs were found, of those that ran; others were a guess."""
    shapes = ", ".join(f"{spec.name}={shape(spec.shape)}" if spec.name else shape(spec.shape) for spec in found.specs)
    if not found.fits:
        return f"none that fits was found, {shapes or 'none at all'} was a guess"
    without = f", without {', '.join(found.left_out)}" if found.left_out else ""
    return f"found that {shapes} fits{without}" if shapes else "found that none is needed"


def _run(run: Forward | Step | Serve, recorder: Recorder) -> BaseException | None:
    try:
        run.record(recorder)
    except (AlexnetError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if out_of_memory(error) or isinstance(error, RecursionError):
            raise
        return error
    return None


def _measure(forward: Forward, device: torch.device) -> Measured:
    model = forward.model
    resident = count_bytes([*model.parameters(), *model.buffers(), *forward.given])
    return measure(torch.no_grad()(forward), device, resident)
