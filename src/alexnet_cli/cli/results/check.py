"""The JSON of `alexnet check`."""

from __future__ import annotations

from alexnet_cli.analyses.check import Check
from alexnet_cli.report_json import Envelope


class CheckResult(Envelope, frozen=True, kw_only=True):
    """`alexnet check --json`."""

    passed: bool
    checks: tuple[Check, ...]
