"""`memory`: what a forward and a training step hold, and whether it fits."""

from __future__ import annotations

from functools import partial
from typing import Literal

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from alexnet_cli.analyses import memory as analysis
from alexnet_cli.analyses.capacity import Fit, Room, fit
from alexnet_cli.analyses.findings.rules import wiring_findings
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.memory import Inference, LayerMemory, Moment, Training
from alexnet_cli.analyses.serving.held import ServingMemory
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.answers.context import Asked, context_memory
from alexnet_cli.errors import UsageError, one_of
from alexnet_cli.quantities import MEMORY
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.how import TrainingStep, training_step
from alexnet_cli.session.session import Session
from alexnet_cli.views.context import context_document
from alexnet_cli.views.explain import ToldFinding, tell
from alexnet_cli.views.memory import memory_document

Device = Literal["cuda", "cpu"]
DEVICES: tuple[Device, ...] = ("cuda", "cpu")


class MemoryResult(Envelope, frozen=True, kw_only=True):
    """`alexnet memory --json`; `run` is that of the forward, `training` null if there is nothing to train.

    With a context there is `serving`, and all else is about the prompt. `wiring` are the claims about the wiring of the
    training step that do not hold, there if a step ran. `predicted_for` is the device whose memory it is.
    """

    predicted_for: Device

    inference: Inference | None
    training: Training | None
    layers: tuple[LayerMemory, ...]
    timeline: tuple[Moment, ...] | UnsetType = UNSET
    fit: Fit | UnsetType = UNSET
    serving: ServingMemory | UnsetType = UNSET
    wiring: tuple[ToldFinding, ...] | UnsetType = UNSET


def memory(
    session: Session,
    *,
    optimizer: str = "sgd",
    amp: str | None = None,
    gpu: str | None = None,
    capacity: str | None = None,
    foreach: bool | None = None,
    loss: str = "sum",
    timeline: bool = False,
    batch_size: int | None = None,
    context: int | None = None,
    kv_dtype: str | None = None,
    weights_dtype: str | None = None,
    last_logits: bool = False,
    predict_for: str | None = None,
) -> Answer[MemoryResult]:
    """Show what a forward and a training step hold in memory, in bytes; with a GPU or a capacity, whether they fit.

    The `loss` of the step is the `sum` of the outputs, or by `cross-entropy` the number that the model returns, and if
    it returns none the cross-entropy of its first output.

    `predict_for` is `cuda`, the default, or `cpu`: as it runs on this machine's CPU, with the workspaces of oneDNN's
    convolutions and LSTMs, which no prediction for a GPU has.

    With a `context`, a number of tokens, it is what a language model holds while it is used: weights, the cache by
    layer, the peaks of a prompt and of a token, and the longest context and largest batch that fit. `kv_dtype` and
    `weights_dtype` assume other formats of the cache and of the linear layers' weights, `last_logits` asks the model
    for the logits of the last token alone.

    Raises:
        UsageError: an option does not parse, or options do not go together.
        AlexnetError: the model cannot be loaded or run.
    """
    room = _room(gpu, capacity)
    device = device_of(predict_for, gpu, "--capacity")
    if context is not None:
        if predict_for == "cpu":
            raise UsageError("--for cpu predicts a forward and a training step, not --context", "leave one of them out")
        if (optimizer, amp, foreach, loss) != ("sgd", None, None, "sum"):
            hint = "leave out --optimizer, --amp, --foreach and --loss"
            raise UsageError("--context is about a model that is used, not trained", hint)
        asked = Asked(context, kv_dtype, weights_dtype, last_logits)
        return _of_context(session.with_batch(batch_size), asked, room, timeline=timeline)
    if kv_dtype is not None or weights_dtype is not None or last_logits:
        raise UsageError("--kv-dtype, --weights-dtype and --last-logits go with --context", "as in --context 8192")
    at_once = room is not None and device == "cuda" if foreach is None else foreach
    step = training_step(optimizer, amp, foreach=at_once, loss=loss)
    session = session.with_batch(batch_size)
    session = session.as_on_cpu() if device == "cpu" else session
    report = session.report()
    trained = session.training(step) if report.error is None else None
    recipe = analysis.Recipe(step.optimizer, step.amp, step.foreach, UNSET if step.loss == "sum" else step.loss)
    held = analysis.memory(report, trained, recipe)
    fits = None if room is None else _fit(room, held, session, step)
    failures = failures_of(report, trained)
    wiring = None if held.training is None else tell(wiring_findings(report, trained), "en")
    result = MemoryResult(
        **{**Envelope.of(report, "memory"), "error": next(iter(failures), None)},
        **{**asdict(held), "timeline": held.timeline if timeline else UNSET},
        predicted_for=device,
        fit=UNSET if fits is None else fits,
        wiring=UNSET if wiring is None else wiring,
    )
    return Answer(result, lambda: memory_document(report, held, fits, wiring or (), device), failures=failures)


def _of_context(session: Session, asked: Asked, room: Room | None, *, timeline: bool) -> Answer[MemoryResult]:
    if asked.context < 1:
        raise UsageError(f"a context of {asked.context} tokens: it must be at least 1")
    found = context_memory(session, asked, room)
    [report, *_] = found.runs.values()
    failures = failures_of(*found.runs.values())
    held = analysis.memory(report, None) if found.memory else None
    result = MemoryResult(
        **{**Envelope.of(report, "memory"), "error": next(iter(failures), None)},
        predicted_for="cuda",
        inference=held.inference if held else None,
        training=None,
        layers=held.layers if held else (),
        timeline=held.timeline if held and timeline else UNSET,
        serving=UNSET if found.memory is None else found.memory,
    )
    return Answer(result, lambda: context_document(report, found.memory), failures=failures)


def device_of(name: str | None, gpu: str | None, instead: str) -> Device:
    """Read `--for`; a GPU is for CUDA, a size of memory, which the option `instead` gives, for either.

    Raises:
        UsageError: there is no such device, or a GPU is named too.
    """
    if name == "cpu" and gpu is not None:
        raise UsageError("--for cpu and --gpu exclude each other", f"for a size of memory give {instead}")
    if name is not None:
        one_of(name, DEVICES, "device")
    return "cpu" if name == "cpu" else "cuda"


def _room(gpu: str | None, capacity: str | None) -> Room | None:
    """Read `--gpu` and `--capacity`; None if neither is given."""
    if gpu is not None and capacity is not None:
        raise UsageError("--gpu and --capacity both set the memory size", "give one of them")
    if gpu is not None:
        found = find_hardware(gpu, "for any other device give --capacity, as in --capacity 24GiB")
        if found.capacity_bytes is None:
            raise UsageError(f"the memory size of the {found.name} is unknown", "give it with --capacity")
        return Room(found.name, found.capacity_bytes)
    if capacity is None:
        return None
    return Room(None, MEMORY.read(capacity, "--capacity"))


def _fit(room: Room, held: analysis.Memory, session: Session, step: TrainingStep) -> Fit | None:
    if held.inference is None:
        return None

    def peak(step: TrainingStep | None, batch_size: int) -> int:
        return analysis.peak_of(analysis.timeline(session.of_batch(batch_size, step))).bytes

    peaks = held.inference.peak_bytes, None if held.training is None else held.training.peak_bytes
    run = session.report().run
    least, most = session.batches
    batched = run is not None and run.batch_size is not None and session.can_run and least == 1
    with session.listener.tracing("looking for the largest batch"):
        return fit(room, peaks, (partial(peak, None), partial(peak, step)) if batched else None, most)
