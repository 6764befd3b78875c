"""The JSON of `alexnet explain`."""

from __future__ import annotations

from alexnet_cli.report_json import Envelope
from alexnet_cli.views.explain import ToldFinding


class ExplainResult(Envelope, frozen=True, kw_only=True):
    """`alexnet explain --json`; the texts are in the language that was asked for."""

    findings: tuple[ToldFinding, ...]
