"""What one rank of a parallel run does, as plain values: its report and tape, what travels, and what memory is for.

A rank is one process with one GPU. The ranks form a mesh with a dimension for each way of sharing work; a collective
runs among the ranks of one dimension. Sizes are in bytes.
"""

from __future__ import annotations

import re
from math import prod
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.report import Report
from alexnet_cli.tape import Phase

Dimension = Literal["pp", "ddp", "fsdp", "cp", "tp"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
"""The dimensions of the mesh from the outermost to the innermost: neighbours in the last are neighbours in a node."""

GroupName = Dimension | Literal["ep", "efsdp"]
"""Whom a collective runs among: a dimension of the mesh, or how the ranks of `fsdp` share experts."""

Schedule = Literal["gpipe", "1f1b", "interleaved"]
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
CollectiveKind = Literal["all_gather", "reduce_scatter", "all_reduce", "all_to_all", "broadcast", "send", "recv"]
Held = Literal[
    "weights", "gathered", "buffers", "input", "gradients", "optimizer", "saved", "communication", "temporary"
]
HELD: tuple[Held, ...] = get_args(Held)
"""What a rank's memory is used for: `weights` are its shards, `gathered` the weights that FSDP gathers for a while,
`communication` what collectives are sent from and received into."""


class Layout(Struct, frozen=True, kw_only=True):
    """How many ranks share each kind of work: pipeline stages, replicas, shards of the state, shards of each layer.

    The `ep` ranks that share the experts are among those of `fsdp`: neighbours have different experts, and those with
    the same shard their state. The `cp` ranks that share sequences shard the state too, with those of `fsdp`. So
    torchtitan and transformers lay them out.

    With `sp` the `tp` ranks also share sequences: each has a part of what is outside of matrix products (sequence
    parallelism).

    With `reshard` FSDP frees the weights that it gathered for a forward, and gathers them again for the backward; a
    number keeps them sharded among so many ranks in between. With pipeline stages the batch runs as `micro_batches` by
    the `schedule`; each stage has `chunks` parts of the model, more than one if they are interleaved.
    """

    pp: int = 1
    ddp: int = 1
    fsdp: int = 1
    cp: int = 1
    tp: int = 1
    ep: int = 1
    sp: bool = False
    reshard: bool | int = True
    schedule: Schedule = "1f1b"
    micro_batches: int = 1
    chunks: int = 1

    @property
    def gpus(self) -> int:
        """The number of ranks."""
        return prod(self.sizes.values())

    @property
    def sizes(self) -> dict[Dimension, int]:
        """The size of each dimension of the mesh."""
        return {"pp": self.pp, "ddp": self.ddp, "fsdp": self.fsdp, "cp": self.cp, "tp": self.tp}

    def reach(self, group: GroupName) -> tuple[int, int]:
        """Return how many ranks the groups of a name have, and how many ranks lie between one and the next."""
        if group == "fsdp":
            return self.shards, self.tp
        if group == "ep":
            return self.ep, self.tp
        if group == "efsdp":
            return self.fsdp // self.ep, self.ep * self.tp
        return self.sizes[group], prod(self.sizes[name] for name in DIMENSIONS[DIMENSIONS.index(group) + 1 :])

    def passes(self, stage: int) -> list[tuple[Phase, int]]:
        """Return in which order a pipeline stage runs its micro-batches forward and backward.

        GPipe runs all forwards first. 1F1B runs one for each stage from this one on, then a backward and a forward in
        turns, and at last the backwards that are left.
        """
        ahead = self.ahead(stage)
        steady: list[tuple[Phase, int]] = [
            each
            for number in range(self.micro_batches - ahead)
            for each in (("backward", number), ("forward", ahead + number))
        ]
        first: list[tuple[Phase, int]] = [("forward", number) for number in range(ahead)]
        return [*first, *steady, *(("backward", n) for n in range(self.micro_batches - ahead, self.micro_batches))]

    def ahead(self, stage: int) -> int:
        """Return how many micro-batches run forward before the first runs backward; stages have one part each."""
        return self.micro_batches if self.schedule == "gpipe" else min(self.micro_batches, self.pp - stage)

    def shortened(self, stage: int) -> tuple[Layout, int]:
        """Return a pipeline of fewer stages and micro-batches in which a stage does all that it does here, and where.

        Of four forwards in a row one runs after one that is not the first, and before another; of two turns of a
        backward and a forward the second runs after one that is not the first.
        """
        if self.pp == 1 or self.schedule == "interleaved":
            return self, stage
        ahead = self.ahead(stage)
        few, turns = min(ahead, 4), min(self.micro_batches - ahead, 2)
        place = min(stage, 1)
        stages = place + 1 + (stage < self.pp - 1) if self.schedule == "gpipe" else place + few
        return replace(self, pp=stages, micro_batches=few + turns), place

    @property
    def shards(self) -> int:
        """How many ranks FSDP shards the state among."""
        return self.fsdp * self.cp

    @property
    def replicas(self) -> int:
        """How many ranks are given samples of their own."""
        return self.ddp * self.fsdp


class Sent(Struct, frozen=True):
    """A collective that ran as the operation at `operation` of the rank's tape.

    `group` is the dimension of the mesh whose `ranks` ranks take part, or names those that share experts. `bytes` are
    those of the whole message: what an all-gather makes, what a reduce-scatter, all-reduce or all-to-all reads, what is
    sent or received. `row` is the position in the report's layers of the row that it is for.
    """

    operation: int
    kind: CollectiveKind
    group: GroupName
    ranks: int
    bytes: int
    row: int | None
    phase: Phase


class Repeated(Struct, frozen=True):
    """Blocks at `path` that are alike, from the `first` on: `kept` were traced, `left_out` more follow those."""

    path: str
    first: int
    kept: int
    left_out: int

    def block(self, path: str) -> int | None:
        """Return the number of the block that a row belongs to."""
        found = re.match(rf"{re.escape(self.path + '.' if self.path else '')}(\d+)(?![^.])", path)
        return None if found is None else int(found[1])

    def pattern(self, path: str) -> str:
        """Return a row's path with the number of its block left open."""
        block = self.block(path)
        return path if block is None else self._with(path, block, "*")

    def shifted(self, path: str | None, shift: int) -> str | None:
        """Return a row's path so many blocks further on."""
        block = None if path is None or not shift else self.block(path)
        return path if path is None or block is None else self._with(path, block, str(block + shift))

    def _with(self, path: str, block: int, number: str) -> str:
        start = len(self.path) + 1 if self.path else 0
        return path[:start] + number + path[start + len(str(block)) :]


class Pass(Struct, frozen=True):
    """A micro-batch that runs forward or backward, from the operation at `start` to that of the next pass.

    With interleaved parts it may also be what a rank does around that: it sends, receives, gathers or frees weights.
    `sort` then tells passes apart that do different things, and `micro_batch` is -1 where it is for all.
    """

    phase: Phase
    micro_batch: int
    start: int
    sort: str = ""


Run = tuple[int, int]
"""A stretch of a tape: the position of its first operation, and that after its last."""


class Rank(Struct, frozen=True):
    """One rank's step: its rows and tape, the collectives, and for each storage of the tape its use and its row.

    `again` are the positions of the operations that a checkpoint runs again. Of a pipeline stage `passes` tells where
    on the tape micro-batches run. Where the step has more micro-batches than the tape, `runs` are the stretches of the
    tape that it runs, in order, those of a micro-batch as often as there are such. `sorts` are those of all passes of
    the whole step, where parts are interleaved.
    """

    layout: Layout
    report: Report
    sent: tuple[Sent, ...]
    held: tuple[Held, ...]
    owners: tuple[int | None, ...]
    again: tuple[int, ...] = ()
    passes: tuple[Pass, ...] = ()
    runs: tuple[Run, ...] = ()
    sorts: tuple[str, ...] = ()

    def among(self, ddp: int) -> Rank:
        """Return what the rank does among another number of replicas, above 1 as here: only their messages differ.

        Raises:
            ValueError: there are replicas here and none there, or the other way around.
        """
        if (ddp > 1) is not (self.layout.ddp > 1):
            raise ValueError(f"{self.layout.ddp} replicas do not send what {ddp} do")
        sent = (replace(each, ranks=ddp) if each.group == "ddp" else each for each in self.sent)
        return replace(self, layout=replace(self.layout, ddp=ddp), sent=tuple(sent))
