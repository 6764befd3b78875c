"""From what a user typed, or passed to `inspect`, to how a model is run. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from alexnet_cli.errors import UsageError, nearest, one_of
from alexnet_cli.rank import SCHEDULES, Dimension, Layout
from alexnet_cli.report import Input, Report
from alexnet_cli.targets.inputs import LARGEST_DIMENSION, InputSpec, parse_input
from alexnet_cli.tracing.options import (
    AMP_DTYPES,
    CHECKPOINTS,
    DEVICES,
    LOSSES,
    META,
    OPTIMIZERS,
    PARAMETER_DTYPES,
    Block,
    Lora,
    Only,
    Parallel,
    Part,
    Serving,
    Size,
    TraceOptions,
    TrainingStep,
)

__all__ = ["AMP_DTYPES", "CHECKPOINTS", "DEVICES", "LOSSES", "META", "OPTIMIZERS", "Block", "Lora", "Only", "Parallel"]
__all__ += ["Serving", "Size", "TrainingStep", "as_found", "how_to_run", "parallel", "resized", "searched", "serving"]
__all__ += ["training_step"]

_DEVICE = re.compile(rf"(?:{'|'.join(DEVICES)})|(?:cuda|xpu):\d{{1,4}}")


def how_to_run(
    *,
    input_size: Sequence[str] | None = None,
    inputs_from: str | None = None,
    batch_size: int | None = None,
    no_batch: bool = False,
    device: str = META,
    dtype: str | None = None,
    train: bool = False,
    formulas: Path | None = None,
    traceback: bool = False,
) -> TraceOptions:
    """Read the options that say how a model is run.

    A batch is one sample unless `batch_size` or `inputs_from` says otherwise.

    Raises:
        UsageError: an option does not parse, or the inputs are given twice.
    """
    if inputs_from is not None and input_size:
        raise UsageError("both --inputs and --input-size were given", "give one of them")
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}", f"known: {', '.join(DEVICES)}, cuda:N, xpu:N")
    if dtype is not None:
        one_of(dtype, PARAMETER_DTYPES, "dtype")
    own_batch = no_batch or (inputs_from is not None and batch_size is None)
    return TraceOptions(
        inputs_from=inputs_from,
        inputs=tuple(map(parse_input, input_size)) if input_size else None,
        batch_size=None if own_batch else batch_size or 1,
        device=device,
        dtype=dtype,
        mode="train" if train else "eval",
        formulas=formulas,
        traceback=traceback,
    )


def training_step(
    optimizer: str = "sgd", amp: str | None = None, *, foreach: bool = False, loss: str = "sum"
) -> TrainingStep:
    """Read the options that say how a model is trained.

    Raises:
        UsageError: the optimizer, the dtype or the loss is unknown.
    """
    if optimizer not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {optimizer!r}", nearest(optimizer, OPTIMIZERS))
    if amp is not None and amp not in AMP_DTYPES:
        raise UsageError(f"unknown dtype {amp!r} for mixed precision", f"known: {', '.join(AMP_DTYPES)}")
    known = next((known for known in LOSSES if known == loss), None)
    if known is None:
        raise UsageError(f"unknown loss {loss!r}", nearest(loss, LOSSES))
    return TrainingStep(optimizer, amp, foreach, loss=known)


def serving(context: int | None, *, decode: bool, prefill: bool, given: bool = False) -> Serving | None:
    """Read the options that say what a language model is run for; None if none does.

    Without a context the arguments must be `given`, cache included.

    Raises:
        UsageError: they do not go together, or the context is no positive number.
    """
    if decode and prefill:
        raise UsageError("--decode and --prefill exclude each other", "ask for one after the other")
    if not decode and not prefill:
        if context is not None:
            raise UsageError("--context goes with --decode or --prefill", f"as in --context {context} --decode")
        return None
    part: Part = "decode" if decode else "prefill"
    if context is None and not given:
        raise UsageError(f"--{part} needs to know how long the context is", f"as in --context 8192 --{part}")
    if context is not None and not 0 < context <= LARGEST_DIMENSION:
        raise UsageError(f"--context {context} is no length", f"write a whole number from 1 to {LARGEST_DIMENSION:,}")
    return Serving(part, context)


def parallel(
    *,
    gpus: int | None,
    pp: int | None,
    ddp: int | None,
    fsdp: int | None,
    tp: int | None,
    reshard: str,
    ep: int | None = None,
    cp: int | None = None,
    wrap: Sequence[str] = (),
    plan: str | None = None,
    checkpoint: str = "none",
    schedule: str | None = None,
    micro_batches: int | None = None,
    sp: bool = False,
) -> Parallel:
    """Read the options that say how a model is spread over ranks; what `gpus` leaves over is for FSDP.

    The ranks that share experts are among those of FSDP, which are as many if nothing says how many there are.

    Raises:
        UsageError: the sizes do not multiply to the number of GPUs, or an option does not parse.
    """
    given = {"pp": pp, "ddp": ddp, "fsdp": fsdp, "cp": cp, "tp": tp}
    for name, size in {"gpus": gpus, **given, "ep": ep}.items():
        if size is not None and size < 1:
            raise UsageError(f"--{name} {size} is no number of GPUs", "write a whole number from 1 up")
    if ep is not None and gpus is None and fsdp is None:
        given["fsdp"] = ep
    product = prod(size for size in given.values() if size is not None)
    if gpus is not None and fsdp is None and ddp is None and gpus % product == 0:
        given["fsdp"], product = gpus // product, gpus
    said = " × ".join(f"{name} {size}" for name, size in given.items() if size is not None)
    if gpus is not None and product != gpus:
        raise UsageError(f"{said} = {product} GPUs, not {gpus}", "the sizes must multiply to --gpus, or leave one out")
    one_of(checkpoint, CHECKPOINTS, "checkpoint")
    if sp and plan is not None:
        said = "let the plan name SequenceParallel and what gathers sequences, and leave out --sp"
        raise UsageError("--sp goes with the model's own tp_plan, not with --plan", said)
    chosen = next(known for known in CHECKPOINTS if known == checkpoint)
    sizes = {name: size or 1 for name, size in given.items()}
    if sizes["fsdp"] % (ep or 1):
        what = f"--ep {ep} does not divide the {sizes['fsdp']} ranks of FSDP, which share the experts"
        raise UsageError(what, f"choose an --fsdp that is a multiple of {ep}")
    layout = replace(Layout(), **sizes, ep=ep or 1, sp=sp, reshard=_reshard(reshard, sizes["fsdp"]))
    return Parallel(_scheduled(layout, schedule, micro_batches), tuple(wrap), plan, chosen)


def _scheduled(layout: Layout, schedule: str | None, micro_batches: int | None) -> Layout:
    """Read how the micro-batches of a pipeline run: `interleaved` has two parts of the model on each GPU, or N (`:N`).

    Without a number there are as many micro-batches as stages.
    """
    if layout.pp == 1:
        if schedule is not None or micro_batches is not None:
            raise UsageError("--schedule and --micro-batches go with --pp", "give a number of stages, as in --pp 4")
        return layout
    name, _, parts = (schedule or "1f1b").partition(":")
    known = next((each for each in SCHEDULES if each == name), None)
    many = name == "interleaved" and parts.isdecimal() and int(parts) > 1
    if known is None or (parts and not many):
        raise UsageError(f"unknown schedule {schedule!r}", f"known: {', '.join(SCHEDULES)}, interleaved:N for N > 1")
    if micro_batches is not None and micro_batches < 1:
        raise UsageError(f"--micro-batches {micro_batches} is no number of them", "write a whole number from 1 up")
    chunks = int(parts or 2) if name == "interleaved" else 1
    return replace(layout, schedule=known, micro_batches=micro_batches or layout.pp, chunks=chunks)


def searched(gpus: int | None, given: Mapping[Dimension, int | None], reshard: str) -> None:
    """Check the options that bound a search for layouts.

    Raises:
        UsageError: sizes do not divide the number of GPUs, or an option has no meaning for all layouts.
    """
    product = prod(size for size in given.values() if size is not None)
    if gpus is not None and gpus % product:
        said = " × ".join(f"{name} {size}" for name, size in given.items() if size is not None)
        raise UsageError(f"{gpus} GPUs are no multiple of {said}", "leave out sizes, which --fit then finds")
    if reshard not in ("yes", "no"):
        raise UsageError(f"--reshard {reshard} goes with one layout, not with --fit", "write yes or no")


def _reshard(text: str, ranks: int) -> bool | int:
    """Read `yes`, `no` or a number of ranks that divides those of FSDP."""
    if text in ("yes", "no"):
        return text == "yes"
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 2 or number >= ranks or ranks % number:  # noqa: PLR2004 - one rank alone is `no`
        said = f"yes, no, or a number of ranks that divides those of FSDP ({ranks}), such as those of a node"
        raise UsageError(f"--reshard {text!r} is not known", f"write {said}")
    return number


def as_found(how: TraceOptions, report: Report) -> TraceOptions:
    """Return how to run the model again on the inputs that were found for it, without a second search."""
    if how.inputs is not None or report.run is None or not any(given.found for given in report.run.inputs):
        return how
    return replace(how, inputs=tuple(_as_spec(given, report.run.batch_size) for given in report.run.inputs))


def resized(how: TraceOptions, sizes: Sequence[Size], graph: Report | None = None) -> TraceOptions:
    """Return how to run a model with other sizes of its inputs; a `graph`, which is not run, is told all its inputs."""
    if graph is None or graph.run is None:
        return replace(how, sizes=tuple(sizes))
    told = [_as_spec(given, graph.run.batch_size) for given in graph.run.inputs]
    for at, axis, size in sizes:
        own = axis if told[at].whole else axis - 1
        told[at] = replace(told[at], shape=(*told[at].shape[:own], size, *told[at].shape[own + 1 :]))
    return replace(how, inputs=tuple(told))


def _as_spec(given: Input, batch_size: int | None) -> InputSpec:
    """Return the spec of an input that was found; one that does not begin with the batch is whole."""
    values = given.values or None
    if given.per_sample is not UNSET:
        shape = (given.per_sample, *given.shape[1:])
        return InputSpec(shape, given.dtype, given.name, values=values, stacked=True)
    whole = batch_size is None or given.shape[:1] != (batch_size,)
    shape = given.shape if whole else given.shape[1:]
    return InputSpec(shape, given.dtype, given.name, values=values, whole=whole)
