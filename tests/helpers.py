"""What several test files use."""

from __future__ import annotations

from typing import Any

import pytest

from alexnet_cli.report import Report
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace


def trace_target(target: str = "alexnet", **options: Any) -> Report:
    subject = resolve(target)
    assert isinstance(subject, Subject)
    return trace(subject, TraceOptions(**options), notify=lambda text: pytest.fail(f"unexpected note: {text}"))
