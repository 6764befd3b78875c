"""What travels among ranks, and the least time that it takes on the links between them.

A collective among n ranks, each connected by one link, sends from each rank at least (n - 1)/n of the message for an
all-gather, a reduce-scatter or an all-to-all, twice that for an all-reduce, and all of it for a broadcast or between
two ranks (Patarasuk, Yuan, "Bandwidth optimal all-reduce algorithms", JPDC 69(2), 2009; the bus bandwidth of
nccl-tests). A group of n ranks with m in each node must also bring into a node what its m ranks lack, (n - m)/n of the
message, over their m network adapters. Switches that reduce in the network (SHARP) can halve an all-reduce; latency,
headers and protocol overhead add to all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.sharding.links import Links
from alexnet_cli.analyses.sharding.runs import counts_of
from alexnet_cli.errors import UsageError
from alexnet_cli.rank import CollectiveKind, GroupName, Layout, Rank, Sent
from alexnet_cli.tape import Phase

Scope = Literal["within", "between"]


class Collective(Struct, frozen=True, kw_only=True):
    """The equal collectives of one row in one phase: `count` of them, of `bytes` each.

    `bytes` are those of the whole message: what an all-gather makes, what a reduce-scatter, all-reduce or all-to-all
    reads. `sent_bytes` is the least that each rank sends for all of them, `seconds` the least time that they take, None
    without links. Those that are `exposed` are waited for: the kernel that runs next reads what they make.
    """

    kind: CollectiveKind
    group: GroupName
    ranks: int
    nodes: int
    bytes: int
    count: int
    row: str | None
    type: str | None
    phase: Phase
    exposed: bool
    sent_bytes: int
    seconds: float | None


class LinkTime(Struct, frozen=True):
    """The least time that what a rank sends takes on one kind of link."""

    scope: Scope
    name: str
    bytes: int
    seconds: float


class Reach(Struct, frozen=True):
    """How a group lies on the nodes: `ranks` in all, `local` of them in each node."""

    ranks: int
    local: int

    @property
    def nodes(self) -> int:
        """The number of nodes that it spans."""
        return -(-self.ranks // self.local)


def reach_of(layout: Layout, group: GroupName, per_node: int) -> Reach:
    """Return how the groups of a dimension lie on nodes that are filled rank by rank, the last dimension first."""
    ranks, inner = layout.reach(group)
    return Reach(ranks, min(ranks, max(1, per_node // inner)))


_SHARES: dict[CollectiveKind, int] = {"all_gather": 1, "reduce_scatter": 1, "all_to_all": 1, "all_reduce": 2}


def sent_by(kind: CollectiveKind, ranks: int, message: int) -> float:
    """Return the least number of bytes that a rank sends for a collective."""
    if kind == "recv":
        return 0.0  # links carry both directions at once: what is received counts where it is sent
    return _SHARES[kind] * message * (ranks - 1) / ranks if kind in _SHARES else float(message)


def brought_in(kind: CollectiveKind, reach: Reach, message: int) -> float:
    """Return the least number of bytes that a rank's network adapter brings into its node for a collective."""
    if reach.nodes == 1 or kind == "recv" or (kind == "send" and reach.local > 1):
        return 0.0  # of stages that share nodes, only those at the end of a node send to the next
    if kind == "all_to_all":
        return message * (reach.ranks - reach.local) / reach.ranks
    if kind in _SHARES:
        return _SHARES[kind] * message * (reach.ranks - reach.local) / reach.ranks / reach.local
    return float(message)


def times_of(kind: CollectiveKind, reach: Reach, message: int, links: Links) -> dict[Scope, float]:
    """Return the least seconds of a collective on each kind of link.

    Raises:
        UsageError: it goes between nodes, and how fast that is is not known.
    """
    outside = brought_in(kind, reach, message)
    if outside and links.between_bytes_per_s is None:
        raise UsageError(
            f"these GPUs are in several nodes of {links.gpus_per_node}, and no network between them is known",
            "give its bandwidth for each GPU with --network, as in --network 50GB/s",
        )
    inside = sent_by(kind, reach.ranks, message) if reach.local > 1 else 0.0
    return {
        "within": inside / links.within_bytes_per_s,
        "between": outside / links.between_bytes_per_s if outside and links.between_bytes_per_s else 0.0,
    }


