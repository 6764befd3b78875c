"""Subject to one Rank for each pipeline stage: cut the model, and run each stage as its ranks do, on shapes alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from msgspec.structs import replace
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from alexnet_cli.errors import AlexnetError
from alexnet_cli.rank import Layout, Rank
from alexnet_cli.targets.subject import Subject
from alexnet_cli.torch_insides import fake_tensor_mode, own_parameters, runs_pipelines, shapes_worked_out_unseen
from alexnet_cli.tracing.build import Notify, build
from alexnet_cli.tracing.inputs.feed import Fed
from alexnet_cli.tracing.inputs.resolve import feed
from alexnet_cli.tracing.inputs.trial import Trial
from alexnet_cli.tracing.meta.stand_ins import one_sequence_each, pretended_cpu
from alexnet_cli.tracing.options import AMP_DTYPES, META, Parallel, TraceOptions, TrainingStep
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.checkpoints import without_cache
from alexnet_cli.tracing.recording.runs import Forward, Step
from alexnet_cli.tracing.sharding.blocks import blocks_of
from alexnet_cli.tracing.sharding.chain import Chain, Looks, Span, chain_of
from alexnet_cli.tracing.sharding.groups import fake_ranks, groups_of, mesh_of, sequence_ranks_of
from alexnet_cli.tracing.sharding.interleaved import shortened, turns_of
from alexnet_cli.tracing.sharding.parallel import Spread, given_memory, spread
from alexnet_cli.tracing.sharding.pipeline import Part, PipelineRun, micro_batches_of
from alexnet_cli.tracing.sharding.plans import plan_for
from alexnet_cli.tracing.sharding.recording import RankRecorder
from alexnet_cli.tracing.sharding.sequence import part_of, sequence_length, sequences_shared
from alexnet_cli.tracing.sharding.shortened import of_blocks
from alexnet_cli.tracing.sharding.stages import stage_forward, staged
from alexnet_cli.tracing.sharding.trace import rank_of, report_of, running

_CPU = torch.device("cpu")


@dataclass
class _Cut:
    """A model's chain of blocks, as it is for a micro-batch, and the inputs of the model for the whole batch.

    `spans` are the blocks of each part, or those of a stage; `share` are the samples of a micro-batch.
    """

    chain: Chain
    fed: Fed
    spans: list[Span]
    share: int

    def passed(self, layout: Layout) -> Looks:
        """Return the looks of what a rank sends to the next stage, which may be a part of the sequences."""
        shape, dtype = self.chain.passed
        return ((shape[0], shape[1] // layout.tp, *shape[2:]), dtype) if layout.sp else (shape, dtype)


def trace_stages(subject: Subject, options: TraceOptions, how: Parallel, notify: Notify) -> Iterator[Rank]:
    """Run the training step, or the forward, of the first rank of each pipeline stage, one after the other.

    With `how.at_most` stages are run in the shortest pipeline in which they do the same, and those alike once: their
    rank then has the layout of that.

    Raises:
        TargetError: the model cannot be built, or fails as one of these ranks.
        UsageError: the inputs, the wrapping or the plan do not suit the model, or blocks or batch do not divide.
        AlexnetError: the model cannot be cut into stages, or torch refuses to spread it so.
    """
    mode = fake_tensor_mode()
    if mode is None:
        raise AlexnetError(f"torch {torch.__version__} cannot run a step without values")
    with running(subject, options, how):
        model = _built(subject, options, notify)
        with pretended_cpu(mode), one_sequence_each(), shapes_worked_out_unseen():
            cut = _cut(model, subject, options, how, notify)
        if not runs_pipelines():
            said = f"torch {torch.__version__} cannot run pipeline stages on shapes"
            raise AlexnetError(said, "install 2.13 or newer")
        known: dict[object, tuple[Rank, list[str]]] = {}
        for stage in range(how.layout.pp):
            layout, place, sorts = _shortened(how, stage)
            spans = cut.spans[stage :: how.layout.pp]
            key = layout, place, *map(len, spans)
            parts = [f"{part}." if len(spans) > 1 else "" for part in range(len(spans))]  # of one module that holds all
            blocks = [
                f"{part}{cut.chain.blocks[at]}" for part, span in zip(parts, spans, strict=True) for at in span.blocks
            ]
            if key not in known:
                with fake_ranks(layout.gpus, place * (layout.gpus // layout.pp)):
                    there = replace(how, layout=layout, stage=place)
                    rank = _trace(subject, options, there, dataclasses.replace(cut, spans=spans), mode)
                known[key] = rank, blocks
            yield replace(of_blocks(*known[key], blocks), sorts=sorts)


def _shortened(how: Parallel, stage: int) -> tuple[Layout, int, tuple[str, ...]]:
    """Return the pipeline to trace for a stage, its place there, and the sorts of all that it does, if interleaved."""
    if how.at_most is None:
        return how.layout, stage, ()
    if how.layout.schedule != "interleaved":
        return *how.layout.shortened(stage), ()
    return *shortened(how.layout, stage), tuple(turn.sort for turn in turns_of(how.layout, stage))


def _built(subject: Subject, options: TraceOptions, notify: Notify) -> nn.Module:
    model = build(subject, torch.device(META), replace(options, device=META), notify)
    without_cache(model)
    return model


def _cut(model: nn.Module, subject: Subject, options: TraceOptions, how: Parallel, notify: Notify) -> _Cut:
    given_memory(model)
    fed = feed(model, _CPU, Trial(subject, options), notify)
    share = micro_batches_of(how.layout, fed.batch_size)
    if how.layout.cp > 1:
        args, kwargs = part_of(fed.args, fed.kwargs, how.layout.cp)
        fed = replace(fed, args=args, kwargs=kwargs)
    if how.layout.sp:
        sequence_length(fed.args, fed.kwargs, "--sp", how.layout.tp, "tensor parallel ranks")
    amp = None if options.step is None or options.step.amp is None else getattr(torch, AMP_DTYPES[options.step.amp])
    by_engine = amp is not None and how.layout.shards > 1
    args, kwargs = _first_of(fed, share)
    if amp is not None and by_engine:
        args, kwargs = _as_gathered(model, amp, args, kwargs)
    with torch.autocast("cpu", amp) if amp is not None and not by_engine else nullcontext():
        chain = chain_of(model, blocks_of(model, how.wrap), args, kwargs)
    return _Cut(chain, fed, chain.spans(how.layout.pp * how.layout.chunks), share)


def _as_gathered(model: nn.Module, dtype: torch.dtype, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    """Give a model the weights that FSDP gathers, and return its inputs as FSDP casts them."""
    cast: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in own_parameters(module).items():
            if parameter is not None and parameter.is_floating_point():
                new = cast.setdefault(
                    id(parameter), nn.Parameter(parameter.detach().to(dtype), parameter.requires_grad)
                )
                own_parameters(module)[name] = new
    args, kwargs = tree_map_only(
        Tensor, lambda each: each.to(dtype) if each.is_floating_point() else each, (args, kwargs)
    )
    return args, kwargs


def _first_of(fed: Fed, samples: int) -> tuple[list[Any], dict[str, Any]]:
    """Return the inputs of the first samples: torch's schedules split all tensors along their first dimension."""
    args, kwargs = tree_map_only(Tensor, lambda each: each[:samples], (fed.args, fed.kwargs))
    return args, kwargs


