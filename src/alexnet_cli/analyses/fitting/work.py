"""The least time of a training step, or without hardware its work, and what of it is done twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli.analyses.cost import Roof, work_seconds
from alexnet_cli.analyses.fitting.chain import Block, owners
from alexnet_cli.analyses.fitting.choose import Work
from alexnet_cli.analyses.fitting.turns import accumulations, as_first, by_modules
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.traffic import Unit, turns_of, units, update
from alexnet_cli.report import Report


class StepWork(Struct, frozen=True):
    """What a step does: FLOPs, the least bytes moved, and the least seconds, None without hardware."""

    flops: int
    bytes: int
    seconds: float | None

    @property
    def order(self) -> Work:
        """What steps are compared by."""
        return (float(self.flops), float(self.bytes)) if self.seconds is None else (self.seconds,)

    def plus(self, other: StepWork) -> StepWork:
        """Return the work of both, one after the other."""
        seconds = None if self.seconds is None or other.seconds is None else self.seconds + other.seconds
        return StepWork(self.flops + other.flops, self.bytes + other.bytes, seconds)


def step_work(report: Report, roof: Roof | None, micro_batches: int = 1) -> StepWork:
    """Return what a traced step does, its update included."""
    return gradient_work(report, roof, micro_batches).plus(update_work(report, roof))


def gradient_work(report: Report, roof: Roof | None, micro_batches: int = 1) -> StepWork:
    """Return what a traced step does until it has all gradients.

    Of several micro-batches the first two were run, and all further ones do what the second does; or only one that
    adds to the gradients, which is all that the first does not do.
    """
    tape = tape_of(report)
    if micro_batches == 1:
        return _sum(units(tape), roof)
    turns = turns_of(tape.operations)
    later = {at for at, turn in enumerate(turns) if turn > 0}
    if later:
        first, second = units(tape, later), units(tape, set(range(len(turns))) - later)
    else:
        first, second = units(as_first(tape), accumulations(tape)), units(tape_of(by_modules(report)))
    return _sum([*first, *(micro_batches - 1) * second], roof)


def update_work(report: Report, roof: Roof | None) -> StepWork:
    """Return what the update of a traced step does, which passes over all parameters once."""
    last = update(tape_of(report))
    return _sum([] if last is None else [last], roof)


def work_again(report: Report, chain: Sequence[Block], roof: Roof | None) -> list[Work]:
    """Return for each block of a chain the work that a step does twice, in its last micro-batch."""
    tape = tape_of(report)
    turns, owner = turns_of(tape.operations), owners(report, chain)
    others = {at for at, done in enumerate(tape.operations) if not done.again or turns[at] != turns[-1]}
    of: dict[int | None, list[Unit]] = defaultdict(list)
    for unit in units(tape, others):
        of[None if unit.row is None else owner.get(unit.row)].append(unit)
    return [_sum(of[at], roof).order for at in range(len(chain))]


def _sum(done: Sequence[Unit], roof: Roof | None) -> StepWork:
    flops = sum(2 * sum(unit.macs.values()) for unit in done if unit.macs)
    moved = sum(unit.bytes_read + unit.bytes_written for unit in done)
    return StepWork(flops, moved, None if roof is None else work_seconds(done, roof).kernels)
