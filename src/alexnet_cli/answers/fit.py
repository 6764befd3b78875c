"""`fit`: what makes a training step fit in the memory of a GPU, and the code for it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.capacity import Room
from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.tried import KINDS, Tried, best_of, ranked
from alexnet_cli.analyses.hardware import Hardware, find_hardware
from alexnet_cli.answers.answer import NOT_HELD, Answer, failures_of
from alexnet_cli.answers.changes import NAMES
from alexnet_cli.answers.files import check_place, write_file
from alexnet_cli.answers.fitting import Search
from alexnet_cli.answers.memory import Device, device_of
from alexnet_cli.errors import UsageError, one_of
from alexnet_cli.quantities import MEMORY
from alexnet_cli.report import ErrorInfo
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.how import AMP_DTYPES, TrainingStep, training_step
from alexnet_cli.session.session import Session
from alexnet_cli.units import count, size
from alexnet_cli.views.fit import Fitting, fit_document, fit_failed_document
from alexnet_cli.views.patch import changes_model, patch_of


class AskedStep(Struct, frozen=True):
    """The training step as it was asked for."""

    optimizer: str
    amp: str | None
    foreach: bool
    batch_size: int | None
    loss: str = "sum"


class FitResult(Envelope, frozen=True, kw_only=True):
    """`alexnet fit --json`; `run` is that of the forward. `candidates` are what was traced, the best that fits first.

    `chosen` is the first of them if it fits, else null; `lower_bound_bytes` is then the least peak that was reached.
    `rounded_bytes` is not 0 where there were too many choices of blocks to look at each: none with less work needs so
    much less than the budget. `predicted_for` is the device whose memory the peaks are. `traces` is how many steps were
    run in all, `emitted` the file that was written.
    """

    step: AskedStep
    predicted_for: Device
    budget_bytes: int
    gpu: str | None
    hardware: Hardware | None
    candidates: tuple[Tried, ...]
    chosen: Tried | None
    lower_bound_bytes: int | None
    rounded_bytes: int
    traces: int
    emitted: str | None


def fit(
    session: Session,
    *,
    gpu: str | None = None,
    budget: str | None = None,
    optimizer: str = "sgd",
    amp: str | None = None,
    batch_size: int | None = None,
    foreach: bool = True,
    loss: str = "sum",
    lora: int | None = None,
    without: Sequence[str] | None = None,
    emit: str | PathLike[str] | None = None,
    predict_for: str | None = None,
) -> Answer[FitResult]:
    """Find what makes a training step fit: each change is traced, and the cheapest that fits comes first.

    The `budget` is the GPU's memory unless it is given. Kinds of changes that are not wanted are named in `without`:
    checkpoint, micro-batches, in-place, chunked-loss, paged, foreach, amp, optimizer, lora, qlora, freeze, batch.
    `lora` is the rank of adapters; with it they are tried in any case, without it, of rank 16, where nothing fits that
    trains all parameters. `emit` names a Python file to write: functions that apply the chosen change to a model and
    run a step. The answer holds if something fits.

    The `loss` is the `sum` of the outputs, or by `cross-entropy` the number that the model returns, and if it returns
    none the cross-entropy of its first output.

    `predict_for` is `cuda`, the default, or `cpu`: peaks are then those on this machine's CPU, with the workspaces of
    oneDNN's convolutions and LSTMs.

    Raises:
        UsageError: an option does not parse, or there is nothing to train.
        OutputError: the file cannot be written.
        AlexnetError: the model cannot be loaded or run.
    """
    hardware = None if gpu is None else find_hardware(gpu, "for any other device give --budget, as in --budget 24GiB")
    device = device_of(predict_for, gpu, "--budget")
    room = _room(hardware, budget)
    file = None if emit is None else _file(emit)
    kinds = [KINDS[one_of(name, KINDS, "change")] for name in without or ()]
    step = training_step(optimizer, amp, foreach=foreach, loss=loss)
    if lora is not None and lora < 1:
        raise UsageError(f"--lora {lora} is no rank", "write a whole number from 1 up, as in --lora 16")
    session = session.with_batch(batch_size)
    session = session.as_on_cpu() if device == "cpu" else session
    report = session.report()
    if report.error is not None:
        result = _result(session, None, _asked(step, None), room, hardware, device=device)
        return Answer(result, lambda: fit_failed_document(report), failures=failures_of(report))
    with session.listener.tracing("trying changes"):
        search = Search(session, step, room.bytes, None if hardware is None else Roof(hardware), kinds, lora=lora)
        search.search()
    result = _result(session, search, _asked(step, search.steps.batch), room, hardware, device=device)
    if file is not None and result.chosen is not None:
        result = replace(result, emitted=str(file))
        write_file(file, _patch(session, search, result).encode())
    told = Fitting(
        room=room,
        hardware=hardware,
        tried=result.candidates,
        chosen=result.chosen,
        least_bytes=result.lower_bound_bytes,
        rounded_bytes=result.rounded_bytes,
        optimizer=NAMES[optimizer],
        emitted=result.emitted,
        device=device,
    )
    missed = () if result.chosen is not None else (ErrorInfo(NOT_HELD, _missed(result)),)
    return Answer(result, lambda: fit_document(search.steps.report, told), failures=missed)


def _asked(step: TrainingStep, batch: int | None) -> AskedStep:
    return AskedStep(step.optimizer, step.amp, step.foreach, batch, step.loss)


def _result(
    session: Session,
    search: Search | None,
    step: AskedStep,
    room: Room,
    hardware: Hardware | None,
    *,
    device: Device,
) -> FitResult:
    tried = () if search is None else ranked(search.tried)
    chosen = best_of(tried)
    least = min((each.peak_bytes for each in tried), default=None)
    return FitResult(
        **Envelope.of(session.report(), "fit"),
        step=step,
        predicted_for=device,
        budget_bytes=room.bytes,
        gpu=room.gpu,
        hardware=hardware,
        candidates=tried,
        chosen=chosen,
        lower_bound_bytes=None if chosen is not None else least,
        rounded_bytes=0 if search is None or chosen is None else search.rounded_bytes(chosen),
        traces=0 if search is None else search.steps.traces,
        emitted=None,
    )


def _missed(result: FitResult) -> str:
    least = result.candidates[0]
    return f"nothing fits in {size(result.budget_bytes)}: {size(least.peak_bytes)} is the least, with {least.change}"


def _patch(session: Session, search: Search, result: FitResult) -> str:
    chosen = result.chosen
    assert chosen is not None  # noqa: S101 - for the type checker
    step = chosen.step
    where = result.gpu or "the budget"
    batch = "" if step.batch_size is None else f", a batch of {count(step.batch_size)}"
    updated = step.optimizer != "none"
    given = f"model, {'optimizer, ' if updated else ''}{'scaler, ' if updated and step.amp == 'fp16' else ''}inputs"
    about = (
        f"How a training step of {session.report().model.target} fits: {chosen.change}.",
        f"Predicted: a peak of {size(chosen.peak_bytes)} of {size(result.budget_bytes)} ({where}),",
        f"with {NAMES[step.optimizer]}{batch}. Written by `alexnet fit`. In your training loop:",
        "",
        *(["    model = changed(model)"] if changes_model(step) else []),
        *(["    optimizer = optimizer_of(model, lr=1e-3)"] if updated else []),
        *(["    scaler = torch.amp.GradScaler()"] if "scaler" in given else []),
        f"    training_step({given}, {'' if step.loss != 'sum' else 'loss_of=criterion, '}targets=(labels,))",
    )
    dtype = None if step.amp is None else AMP_DTYPES[step.amp]
    cached = "transformers" in sys.modules  # then the model may be one of its
    modules = {layer.path for layer in search.steps.report.layers}
    statistics = search.steps.statistics
    return patch_of(step, about, autocast=dtype, statistics=statistics, cached=cached, modules=modules)


def _file(emit: str | PathLike[str]) -> Path:
    file = Path(emit)
    if file.suffix != ".py":
        raise UsageError(f"--emit writes Python code, and {file} does not end in .py", "as in --emit patch.py")
    check_place(file)
    return file


def _room(hardware: Hardware | None, budget: str | None) -> Room:
    if budget is not None:
        return Room(None if hardware is None else hardware.name, MEMORY.read(budget, "--budget"))
    if hardware is None:
        raise UsageError(
            "fit needs to know the memory", "name a GPU with --gpu, or give --budget, as in --budget 24GiB"
        )
    if hardware.capacity_bytes is None:
        raise UsageError(f"the memory size of the {hardware.name} is unknown", "give it with --budget")
    return Room(hardware.name, hardware.capacity_bytes)
