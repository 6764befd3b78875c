"""The JSON of `alexnet summary`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses.columns import ChosenRow
from alexnet_cli.analyses.shares import FamilyShare, TypeShare
from alexnet_cli.analyses.weights import WeightsMatch
from alexnet_cli.report import Layer, Totals
from alexnet_cli.report_json import Envelope
from alexnet_cli.tape import Tape


class SummaryResult(Envelope, frozen=True, kw_only=True):
    """`alexnet summary --json`; also what a saved report is."""

    layers: tuple[Layer, ...]
    totals: Totals
    by_type: tuple[TypeShare, ...]
    by_family: tuple[FamilyShare, ...]
    tape: Tape | UnsetType = UNSET
    weights: WeightsMatch | UnsetType = UNSET
    columns: tuple[ChosenRow, ...] | UnsetType = UNSET
