"""The commands by name: the only place that lists them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet_cli.report_json import Envelope

COMMANDS = {
    "summary": "Show the layers: output shapes, parameters, MACs, and who holds what.",
    "params": "Show where the parameters sit: totals, by type, layer, module.",
    "cost": "Show what each layer computes and moves, and the least time it takes.",
    "profile": "Measure how long each layer takes, against the least it could.",
    "memory": "Show the memory of a forward and a training step, and what fits.",
    "fit": "Find what makes a training step fit, and write its code.",
    "oom": "Tell what filled a GPU when memory ran out, from a snapshot.",
    "annotate": "Show your own source, with what each line made and cost.",
    "watch": "Answer again whenever a file of the model changes.",
    "scale": "Find exact laws of how work and memory grow with input sizes.",
    "shard": "Show what one GPU of many holds and sends in a step.",
    "receptive-field": "Show how much of the input each layer sees.",
    "explore": "Walk through a model in the terminal, or a checkpoint.",
    "draw": "Draw the architecture: a figure for a page or a slide.",
    "report": "Write an HTML page to share: figure, charts, layers, findings.",
    "explain": "Check common claims about the network, with evidence.",
    "compare": "Show models side by side, and what changed.",
    "check": "Check a model against limits or a baseline; exit 1 on failure.",
    "export": "Write a model to a file that other programs run.",
    "models": "List the built-in models.",
    "schema": "Print the JSON Schema of a command's JSON.",
    "cache": "Show or clear the cached answers.",
}
"""Each is a function in a module of its name here, with its line in the help; its answer is in `answers`."""


def command_module(name: str) -> ModuleType:
    """Import the module that declares a command."""
    return import_module(f"alexnet_cli.cli.{_plain(name)}")


def results() -> dict[str, type[Envelope]]:
    """Return the class of the JSON of each command that has any: `CostResult` of `answers.cost`, and the like."""
    found = {}
    for name in COMMANDS:
        module = f"alexnet_cli.answers.{_plain(name)}"
        if find_spec(module) is not None:
            found[name] = getattr(import_module(module), f"{name.title().replace('-', '')}Result", None)
    return {name: result for name, result in found.items() if result is not None}


def _plain(name: str) -> str:
    return name.replace("-", "_")
