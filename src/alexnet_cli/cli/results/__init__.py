"""The JSON of each command: the envelope and the command's own keys, one command a module.

A command imports its own result only: the others' would cost a warm start their imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet_cli.report_json import Envelope

RESULTS = {
    "summary": "SummaryResult",
    "params": "ParamsResult",
    "cost": "CostResult",
    "memory": "MemoryResult",
    "receptive-field": "ReceptiveFieldResult",
    "explain": "ExplainResult",
    "compare": "CompareResult",
    "check": "CheckResult",
    "models": "ModelsResult",
    "cache": "CacheResult",
}
"""The commands that have JSON, each with the class in the module of its name (`-` becomes `_`)."""


def result_type(command: str) -> type[Envelope]:
    """Return the class of a command's result."""
    module = import_module(f"{__name__}.{command.replace('-', '_')}")
    found: type[Envelope] = getattr(module, RESULTS[command])
    return found
