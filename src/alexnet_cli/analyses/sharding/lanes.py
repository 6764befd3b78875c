"""What fills the least time of a rank's step: its kernels, and each kind of link, side by side."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.sharding.kernels import Kernels, phase_of, seconds_of
from alexnet_cli.analyses.sharding.links import Links
from alexnet_cli.analyses.sharding.traffic import Scope, link_times
from alexnet_cli.rank import CollectiveKind, Rank
from alexnet_cli.tape import Phase

Work = Phase | CollectiveKind | Literal["waiting"]

_ROUNDING = 1e-9


class Lane(Struct, frozen=True):
    """What one part of a GPU does in the least time of a step: seconds of each kind of work, and what is left idle.

    Kernels work in phases, and wait for collectives whose result the next of them reads; links carry collectives.
    """

    name: Literal["kernels", "within", "between"]
    seconds: dict[Work, float]
    idle_seconds: float


def lanes(rank: Rank, kernels: Kernels, roof: Roof, links: Links, *, step: float, waiting: float) -> tuple[Lane, ...]:
    """Return the lanes of a step that takes `step` seconds at least, `waiting` of them for collectives."""
    phases: tuple[Phase, ...] = ("forward", "backward", "optimizer")
    done: dict[Work, float] = {phase: seconds_of(phase_of(kernels, {phase}), roof).kernels for phase in phases}
    found = [_lane("kernels", {**done, "waiting": waiting}, step)]
    carried: dict[Scope, dict[Work, float]] = {"within": {}, "between": {}}
    for kind in dict.fromkeys(sent.kind for sent in rank.sent):
        for link in link_times(rank, links, [sent for sent in rank.sent if sent.kind == kind]):
            carried[link.scope][kind] = link.seconds
    return (*found, *(_lane(scope, carried[scope], step) for scope in carried if carried[scope]))


def _lane(name: Literal["kernels", "within", "between"], seconds: dict[Work, float], step: float) -> Lane:
    worked = {work: time for work, time in seconds.items() if time}
    idle = step - sum(worked.values())
    return Lane(name, worked, idle if idle > step * _ROUNDING else 0.0)
