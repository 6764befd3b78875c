"""Why a forward failed, in plain words: which layer, which shapes met there, what would fit, where it stands."""

from __future__ import annotations

import sys

from torch import nn

from alexnet_cli.errors import ForwardError, told, users_frames
from alexnet_cli.report import ErrorInfo
from alexnet_cli.tracing.calls import Call
from alexnet_cli.tracing.diagnoses import FUNCTION_RULES, LAYER_RULES, Diagnosis, Failure, dtypes
from alexnet_cli.tracing.remedy import Remedy


def diagnose(failure: Failure, path: str, function: Call | None, remedy: Remedy, origin: str | None) -> ErrorInfo:
    """Return what to tell of a failure.

    `path` is that of the module whose call failed, `function` the torch function in it that raised, `origin` the
    line of the user's code that made the module.
    """
    module = failure.call.module
    found = _by_layer(failure) or dtypes(failure, None)
    name = f"{path or 'the model itself'} ({signature(module)})" if module is not None else "the model"
    if found is None and function is not None:
        found = _by_function(Failure(failure.error, function, failure.rows))
        name = f"{function.name} in {name}" if found else name
    found = found or dtypes(failure, None) or Diagnosis(f"raised {told(failure.error)}")
    where = f"defined at {origin}" if origin else None
    frames = users_frames(failure.error)
    hints = (remedy.advice(), found.change, where, frames and f"raised at {frames}")
    return ErrorInfo(ForwardError.code, f"{name} {found.what}", "\n".join(filter(None, hints)) or None, path)


def too_deep() -> ForwardError:
    """Return what to tell of a model that Python cannot walk or call: torch does both one module inside the other."""
    return ForwardError(
        f"the model nests calls deeper than Python's recursion limit of {sys.getrecursionlimit()}: "
        "too many modules inside one another, or a forward that calls itself without end",
        "it would fail without this program too: put the layers side by side, as in one nn.Sequential, "
        "or raise the limit a little by sys.setrecursionlimit in the target's file",
    )


def signature(module: nn.Module) -> str:
    """Return the layer as its class prints it, `Linear(in_features=9216, …)`; the class alone for a container."""
    printed = type(module).__name__ if any(True for _ in module.children()) else repr(module)
    return printed if "\n" not in printed else type(module).__name__


def _by_layer(failure: Failure) -> Diagnosis | None:
    rule = next((rule for cls, rule in LAYER_RULES if isinstance(failure.call.module, cls)), None)
    return rule(failure, failure.call.module) if rule else None


def _by_function(failure: Failure) -> Diagnosis | None:
    rule = FUNCTION_RULES.get(failure.call.name)
    return rule(failure, None) if rule else None
