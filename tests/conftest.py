from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from alexnet_cli.report import Report
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def alexnet(capfd):
    """Run a command line in this process."""
    from alexnet_cli.cli.app import run

    def call(*arguments: str) -> Answer:
        capfd.readouterr()
        code = run(arguments)
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


def trace_target(target: str = "alexnet", **options: Any) -> Report:
    subject = resolve(target)
    assert isinstance(subject, Subject)
    return trace(subject, TraceOptions(**options), notify=lambda text: pytest.fail(f"unexpected note: {text}"))


@pytest.fixture(scope="session")
def report() -> Report:
    """The notebook's AlexNet as `alexnet summary` traces it."""
    return trace_target()
