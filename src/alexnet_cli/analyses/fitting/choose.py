"""Which blocks to run again, so that a step stays below a budget with the least work done twice.

After Chen et al., "Training deep nets with sublinear memory cost" (arXiv:1604.06174), but with measured blocks instead
of equal ones, and without a bound on which are chosen: a dynamic program over the chain, of which the states are the
bytes kept so far and the work done twice so far. Of two states of which one has no more of either, the other cannot
lead to a better choice, as every later peak grows with the bytes kept before it; so nothing that is left out is missed.
Where there are very many states, those that keep almost the same are taken together, and the result says how much that
may have cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isqrt

from alexnet_cli import units
from alexnet_cli.analyses.capacity import first_that
from alexnet_cli.analyses.fitting.chain import Block
from alexnet_cli.analyses.fitting.parts import Choice, Level, levels
from alexnet_cli.report import Report

Work = tuple[float, ...]
"""What it takes to run a block again: seconds, or without hardware FLOPs and then bytes; compared in that order."""

MOST_STATES = 20_000
"""How many states are looked at exactly; of more, those that are close are taken together."""
_PAIRS = ((False, False), (False, True), (True, False), (True, True))


@dataclass(frozen=True)
class Best:
    """The blocks to run again; none of the choices that need `rounded_bytes` less than the budget does less work."""

    choice: Choice
    rounded_bytes: int = 0


@dataclass(frozen=True)
class Composed:
    """The memory of a step for any choice of blocks, from the steps of four choices, in bytes.

    What a block adds to the memory depends on whether it and the block before it are run again, as both may keep what
    passes between them: `parts[j][before, own]`. Each of the four is seen in one of the steps in which no block, all
    blocks, every other one and the others are run again. `fixed` is the peak of what is no block's.
    """

    parts: tuple[dict[tuple[bool, bool], Level], ...]
    tail: tuple[int, int]
    fixed: int
    work: tuple[Work, ...]
    safe: tuple[bool, ...]

    def peak(self, choice: Choice) -> int:
        """Return the peak of a step in which these blocks are run again."""
        kept, before, most = 0, False, self.fixed
        for part, own in zip(self.parts, choice, strict=True):
            level = part[before, own]
            most = max(most, kept + level.peak)
            kept, before = kept + level.kept, own
        return max(most, kept + self.tail[before])

    def updated(self, held: int, peak: int) -> Composed:
        """Return the memory with an optimiser that holds so many bytes, and the peak of its update with them."""
        return replace(
            self,
            parts=tuple({pair: Level(at.kept, at.peak + held) for pair, at in part.items()} for part in self.parts),
            tail=(self.tail[0] + held, self.tail[1] + held),
            fixed=max(self.fixed + held, peak),
        )

    def best(self, budget: int) -> Best | None:
        """Return the choice with the least work whose peak is within the budget; of equal ones that with least kept."""
        if self.fixed > budget:
            return None
        rounded = 0
        states: dict[bool, list[_State]] = {False: [_State()]}
        for part, work, safe in zip(self.parts, self.work, self.safe, strict=True):
            made: dict[bool, list[_State]] = {}
            for before, alike in states.items():
                for own in (False, True) if safe else (False,):
                    level = part[before, own]
                    made.setdefault(own, []).extend(
                        state.after(level.kept, work if own else (), own=own)
                        for state in alike
                        if state.kept + level.peak <= budget
                    )
            fronts = {own: _front(each) for own, each in made.items()}
            step = max(budget // MOST_STATES, 1) if max(map(len, fronts.values()), default=0) > MOST_STATES else 0
            states = {own: _rounded(each, step) if step else each for own, each in fronts.items()}
            rounded += step
        ends = [state for own, each in states.items() for state in each if state.kept + self.tail[own] <= budget]
        return Best(min(ends, key=lambda state: (state.work, state.kept)).choice, rounded) if ends else None

    def least_peak(self) -> int:
        """Return the least peak of all choices, by bisection: that a budget can be kept is easily seen."""
        most = max(self.fixed, self.peak((False,) * len(self.parts)))
        return first_that(range(self.fixed, most), self._can_keep)

    def _can_keep(self, budget: int) -> bool:
        """Tell whether a choice keeps the budget: of those with the same last block, that with the least kept."""
        least: dict[bool, int] = {False: 0}
        for part, safe in zip(self.parts, self.safe, strict=True):
            made: dict[bool, int] = {}
            for before, kept in least.items():
                for own in (False, True) if safe else (False,):
                    level = part[before, own]
                    if kept + level.peak <= budget:
                        made[own] = min(made.get(own, budget + 1), kept + level.kept)
            least = made
        return any(kept + self.tail[own] <= budget for own, kept in least.items())


@dataclass(frozen=True, slots=True)
class _State:
    kept: int = 0
    work: Work = ()
    before: _State | None = None
    own: bool = False

    def after(self, kept: int, work: Work, *, own: bool) -> _State:
        return _State(self.kept + kept, _sum(self.work, work), self, own)

    @property
    def choice(self) -> Choice:
        """The blocks that were run again."""
        chosen: list[bool] = []
        state: _State | None = self
        while state is not None and state.before is not None:
            chosen.append(state.own)
            state = state.before
        return tuple(reversed(chosen))


def _sum(first: Work, second: Work) -> Work:
    if not first or not second:
        return first or second
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _front(states: list[_State]) -> list[_State]:
    """Return the states than which no other has less kept and less work; there are few for blocks that are alike."""
    states.sort(key=lambda state: (state.kept, state.work))
    best: list[_State] = []
    for state in states:
        if not best or state.work < best[-1].work:
            best.append(state)
    return best


def _rounded(states: list[_State], step: int) -> list[_State]:
    """Return one state of those whose kept bytes differ by less than `step`: that with the least work.

    It keeps less than `step` bytes more than each of the others, and so do all choices that follow from it.
    """
    coarse = {state.kept // step: state for state in states}  # the last of each has the least work
    return list(coarse.values())


def compose(
    chain: Sequence[Block],
    step: Callable[[Choice], Report],
    work_of: Callable[[Report, Sequence[Block]], list[Work]],
    whole: tuple[Composed, int] | None = None,
) -> Composed:
    """Trace the steps of four choices and put together what they tell of each block.

    `work_of` returns the work that each block does twice in a step in which all are run again. With what the `whole`
    batch takes, and into how many parts it is cut, two choices are enough: what passes between two blocks of which one
    is run again shrinks with the batch.
    """
    count = len(chain)
    even = tuple(at % 2 == 0 for at in range(count))
    odd = tuple(at % 2 == 1 for at in range(count))
    alike = ((False,) * count, (True,) * count)
    choices = dict.fromkeys(alike if whole else (*alike, even, odd))
    reports = {choice: step(choice) for choice in choices}
    seen = {choice: levels(report, chain) for choice, report in reports.items()}

    def level(at: int, pair: tuple[bool, bool]) -> Level:
        before, own = pair
        same = seen[(own,) * count].parts[at]
        if before == own or at == 0:
            return same
        if whole:
            parts, number = whole[0].parts[at], whole[1]
            kept, peak = (
                (getattr(parts[pair], name) - getattr(parts[own, own], name)) // number for name in ("kept", "peak")
            )
            return Level(same.kept + kept, same.peak + peak)
        return seen[even if even[at] == own else odd].parts[at]

    return Composed(
        parts=tuple({pair: level(at, pair) for pair in _PAIRS} for at in range(count)),
        tail=(seen[(False,) * count].tail, seen[(True,) * count].tail),
        fixed=min(each.fixed for each in seen.values()),
        work=tuple(work_of(reports[(True,) * count], chain)),
        safe=tuple(seen[(False,) * count].safe),
    )


def regular(count: int) -> Iterator[tuple[str, Choice]]:
    """Yield the usual choices: all blocks, every second one, and every √n-th."""
    if count:
        yield f"all {units.count(count)} blocks" if count > 1 else "its only block", (True,) * count
    for every in dict.fromkeys((2, isqrt(count))):
        if 1 < every < count:
            yield (
                f"every {every}{_ORDINAL.get(every, 'th')} of {units.count(count)} blocks",
                tuple(at % every == 0 for at in range(count)),
            )


_ORDINAL = {2: "nd", 3: "rd"}
