"""The JSON of `alexnet cost`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses.cost import Cost, CostTotals, LayerCost, PhasedWork, TypeCost
from alexnet_cli.analyses.hardware import Hardware
from alexnet_cli.report_json import Envelope


class CostResult(Envelope, frozen=True, kw_only=True):
    """`alexnet cost --json`; with several batch sizes `layers` and the like are those of the first, `sweep` has all.

    `outside` is work that no layer did, null where there is none; `tf32` whether float32 is held to the TF32 peak.
    """

    layers: tuple[LayerCost, ...]
    outside: PhasedWork | None
    totals: CostTotals
    by_type: tuple[TypeCost, ...]
    hardware: Hardware | None
    tf32: bool
    sweep: tuple[Cost, ...] | UnsetType = UNSET
