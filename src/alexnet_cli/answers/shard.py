"""`shard`: what one GPU of many holds and sends in a step, and the least time that the step takes."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import Hardware, find_hardware
from alexnet_cli.analyses.sharding.floors import Floors
from alexnet_cli.analyses.sharding.links import Links, links_of
from alexnet_cli.analyses.sharding.memory import RankMemory, RankMoment, rank_memory
from alexnet_cli.analyses.sharding.memory import timeline as moments_of
from alexnet_cli.analyses.sharding.pipeline import Pipeline
from alexnet_cli.analyses.sharding.search import Tried
from alexnet_cli.analyses.sharding.traffic import Collective, collectives
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.answers.layouts import check_layout, floors_of, search, shown_stage
from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import BANDWIDTH
from alexnet_cli.rank import Dimension, Layout
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.how import parallel, searched, training_step
from alexnet_cli.session.ranks import traced_rank, traced_stages
from alexnet_cli.session.session import Session
from alexnet_cli.views.layouts import Searched, layouts_document
from alexnet_cli.views.shard import Shown, shard_document


class ShardLayout(Struct, frozen=True):
    """How many GPUs share each kind of work, and how: their product without `ep` is `gpus`.

    The `ep` ranks that share experts are among those of `fsdp`. With `sp` the `tp` ranks share sequences
    outside of matrix products.
    """

    gpus: int
    pp: int
    ddp: int
    fsdp: int
    cp: int
    tp: int
    ep: int
    sp: bool
    reshard: bool | int
    checkpoint: str
    optimizer: str | None
    amp: str | None


_SHARED = ("gpus", "pp", "ddp", "fsdp", "cp", "tp", "ep", "sp", "reshard")


class ShardRank(Struct, frozen=True):
    """A rank that was traced, how many do the same, and whether its peak fits the GPU: null without one.

    `stage` is the pipeline stage that it runs.
    """

    rank: int
    alike: int
    peak_bytes: int
    fits: bool | None
    stage: int | UnsetType = UNSET


class ShardResult(Envelope, frozen=True, kw_only=True):
    """`alexnet shard --json`; `run` is that of the whole model's forward. Floors and links need a GPU.

    With `--fit` all but `layouts` and `search` are about the layout that comes first: `ranks` is empty and `memory`
    null where none fits.

    With pipeline stages `memory`, `collectives` and `timeline` are those of the stage with the highest peak, `floors`
    those of the slowest stage, in a step of the whole pipeline.
    """

    layout: ShardLayout
    ranks: tuple[ShardRank, ...]
    memory: RankMemory | None
    collectives: tuple[Collective, ...]
    floors: Floors | None
    hardware: Hardware | None
    links: Links | None
    pipeline: Pipeline | UnsetType = UNSET
    layouts: tuple[Tried, ...] | UnsetType = UNSET
    search: Searched | UnsetType = UNSET
    timeline: tuple[RankMoment, ...] | UnsetType = UNSET


def shard(
    session: Session,
    *,
    gpus: int | None = None,
    fsdp: int | None = None,
    tp: int | None = None,
    ddp: int | None = None,
    pp: int | None = None,
    schedule: str | None = None,
    micro_batches: int | None = None,
    ep: int | None = None,
    cp: int | None = None,
    sp: bool = False,
    reshard: str = "yes",
    gpu: str | None = None,
    link: str | None = None,
    network: str | None = None,
    node: int | None = None,
    optimizer: str = "adamw",
    amp: str | None = None,
    checkpoint: str = "none",
    inference: bool = False,
    wrap: Sequence[str] | None = None,
    plan: str | None = None,
    foreach: bool = True,
    timeline: bool = False,
    fit: bool = False,
) -> Answer[ShardResult]:
    """Show what one GPU of many holds and sends in a training step, and the least time that the step takes.

    With `fit` it searches: the fewest GPUs that the model fits, or how `gpus` are used best.

    Raises:
        UsageError: an option does not parse, or the model cannot be spread so.
        AlexnetError: the model cannot be loaded or run.
    """
    given: dict[Dimension, int | None] = {"pp": pp, "ddp": ddp, "fsdp": fsdp, "tp": tp}
    if fit:
        searched(gpus, given, reshard)
    how = parallel(
        gpus=None if fit else gpus,
        **given,
        ep=ep,
        cp=cp,
        sp=sp,
        reshard=reshard,
        wrap=wrap or (),
        plan=plan,
        checkpoint=checkpoint,
        schedule="gpipe" if inference and schedule is None and (pp or 1) > 1 else schedule,
        micro_batches=micro_batches,
    )
    check_layout(how.layout, inference=inference, fit=fit)
    step = None if inference else training_step(optimizer, amp, foreach=foreach)
    if inference and amp is not None:
        raise UsageError("--amp and --inference exclude each other", "--dtype bfloat16 runs a forward in bfloat16")
    roof = None if gpu is None else Roof(find_hardware(gpu))
    links = links_of(
        None if roof is None else roof.hardware.name,
        None if link is None else float(BANDWIDTH.read(link, "--link")),
        None if network is None else float(BANDWIDTH.read(network, "--network")),
        node,
    )
    report = session.report()
    found, told, stages = None, None, None
    if report.error is None and fit:
        found = search(session, how, step, gpus=gpus, given=given, roof=roof, links=links)
        told, stages = found.shown, found.stages
    elif report.error is None and how.layout.pp > 1:
        told, stages = shown_stage(traced_stages(session, how, step), roof, links)
    elif report.error is None:
        rank = traced_rank(session, how, step)
        told = Shown(rank, rank_memory(rank), collectives(rank, links), floors_of(rank, roof, links))
    capacity = None if roof is None else roof.hardware.capacity_bytes
    layout = how.layout if found is None else found.layout
    result = ShardResult(
        **Envelope.of(report, "shard"),
        layout=ShardLayout(
            **{name: getattr(layout, name) for name in _SHARED},
            checkpoint=how.checkpoint,
            optimizer=None if step is None else step.optimizer,
            amp=amp,
        ),
        ranks=() if told is None else _ranks(layout, told, stages, capacity),
        memory=None if told is None else told.memory,
        collectives=() if told is None else told.collectives,
        floors=None if told is None else told.floors,
        hardware=None if roof is None else roof.hardware,
        links=links,
        pipeline=stages or UNSET,
        layouts=UNSET if found is None else found.tried,
        search=UNSET if found is None else found.told,
        timeline=UNSET if told is None or not timeline else moments_of(told.rank),
    )
    hardware = result.hardware
    if found is not None and hardware is not None:
        shown = found.told, found.tried, hardware
        return Answer(result, lambda: layouts_document(report, *shown), failures=failures_of(report))
    return Answer(result, lambda: shard_document(report, told, hardware, links, stages), failures=failures_of(report))


def _ranks(layout: Layout, told: Shown, stages: Pipeline | None, capacity: int | None) -> tuple[ShardRank, ...]:
    peaks = [told.memory.peak_bytes] if stages is None else [stage.peak_bytes for stage in stages.stages]
    alike = layout.gpus // layout.pp
    fits = (None if capacity is None else peak <= capacity for peak in peaks)
    return tuple(
        ShardRank(stage * alike, alike, peak, fit, stage if layout.pp > 1 else UNSET)
        for stage, (peak, fit) in enumerate(zip(peaks, fits, strict=True))
    )