def _trace(subject: Subject, options: TraceOptions, how: Parallel, cut: _Cut, mode: Any) -> Rank:
    layout, step = how.layout, options.step or TrainingStep("none")
    mesh = mesh_of(layout)
    assert mesh is not None  # noqa: S101 - there are several stages
    by_engine = step.amp if layout.shards > 1 else None
    spreads = []
    for span in cut.spans:
        model = _built(subject, options, lambda _: None)  # the first building gave the notes already
        plan = plan_for(model, how) if layout.tp > 1 else None
        blocks = staged(model, cut.chain, span)
        ends = cut.chain.blocks[0] if span.first else None  # the plan says how it takes what a stage may end with
        kept = {path: style for path, style in (plan or {}).items() if path == ends or _is_there(model, path)}
        spreads.append(spread(model, mesh, how, kept, by_engine, blocks=blocks))
    whole = spreads[0].model if len(spreads) == 1 else nn.ModuleList([each.model for each in spreads])
    with pretended_cpu(mode), one_sequence_each(), shapes_worked_out_unseen():
        args, kwargs = _first_of(cut.fed, cut.share)
        parts, passed = [], cut.passed(layout)
        for span, each in zip(cut.spans, spreads, strict=True):
            given_memory(each.model)
            stage_forward(each.model, cut.chain, span, args, kwargs)
            parts.append(Part(each.model, None if span.first else passed, passed))
        trained = replace(step, amp=None) if by_engine else step
        group, sequence = mesh.get_group("pp"), sequence_ranks_of(layout, how.stage)

        def run_of(layout: Layout) -> PipelineRun:
            batch = cut.share * layout.micro_batches
            forward = Forward(whole, *_first_of(cut.fed, batch))
            trains = options.step is not None
            return PipelineRun(parts, whole, Step(forward, trained), trains, layout, how.stage, group, batch)

        units = {key: unit for each in spreads for key, unit in each.units.items()}
        groups = groups_of(mesh, layout, sequence=sequence)
        with sequences_shared(sequence, attends=any(map(len, cut.spans))):
            recorder = run_of(layout).record(lambda: RankRecorder(_CPU, whole, groups, units), run_of(_few(layout)))
    classes = {key: name for each in spreads for key, name in each.classes.items()}
    classes.setdefault(id(whole), type(spreads[0].model).__name__)
    if len(spreads) > 1:
        recorder.root = _together(whole, recorder.roots, len(spreads))
    report, rows = report_of(subject, options.mode, Spread(whole, units, classes), cut.fed, recorder)
    return rank_of(layout, report, recorder.rank_tape, rows, whole)


def _few(layout: Layout) -> Layout:
    """Return the layout with two micro-batches: with the second gradients add up."""
    schedule = "gpipe" if layout.schedule == "1f1b" else layout.schedule  # 1F1B takes no fewer than it has stages
    return replace(layout, schedule=schedule, micro_batches=min(layout.micro_batches, 2))


def _is_there(model: nn.Module, path: str) -> bool:
    """Tell whether a stage has the layer at a path: others were emptied or are gone."""
    module = dict(model.named_modules()).get(path)
    return module is not None and next(module.parameters(), None) is not None


def _together(whole: nn.Module, roots: list[Call], parts: int) -> Call:
    """Return a call that made the first call of each part."""
    call = Call(whole, type(whole).__name__, 0, calls_modules=True, finished=True)
    seen: dict[int, Call] = {}
    for root in roots:
        seen.setdefault(id(root.module), root)
    call.parts = list(seen.values())[:parts]
    return call
