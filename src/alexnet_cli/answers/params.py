"""`params`: where the parameters sit."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses import shares
from alexnet_cli.analyses.shares import FamilyShare, ModuleShare, TypeShare
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Layer, Totals
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.session import Session
from alexnet_cli.views.params import params_document


class ParamsResult(Envelope, frozen=True, kw_only=True):
    """`alexnet params --json`, with what was asked for."""

    totals: Totals
    by_type: tuple[TypeShare, ...] | UnsetType = UNSET
    by_family: tuple[FamilyShare, ...] | UnsetType = UNSET
    layers: tuple[Layer, ...] | UnsetType = UNSET
    modules: tuple[ModuleShare, ...] | UnsetType = UNSET


def params(
    session: Session,
    *,
    by_type: bool = False,
    by_layer: bool = False,
    by_module: bool = False,
    top: int | None = None,
    depth: int | None = None,
) -> Answer[ParamsResult]:
    """Show the totals, and what else was asked for.

    Raises:
        UsageError: options do not go together.
        AlexnetError: the model cannot be loaded or run.
    """
    if top is not None and not by_layer:
        raise UsageError("--top goes with --by-layer")
    if depth is not None and not by_module:
        raise UsageError("--depth goes with --by-module")
    report = session.report()
    types = shares.by_type(report) if by_type else None
    layers = shares.by_layer(report, top) if by_layer else None
    tree = shares.by_module(report, depth) if by_module else None
    result = ParamsResult(
        **Envelope.of(report, "params"),
        totals=report.totals,
        by_type=UNSET if types is None else types,
        by_family=shares.by_family(report) if by_type else UNSET,
        layers=UNSET if layers is None else layers,
        modules=UNSET if tree is None else tree,
    )
    failures = failures_of(report)
    return Answer(result, lambda: params_document(report, types=types, layers=layers, modules=tree), failures=failures)
