"""`params`: where the parameters sit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses import shares
from alexnet_cli.analyses.shares import FamilyShare, ModuleShare, TypeShare
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.errors import UsageError, one_of
from alexnet_cli.report import Layer, Totals
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.checkpoints import parameters
from alexnet_cli.session.session import Session
from alexnet_cli.views.params import params_document

By = Literal["type", "layer", "module"]


class ParamsResult(Envelope, frozen=True, kw_only=True):
    """`alexnet params --json`, with what was asked for."""

    totals: Totals
    by_type: tuple[TypeShare, ...] | UnsetType = UNSET
    by_family: tuple[FamilyShare, ...] | UnsetType = UNSET
    layers: tuple[Layer, ...] | UnsetType = UNSET
    modules: tuple[ModuleShare, ...] | UnsetType = UNSET


def params(
    session: Session, *, by: By | Sequence[By] = (), top: int | None = None, depth: int | None = None
) -> Answer[ParamsResult]:
    """Show where the parameters sit: the totals, and `by` type, layer or module, or several of them.

    Raises:
        UsageError: a grouping is unknown, or options do not go together.
        AlexnetError: the model cannot be loaded or run.
    """
    groupings = (by,) if isinstance(by, str) else tuple(by)
    for each in groupings:
        one_of(each, get_args(By), "grouping")
    if top is not None and "layer" not in groupings:
        raise UsageError("--top goes with --by-layer")
    if depth is not None and "module" not in groupings:
        raise UsageError("--depth goes with --by-module")
    report = parameters(session)
    types = shares.by_type(report) if "type" in groupings else None
    layers = shares.by_layer(report, top) if "layer" in groupings else None
    tree = shares.by_module(report, depth) if "module" in groupings else None
    result = ParamsResult(
        **Envelope.of(report, "params"),
        totals=report.totals,
        by_type=UNSET if types is None else types,
        by_family=UNSET if types is None else shares.by_family(report),
        layers=UNSET if layers is None else layers,
        modules=UNSET if tree is None else tree,
    )
    failures = failures_of(report)
    return Answer(result, lambda: params_document(report, types=types, layers=layers, modules=tree), failures=failures)
