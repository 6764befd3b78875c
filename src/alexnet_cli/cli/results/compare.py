"""The JSON of `alexnet compare`."""

from __future__ import annotations

from alexnet_cli.analyses.compare import AlignedLayer, ComparedModel
from alexnet_cli.report_json import Envelope


class CompareResult(Envelope, frozen=True, kw_only=True):
    """`alexnet compare --json`; each model has its own `model`, `run` and `error`."""

    subjects: tuple[ComparedModel, ...]
    layers: tuple[AlignedLayer, ...]
