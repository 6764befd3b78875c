"""Subject to Rank: build the model on `meta`, spread it over ranks, and run one rank's step on shapes alone."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch
from msgspec.structs import replace
from torch import nn

from alexnet_cli.errors import AlexnetError, TargetError, told
from alexnet_cli.rank import Held, Layout, Rank, Repeated
from alexnet_cli.report import Layer, Model, Report, Run
from alexnet_cli.report_json import generator
from alexnet_cli.tape import Role, Storage
from alexnet_cli.targets.subject import Subject
from alexnet_cli.torch_insides import fake_tensor_mode, shapes_worked_out_unseen
from alexnet_cli.tracing.build import Notify, build
from alexnet_cli.tracing.inputs.feed import Fed, model_dtype
from alexnet_cli.tracing.inputs.resolve import feed
from alexnet_cli.tracing.inputs.trial import Trial
from alexnet_cli.tracing.meta.stand_ins import one_sequence_each, pretended_cpu
from alexnet_cli.tracing.options import META, Parallel, TraceOptions, TrainingStep
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.rows import RowBuilder
from alexnet_cli.tracing.recording.runs import Forward, Step
from alexnet_cli.tracing.sharding.blocks import blocks_of
from alexnet_cli.tracing.sharding.groups import expert_ranks_of, fake_ranks, groups_of, mesh_of, sequence_ranks_of
from alexnet_cli.tracing.sharding.parallel import Spread, given_memory, spread
from alexnet_cli.tracing.sharding.plans import plan_for
from alexnet_cli.tracing.sharding.recording import RankRecorder, RankTape
from alexnet_cli.tracing.sharding.replicas import replicated
from alexnet_cli.tracing.sharding.sequence import part_of, sequence_length, sequences_shared
from alexnet_cli.tracing.sharding.shortened import shorten
from alexnet_cli.tracing.sharding.step import RankStep
from alexnet_cli.tracing.undisturbed import undisturbed
from alexnet_cli.users_code import users_frames

_HELD: dict[Role, Held] = {
    "parameter": "weights",
    "buffer": "buffers",
    "input": "input",
    "gradient": "gradients",
    "optimizer": "optimizer",
}
_CPU = torch.device("cpu")

_CHECKED_SINCE, _LATE_CHECKED_SINCE = "2.9", "2.13"
"""With torch 2.9, experts' gradients are sent in another order, sequence parallelism takes up to 6 % more memory."""


def trace_rank(subject: Subject, options: TraceOptions, how: Parallel, notify: Notify) -> tuple[Rank, Repeated | None]:
    """Run the first rank's step (a forward without `options.step`) and report it; `notify` gets notes for the user.

    Return too which blocks were left out, if any were.

    Raises:
        TargetError: the model cannot be built, or fails as one of these ranks.
        UsageError: the inputs, the wrapping or the plan do not suit the model.
        AlexnetError: torch refuses to spread this model so.
    """
    layout = how.layout
    since = _CHECKED_SINCE if layout.ep == layout.cp == 1 and not layout.sp else _LATE_CHECKED_SINCE
    if torch.__version__ < since:  # compares as versions, not as text
        notify(f"this layout was held against real ranks with torch {since} and newer, this is {torch.__version__}")
    with running(subject, options, how), fake_ranks(how.layout.gpus):
        return _trace(subject, options, how, notify)


