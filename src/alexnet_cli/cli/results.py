"""The JSON of each command: the envelope and the command's own keys."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from alexnet_cli.analyses.check import Check
from alexnet_cli.analyses.compare import AlignedLayer, ComparedModel
from alexnet_cli.analyses.modules import ModuleShare
from alexnet_cli.analyses.shares import FamilyShare, TypeShare
from alexnet_cli.analyses.weights import WeightsMatch
from alexnet_cli.models.catalogue import variants
from alexnet_cli.report import Layer, Totals
from alexnet_cli.report_json import Envelope
from alexnet_cli.tape import Tape
from alexnet_cli.views.explain import ToldFinding


class SummaryResult(Envelope, frozen=True, kw_only=True):
    """`alexnet summary --json`; also what a saved report is."""

    layers: tuple[Layer, ...]
    totals: Totals
    by_type: tuple[TypeShare, ...]
    by_family: tuple[FamilyShare, ...]
    tape: Tape | UnsetType = UNSET
    weights: WeightsMatch | UnsetType = UNSET


class ParamsResult(Envelope, frozen=True, kw_only=True):
    """`alexnet params --json`, with what was asked for."""

    totals: Totals
    by_type: tuple[TypeShare, ...] | UnsetType = UNSET
    by_family: tuple[FamilyShare, ...] | UnsetType = UNSET
    layers: tuple[Layer, ...] | UnsetType = UNSET
    modules: tuple[ModuleShare, ...] | UnsetType = UNSET


class CompareResult(Envelope, frozen=True, kw_only=True):
    """`alexnet compare --json`; each model has its own `model`, `run` and `error`."""

    subjects: tuple[ComparedModel, ...]
    layers: tuple[AlignedLayer, ...]


class CheckResult(Envelope, frozen=True, kw_only=True):
    """`alexnet check --json`."""

    passed: bool
    checks: tuple[Check, ...]


class ExplainResult(Envelope, frozen=True, kw_only=True):
    """`alexnet explain --json`; the texts are in the language that was asked for."""

    findings: tuple[ToldFinding, ...]


class ListedModel(Struct, frozen=True):
    """A built-in model; the input is without the batch."""

    name: str
    description: str
    input: tuple[int, ...]
    params: int
    macs: int
    source: str


class ModelsResult(Envelope, frozen=True, kw_only=True):
    """`alexnet models --json`."""

    models: tuple[ListedModel, ...]


class CacheResult(Envelope, frozen=True, kw_only=True):
    """`alexnet cache --json`: what is kept and where; `removed` for `clear`."""

    folder: str | None
    entries: int
    bytes: int
    removed: int | UnsetType = UNSET


RESULTS: dict[str, type[Envelope]] = {
    "summary": SummaryResult,
    "params": ParamsResult,
    "explain": ExplainResult,
    "compare": CompareResult,
    "check": CheckResult,
    "models": ModelsResult,
    "cache": CacheResult,
}


def listed_models() -> tuple[ListedModel, ...]:
    """Return the built-in models as they are listed."""
    return tuple(ListedModel(v.name, v.description, v.input, v.params, v.macs, v.source) for v in variants().values())
