"""The layouts of `shard`: which are built, what is told of one with stages, and `--fit`, which searches the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.sharding.floors import Floors, floors
from alexnet_cli.analyses.sharding.layouts import layouts_of, numbers_of_gpus
from alexnet_cli.analyses.sharding.links import GPUS_PER_NODE, Links, unknown_links
from alexnet_cli.analyses.sharding.pipeline import Pipeline, staged
from alexnet_cli.analyses.sharding.search import Fewest, Ranks, Search, Tried, kept
from alexnet_cli.analyses.sharding.traffic import collectives
from alexnet_cli.errors import UsageError
from alexnet_cli.rank import Dimension, Layout, Rank
from alexnet_cli.session.how import Parallel, TrainingStep
from alexnet_cli.session.ranks import traced_rank, traced_stages
from alexnet_cli.session.session import Session
from alexnet_cli.views.layouts import Searched
from alexnet_cli.views.shard import Shown


class Found(Struct, frozen=True):
    """What a search found: the layouts, how it went, and the first layout or, where none fits, that which needs least.

    `shown` is about the rank of a layout that fits, else None, and `stages` about its pipeline stages, if it has some.
    """

    tried: tuple[Tried, ...]
    told: Searched
    layout: Layout
    shown: Shown | None
    stages: Pipeline | None = None


def search(
    session: Session,
    how: Parallel,
    step: TrainingStep | None,
    *,
    gpus: int | None,
    given: Mapping[Dimension, int | None],
    roof: Roof | None,
    links: Links | None,
) -> Found:
    """Search the fewest GPUs that fit, or rank the layouts of `gpus`; dimensions that are `given` keep their size.

    Raises:
        UsageError: the GPU is not named, or too little is known of it.
    """
    if roof is None or roof.hardware.capacity_bytes is None:
        raise UsageError("--fit needs a GPU whose memory is known", "name it with --gpu, as in --gpu h100-sxm")
    per_node = GPUS_PER_NODE if links is None else links.gpus_per_node
    resharded = bool(how.layout.reshard)

    def layouts(number: int) -> list[Layout]:
        found = layouts_of(number, given, per_node, sp=how.layout.sp, reshard=resharded)
        return [replace(each, **{name: getattr(how.layout, name) for name in _OF_STAGES}) for each in found]

    held = kept(session.report(), None if step is None else step.optimizer)
    tries = Search(
        lambda layout: _traced(session, replace(how, layout=layout), step),
        lambda ranks: _needed(_floors_of(ranks, roof, links)),
        held,
        roof.hardware.capacity_bytes,
    )
    if gpus is None:
        found = tries.fewest(numbers_of_gpus(per_node, prod(size or 1 for size in given.values())), layouts)
    else:
        found = Fewest(None, tries.among(layouts(gpus)), ())
    if not found.tried:
        asked = " ".join(f"--{name} {size}" for name, size in given.items() if size is not None)
        raise UsageError(f"no layout is both {asked} and built", "leave out one of these sizes")
    best = tries.best
    told = Searched(gpus, found.gpus, found.smaller, tries.traces, how.checkpoint, None if step is None else step.amp)
    if best is None:
        first = found.tried[0]
        split = how.layout.sp and first.tp > 1
        sizes = {name: getattr(first, name) for name in ("pp", "ddp", "fsdp", "tp")}
        return Found(found.tried, told, replace(how.layout, **sizes, sp=split, reshard=resharded), None)
    layout = best.ranks[0].layout
    if layout.pp > 1:
        return Found(found.tried, told, layout, *shown_stage(best.ranks, roof, links))
    (rank,) = best.ranks
    return Found(found.tried, told, layout, Shown(rank, best.memory, collectives(rank, links), best.floors))


_OF_STAGES = ("schedule", "micro_batches", "chunks")


def _traced(session: Session, how: Parallel, step: TrainingStep | None) -> Ranks:
    return traced_rank(session, how, step) if how.layout.pp == 1 else traced_stages(session, how, step)


def _floors_of(ranks: Ranks, roof: Roof, links: Links | None) -> Floors | None:
    if isinstance(ranks, Rank):
        return floors_of(ranks, roof, links)
    if links is None:
        raise unknown_links(roof.hardware.name)
    return staged(ranks, roof, links).floors


def floors_of(rank: Rank, roof: Roof | None, links: Links | None) -> Floors | None:
    """Return the least time of a rank's step; None without a GPU.

    Raises:
        UsageError: the rank sends, and how fast that is is not known.
    """
    if roof is None:
        return None
    if links is None and rank.sent:
        raise unknown_links(roof.hardware.name)
    return floors(rank, roof, links or Links("none", 1.0, "not used"))


def _needed(found: Floors | None) -> Floors:
    assert found is not None  # noqa: S101 - for the type checker: there is a GPU
    return found


def check_layout(layout: Layout, *, inference: bool, fit: bool) -> None:
    """Raise `UsageError` for layouts that are not built."""
    if layout.ep > 1 and fit:
        raise UsageError("not supported yet: --fit with --ep", "one layout with --ep is")
    if layout.ep > 1 and (layout.pp > 1 or layout.tp > 1):
        other = "pp" if layout.pp > 1 else "tp"
        raise UsageError(f"not supported yet: --ep with --{other}", "--ep with --fsdp and --ddp is")
    if layout.sp and layout.tp == 1 and not fit:
        raise UsageError("--sp goes with --tp, whose ranks share the sequences", "give a number of ranks, as in --tp 8")
    if layout.cp > 1 and fit:
        raise UsageError("not supported yet: --fit with --cp", "one layout with --cp is")
    if layout.cp > 1 and layout.ep > 1:
        raise UsageError("not supported yet: --cp with --ep", "--cp with --fsdp, --ddp, --tp and --pp is")
    if layout.pp > 1 and inference and layout.schedule != "gpipe":
        said = f"--schedule {layout.schedule} is an order of forwards and backwards, and --inference has no backward"
        raise UsageError(said, "leave out --schedule: a forward runs one micro-batch after another")
    if layout.pp > 1 and layout.ddp > 1 and layout.fsdp == 1:
        raise UsageError("not supported yet: --pp with --ddp and without --fsdp", "--pp with --fsdp is")
    if not fit and layout.ddp > 1 and layout.tp > 1 and layout.shards == 1:
        raise UsageError("not supported yet: --ddp with --tp and without --fsdp", "--fsdp with --tp is")


def shown_stage(ranks: Sequence[Rank], roof: Roof | None, links: Links | None) -> tuple[Shown, Pipeline]:
    """Return the stage with the highest peak, with the floors of the whole pipeline, and all stages compared.

    Raises:
        UsageError: how fast the GPUs send to one another is not known.
    """
    if roof is not None and links is None:
        raise unknown_links(roof.hardware.name)
    found = staged(ranks, roof, links)
    at = max(range(len(ranks)), key=lambda stage: found.memories[stage].peak_bytes)
    return Shown(ranks[at], found.memories[at], collectives(ranks[at], links), found.floors), found.pipeline
