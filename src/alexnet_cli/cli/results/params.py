"""The JSON of `alexnet params`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses.modules import ModuleShare
from alexnet_cli.analyses.shares import FamilyShare, TypeShare
from alexnet_cli.report import Layer, Totals
from alexnet_cli.report_json import Envelope


class ParamsResult(Envelope, frozen=True, kw_only=True):
    """`alexnet params --json`, with what was asked for."""

    totals: Totals
    by_type: tuple[TypeShare, ...] | UnsetType = UNSET
    by_family: tuple[FamilyShare, ...] | UnsetType = UNSET
    layers: tuple[Layer, ...] | UnsetType = UNSET
    modules: tuple[ModuleShare, ...] | UnsetType = UNSET
