"""What of pipeline stages an answer tells: all compared, and the one with the highest peak in full."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.sharding.links import Links, unknown_links
from alexnet_cli.analyses.sharding.pipeline import Pipeline, staged
from alexnet_cli.analyses.sharding.traffic import collectives
from alexnet_cli.errors import UsageError
from alexnet_cli.rank import Layout, Rank
from alexnet_cli.views.shard import Shown


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
