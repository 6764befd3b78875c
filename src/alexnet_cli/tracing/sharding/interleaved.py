"""What a rank with interleaved parts of the model does, and a shorter pipeline in which it does all that.

torch's schedule lists the actions of a rank: forwards and backwards of its parts, what is sent and received, and with
FSDP when the weights of a part are gathered, freed and their gradients reduced. Each runs in a function of its own, so
that it leaves little to the next: actions of one sort do the same, after one of the same sort.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.errors import UsageError, told
from alexnet_cli.rank import Layout
from alexnet_cli.tape import Phase
from alexnet_cli.torch_insides import Action, interleaved_actions

_PHASES: dict[str, Phase] = {
    "FORWARD": "forward",
    "SEND_F": "forward",
    "RECV_F": "forward",
    "FULL_BACKWARD": "backward",
    "SEND_B": "backward",
    "RECV_B": "backward",
    "REDUCE_GRAD": "backward",
}
_RUNS = ("FORWARD", "FULL_BACKWARD")
_LEAVE_NOTHING = ("RECV_F", "RECV_B", "SEND_F", "RESHARD")
_GATHERED_AFTER = {"FORWARD": False, "FULL_BACKWARD": True, "REDUCE_GRAD": False, "RESHARD": False}
"""After what FSDP's weights of a part are there, gathered, and after what they are not."""
_MOST_STAGES, _MOST_ROUNDS = 16, 3
"""How long a pipeline is tried in place of a longer one."""


class Turn(Struct, frozen=True):
    """An action of a rank: the phase that it belongs to, its micro-batch (-1: all), and its sort."""

    phase: Phase
    micro_batch: int
    sort: str


@cache
def _actions(ranks: int, parts: int, micro_batches: int) -> list[list[Action]]:
    try:
        return interleaved_actions(ranks, parts, micro_batches)
    except ValueError as error:
        raise UsageError(f"torch's schedule refuses {micro_batches} micro-batches: {told(error)}") from error


def turns_of(layout: Layout, stage: int) -> list[Turn]:
    """Return what the ranks of a stage do, in order.

    Raises:
        UsageError: torch's schedule refuses this number of micro-batches.
    """
    actions = _actions(layout.pp, layout.chunks, layout.micro_batches)[stage]
    return list(_turns(actions, layout))


def _turns(actions: Sequence[Action], layout: Layout) -> Iterator[Turn]:
    """Tell what actions differ in beside their kind and part.

    A part's first micro-batch makes its gradients, its last one reduces them; the first run after weights were gathered
    waits for them; after the last backward there is less to free. With FSDP weights stay gathered after a backward, and
    the next forward, or what frees them, finds them so. What ends the list is followed by the update.

    What an action leaves is dropped when the next begins, which therefore is of a sort by that, too. Receiving leaves
    nothing, nor does sending on what the backward needs, or freeing weights.
    """
    before = "begins"
    last = layout.micro_batches - 1
    gathering: set[int] = set()
    gathered: set[int] = set()
    done: set[int] = set()
    for at, (kind, part, number) in enumerate(actions):
        said = [kind, str(part)]
        following = (each for each, where, _ in actions[at:] if where == part and each in _RUNS)
        phase = _PHASES.get(kind) or _PHASES[next(following, "FULL_BACKWARD")]
        if kind == "UNSHARD":
            gathering.add(part)
        if kind in _RUNS:
            said += ["first"] if number == 0 else []
            said += ["waits"] if part in gathering else []
            gathering.discard(part)
        said += ["gathered"] if part in gathered and kind in _GATHERED_AFTER else []
        if layout.shards > 1 and kind in _GATHERED_AFTER:
            kept = _GATHERED_AFTER[kind] or (kind == "FORWARD" and layout.reshard is False)
            (gathered.add if kept else gathered.discard)(part)
        if (kind, number) == ("FULL_BACKWARD", last):
            said.append("last")
            done.add(part)
        said += ["done"] if part in done else []
        said += ["ends"] if at == len(actions) - 1 else []
        here = " ".join([*said, phase])
        yield Turn(phase, number, f"{here} after {before}")
        before = "nothing left" if kind in _LEAVE_NOTHING else here


def shortened(layout: Layout, stage: int) -> tuple[Layout, int]:
    """Return the shortest pipeline in which a stage does all sorts of what it does here, and where it is there."""
    asked = {turn.sort for turn in turns_of(layout, stage)}
    least = 1 + (stage > 0) + (stage < layout.pp - 1)
    tried = product(range(least, _MOST_STAGES), range(1, _MOST_ROUNDS))
    for stages, micro_batches in sorted(((each, each * rounds) for each, rounds in tried), key=lambda it: it[::-1]):
        if micro_batches >= layout.micro_batches:
            break
        few = replace(layout, pp=stages, micro_batches=micro_batches)
        for place in [0] if stage == 0 else [stages - 1] if stage == layout.pp - 1 else range(1, stages - 1):
            if asked <= {turn.sort for turn in turns_of(few, place)}:
                return few, place
    return layout, stage