_WAITS = "_c10d_functional::wait_tensor"
_NO_KERNELS = ("empty", "new_empty", "c10d::", "_c10d_functional::")


def is_exposed(rank: Rank, sent: Sent) -> bool:
    """Tell whether a rank waits for a collective: the next kernel that runs reads what it makes.

    FSDP and DDP send on streams of their own, and a stage can send while it computes the next micro-batch. Of several
    gradients that are summed, the first can be reduced while the second is computed.
    """
    if sent.group in ("fsdp", "efsdp", "ddp", "pp"):
        return False
    tape = tape_of(rank.report)
    made = {tape.values[value].storage for value in tape.operations[sent.operation].makes}
    for operation in tape.operations[sent.operation + 1 :]:
        reads = any(tape.values[value].storage in made for value in operation.reads)
        if reads and operation.op == _WAITS:
            made |= {tape.values[value].storage for value in operation.makes}
        elif reads and operation.nature != "view":
            return True
        elif operation.nature != "view" and operation.makes and not operation.op.startswith(_NO_KERNELS):
            return False
    return False


def collectives(rank: Rank, links: Links | None) -> tuple[Collective, ...]:
    """Return what a rank sends in the order of the first of each, equal ones together."""
    together: dict[tuple[object, ...], list[Sent]] = {}
    for sent in rank.sent:
        key = (sent.kind, sent.group, sent.bytes, sent.row, sent.phase, is_exposed(rank, sent))
        together.setdefault(key, []).append(sent)
    times = counts_of(rank)
    return tuple(_collective(rank, alike, times, links) for alike in together.values())


def _collective(rank: Rank, alike: Sequence[Sent], times: Sequence[int], links: Links | None) -> Collective:
    sent, count = alike[0], sum(times[each.operation] for each in alike)
    layer = None if sent.row is None else rank.report.layers[sent.row]
    reach = Reach(sent.ranks, sent.ranks) if links is None else reach_of(rank.layout, sent.group, links.gpus_per_node)
    return Collective(
        kind=sent.kind,
        group=sent.group,
        ranks=sent.ranks,
        nodes=reach.nodes,
        bytes=sent.bytes,
        count=count,
        row=None if layer is None else layer.path,
        type=None if layer is None else layer.type,
        phase=sent.phase,
        exposed=is_exposed(rank, sent),
        sent_bytes=round(count * sent_by(sent.kind, sent.ranks, sent.bytes)),
        seconds=None if links is None else count * max(times_of(sent.kind, reach, sent.bytes, links).values()),
    )


def link_times(rank: Rank, links: Links, among: Iterable[Sent]) -> tuple[LinkTime, ...]:
    """Return the least time that some of a rank's collectives take on each kind of link that they use."""
    bytes_by: dict[Scope, float] = {"within": 0.0, "between": 0.0}
    seconds_by: dict[Scope, float] = {"within": 0.0, "between": 0.0}
    times = counts_of(rank)
    for sent in among:
        reach = reach_of(rank.layout, sent.group, links.gpus_per_node)
        count = times[sent.operation]
        bytes_by["within"] += count * sent_by(sent.kind, sent.ranks, sent.bytes) if reach.local > 1 else 0.0
        bytes_by["between"] += count * brought_in(sent.kind, reach, sent.bytes)
        for scope, seconds in times_of(sent.kind, reach, sent.bytes, links).items():
            seconds_by[scope] += count * seconds
    names: dict[Scope, str] = {"within": links.within_name, "between": links.between_name or ""}
    return tuple(
        LinkTime(scope, names[scope], round(bytes_by[scope]), seconds_by[scope]) for scope in names if bytes_by[scope]
    )
