"""Ways to watch a forward: a mode for operators, one for functions, and a wrapper around module calls."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode

from alexnet_cli.tracing.checks import MetaChecks
from alexnet_cli.tracing.meta_rules import RULES
from alexnet_cli.tracing.operators import Operator, operator

Saw = Callable[[Operator, Any, dict[str, Any], Any], None]
RunFunction = Callable[[Callable[..., Any], Any, dict[str, Any]], Any]
RunModule = Callable[[Callable[..., Any], nn.Module, Any, Any], Any]


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves the base untyped
    """Calls `saw` after every operator; on `meta` the arguments are checked first."""

    def __init__(self, saw: Saw, checks: MetaChecks | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.saw = saw
        self.checks = checks

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would import torch._dynamo, a second of start-up

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        op = operator(func)
        if op.composite and op.macs is None:
            with self:  # under inference mode they come whole
                output = func.decompose(*args, **kwargs)
            if output is not NotImplemented:
                return output
        output = func(*args, **kwargs) if self.checks is None else self._on_meta(func, op, args, kwargs)
        self.saw(op, args, kwargs, output)
        return output

    def _on_meta(self, func: Any, op: Operator, args: Any, kwargs: dict[str, Any]) -> Any:
        assert self.checks is not None  # noqa: S101 - for the type checker
        self.checks.before(op.name, args)
        rule = RULES.get(func)
        output = NotImplemented if rule is None else rule(*args, **kwargs)
        if output is NotImplemented:
            output = func(*args, **kwargs)
        self.checks.after(op.name, args, output)
        return output


class FunctionMode(TorchFunctionMode):
    """Runs every torch function through `run`, and makes new tensors on `device` where the call names none."""

    def __init__(self, run: RunFunction, device: torch.device) -> None:
        super().__init__()
        self.run = run
        self.device = device
        self.constructors = _device_constructors()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        if func in self.constructors and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": self.device}
        return self.run(func, args, kwargs)


@contextmanager
def wrapped_module_call(run: RunModule) -> Iterator[None]:
    """Have every module call run through `run`, which gets the original call."""
    original = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return run(original, module, args, kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign] # put back below
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run attention and compiled code operator by operator, where a fused kernel would hide the work."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    dynamo = sys.modules.get("torch._dynamo")
    try:
        with torch.compiler.set_stance("force_eager") if dynamo is not None else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def calm_collector() -> Iterator[None]:
    """Stop the garbage collector for one forward: it would walk all of torch's objects again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def function_name(function: Any) -> str:
    """Return what users call a function: `add` for `__radd__`, `add_` for `__iadd__`, `T` for the property."""
    name = getattr(function, "__name__", "") or type(function).__name__
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    if not name.startswith("__"):
        return name.lstrip("_")
    plain = name.strip("_")
    in_place = plain.startswith("i") and hasattr(Tensor, f"__{plain[1:]}__") and plain != "invert"
    if in_place:
        return f"{plain[1:]}_"
    return plain[1:] if plain.startswith("r") and hasattr(Tensor, f"__{plain[1:]}__") else plain