@contextmanager
def running(subject: Subject, options: TraceOptions, how: Parallel) -> Iterator[None]:
    """Run the model inside, as a rank does; nothing of it is left behind.

    Raises:
        TargetError: what runs inside fails.
    """
    with undisturbed(), subject.within(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.distributed")  # about real runs
        warnings.filterwarnings("ignore", "A saved_tensors_hooks context", FutureWarning)  # the recorder's own
        try:
            yield
        except AlexnetError:
            raise
        except Exception as error:
            if options.traceback:
                traceback.print_exception(error)
            where = "on a part of its sequence, " if how.layout.cp > 1 else ""
            what = f"{subject.target} fails {where}as one of {how.layout.gpus} ranks: {told(error)}"
            raise TargetError(what, users_frames(error) or "--traceback shows where") from error


def _trace(subject: Subject, options: TraceOptions, how: Parallel, notify: Notify) -> tuple[Rank, Repeated | None]:
    mode = fake_tensor_mode()
    if mode is None:
        raise AlexnetError(f"torch {torch.__version__} cannot run a step without values")
    model = build(subject, torch.device(META), replace(options, device=META), notify)
    few = None if how.at_most is None else shorten(model, blocks_of(model, how.wrap), how.at_most)
    mesh = mesh_of(how.layout)
    step = options.step
    plan = plan_for(model, how) if how.layout.tp > 1 else None
    by_engine = step.amp if step is not None and how.layout.shards > 1 else None
    ranks, sequence = expert_ranks_of(how.layout), sequence_ranks_of(how.layout)
    parts = spread(model, mesh, how, plan, by_engine, ranks=ranks)
    with pretended_cpu(mode), one_sequence_each(), shapes_worked_out_unseen():
        given_memory(model)
        fed = feed(model, _CPU, Trial(subject, options), notify)
        groups = groups_of(mesh, how.layout, ranks, sequence)
        args, kwargs = (fed.args, fed.kwargs) if sequence is None else part_of(fed.args, fed.kwargs, how.layout.cp)
        if how.layout.sp:
            sequence_length(args, kwargs, "--sp", how.layout.tp, "tensor parallel ranks")
        forward = Forward(model, args, kwargs)
        trained = step or TrainingStep("none")
        autocast = replace(trained, amp=None) if by_engine else trained
        copies = how.layout.ddp > 1 and how.layout.shards == 1 and step is not None
        group = mesh.get_group("ddp") if copies and mesh is not None else None
        ddp = None if group is None else partial(replicated, model, group)
        run = RankStep(model, Step(forward, autocast), step is not None, ddp)
        with sequences_shared(sequence):
            recorder = run.record(lambda: RankRecorder(_CPU, model, groups, parts.units))
    report, rows = report_of(subject, options.mode, parts, fed, recorder)
    return rank_of(how.layout, report, recorder.rank_tape, rows, model), few


def report_of(
    subject: Subject, mode: Literal["eval", "train"], parts: Spread, fed: Fed, recorder: RankRecorder
) -> tuple[Report, RowBuilder]:
    """Return the report of a recorded step, and what knows the rows of its calls."""
    model = parts.model
    rows = RowBuilder(model, recorder.touched, recorder.purposes)
    layers, totals = rows.build(_call_of(model, recorder.root))
    names = {path: parts.classes.get(id(module)) for path, module in model.named_modules()}
    described = Model(subject.target, parts.classes[id(model)], subject.description)
    dtype = str(model_dtype(model)).removeprefix("torch.")
    run = Run(META, dtype, mode, fed.batch_size, fed.inputs, complete=True)
    named = tuple(_as_written(layer, names) for layer in layers)
    return Report(generator(), described, run, None, named, totals, recorder.rank_tape.finish(rows.row_of)), rows


def rank_of(layout: Layout, report: Report, tape: RankTape, rows: RowBuilder, model: nn.Module) -> Rank:
    """Return what a rank's tape says."""
    assert report.tape is not None  # noqa: S101 - for the type checker
    uses, owners = tape.uses(), tape.owners(rows.row_of, model)
    storages = report.tape.storages
    return Rank(
        layout,
        report,
        tape.sent(rows.row_of),
        tuple(_held(storage, uses.get(at)) for at, storage in enumerate(storages)),
        tuple(owners.get(at, storage.saved_by) for at, storage in enumerate(storages)),
        tuple(tape.again),
        tuple(tape.micro_batches),
    )


def _call_of(model: nn.Module, root: Call | None) -> Call | None:
    """Return the model's own call, which may be inside that of DDP."""
    inside = [] if root is None or root.module is model else root.parts
    return next((call for call in inside if call.module is model), root)


def _held(storage: Storage, use: Held | None) -> Held:
    """Return what a storage is for; a gradient may lie in what a collective received."""
    if use == "communication" and storage.role == "buffer":
        return use
    return _HELD.get(storage.role) or use or ("temporary" if storage.saved_by is None else "saved")


def _as_written(layer: Layer, names: dict[str, str | None]) -> Layer:
    """Return a row with the class that the model's code names: FSDP puts one of its own in front."""
    written = names.get(layer.path) if layer.kind == "module" else None
    return layer if written in (None, layer.type) else replace(layer, type=written)
