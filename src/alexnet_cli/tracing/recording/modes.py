"""How a run is watched: a mode for operators, one for functions, and a wrapper around module calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache, wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from alexnet_cli.torch_insides import (
    DEVICE_ASKED,
    DispatchMode,
    FakeResults,
    device_constructors,
    has_tag,
    higher_order_kernel,
    is_higher_order,
    kernel_of,
    pretended_device,
    replaced,
)
from alexnet_cli.tracing.meta import elementwise_rules  # noqa: F401 - registers them
from alexnet_cli.tracing.meta.assumed import Follow
from alexnet_cli.tracing.meta.by_cpu import shapes_by_cpu
from alexnet_cli.tracing.meta.checks import MetaChecks
from alexnet_cli.tracing.meta.followed import FOLLOWED
from alexnet_cli.tracing.meta.rules import RULES, Rule
from alexnet_cli.tracing.recording.operators import Operator, higher_order, operator

Saw = Callable[[Operator, Any, dict[str, Any], Any], None]
RunFunction = Callable[[Callable[..., Any], Any, dict[str, Any]], Any]
ModuleCall = Callable[..., Any]


class _Overload(NamedTuple):
    """What is needed each time an operator overload runs."""

    itself: Any
    operator: Operator
    run: Callable[..., Any]
    rule: Rule | None
    follow: Follow | None
    settles: bool
    """Whether its results follow from its arguments' elements."""
    repeats: bool
    """Whether it gives what it gave before, on tensors without values."""


class OperatorMode(DispatchMode):  # type: ignore[no-untyped-call] # torch leaves the base untyped
    """Calls `saw` after every operator; on `meta` the arguments are checked first.

    With `known`, as tensors without values have it, an operator is not asked again what it gave before. `by_cpu` names
    the operators whose shapes the CPU told, as torch's own kernel for `meta` did not.
    """

    supports_higher_order_operators = True

    def __init__(self, saw: Saw, checks: MetaChecks | None, known: FakeResults | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.saw = saw
        self.checks = checks
        self.known = known
        self.by_cpu: dict[str, None] = {}
        self._overloads: dict[int, _Overload] = {}  # keyed by id: hashing an overload runs Python code

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would import torch._dynamo, a second of start-up

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        if func is DEVICE_ASKED:  # autocast asks for many, and torch takes its time to answer
            return pretended_device(args[0]) or func(*args)
        kwargs = kwargs or {}
        overload = self._overloads.get(id(func))
        if overload is None:
            if is_higher_order(func):
                return self._within(func, args, kwargs)
            overload = self._look_up(func)
        op = overload.operator
        if op.composite and op.macs is None:
            with self:  # inference mode does not decompose them
                output = func.decompose(*args, **kwargs)
            if output is not NotImplemented:
                return output
        if self.checks is not None:
            output = self._on_meta(overload, args, kwargs)
        elif self.known is not None and overload.repeats:
            output = self.known.run(overload.run, args, kwargs)
        else:
            output = overload.run(*args, **kwargs)
        if op.name == "_to_copy" and args[0].is_meta and not output.is_meta:
            return output  # values at hand, for which a real device runs no operator
        self.saw(op, args, kwargs, output)
        return output

    def _within(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a higher-order operator (`flex_attention`) by the operators that it stands for, each of which is seen."""
        kernel = higher_order_kernel(func)
        if kernel is not None:
            with self:
                return kernel(*args, **kwargs)
        output = func(*args, **kwargs)
        self.saw(higher_order(func), args, kwargs, output)
        return output

    def _look_up(self, func: Any) -> _Overload:
        op = operator(func)
        rule, follow = RULES.get(func), None if op.mutates else FOLLOWED.get(op.name)
        if self.checks is not None:
            elements = self.checks.elements
            rule = elements.answers.get(op.name, rule)
        random = has_tag(func, "nondeterministic_seeded") or "empty" in op.name
        settles = (op.fresh or op.mutates) and op.macs is None and not random
        repeats = self.known is not None and self.known.may_keep(func, op.name)
        overload = self._overloads[id(func)] = _Overload(func, op, kernel_of(func), rule, follow, settles, repeats)
        return overload

    def _on_meta(self, overload: _Overload, args: Any, kwargs: dict[str, Any]) -> Any:
        assert self.checks is not None  # noqa: S101 - for the type checker
        op = overload.operator
        name = op.name
        self.checks.before(name, args)
        output = NotImplemented if overload.rule is None else overload.rule(*args, **kwargs)
        if output is NotImplemented:
            try:
                output = overload.run(*args, **kwargs)
            except (RuntimeError, ValueError, AssertionError) as error:
                if op.fresh and not op.mutates:
                    output = self.checks.elements.made(overload.itself, name, args, kwargs)
                    if output is not NotImplemented:
                        return output
                    output = shapes_by_cpu(overload.itself, args, kwargs, error)
                if output is NotImplemented:
                    raise
                self.by_cpu[name] = None
        self.checks.after(name, args, output)
        self._note_elements(overload, args, kwargs, output)
        return output

    def _note_elements(self, overload: _Overload, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Note what is known of an operator's results, or of what it wrote to."""
        assert self.checks is not None  # noqa: S101 - for the type checker
        op, assumed, elements = overload.operator, self.checks.assumed, self.checks.elements
        if overload.follow is not None:
            assumed.after(overload.follow, args, kwargs, output)
        if op.mutates:
            written = op.written_in(args, kwargs)
            elements.write(overload.itself, op.name, written if overload.settles else [], args, kwargs)
            assumed.written(op.name, args, written)
        elif overload.settles:
            elements.after(overload.itself, op.name, args, kwargs, output)


class FunctionMode(TorchFunctionMode):
    """Runs every torch function through `run`, and creates new tensors on `device` if the call names none.

    On `meta`, `made` gets each tensor that is made of numbers in Python, with these numbers.
    """

    def __init__(self, run: RunFunction, device: torch.device, made: Callable[[Tensor, Any], None] | None) -> None:
        super().__init__()
        self.run = run
        self.device = device
        self.made = made
        self.constructors = device_constructors()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        if func in self.constructors and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": self.device}
        if self.made is not None and func in _PICKS and _has_a_list(args[1]):
            func = _picked_by_tensors(func, self.device, self.made)
        output = self.run(func, args, kwargs)
        if func is torch.tensor and args and self.made is not None:
            self.made(output, args[0])
        return output


_PICKS = (Tensor.__getitem__, Tensor.__setitem__)


def _has_a_list(index: Any) -> bool:
    return type(index) is list or (type(index) is tuple and list in map(type, index))


def _picked_by_tensors(func: Any, device: torch.device, made: Callable[[Tensor, Any], None]) -> Callable[..., Any]:
    """Return a function that takes lists of numbers in an index for tensors, which torch would make unseen."""

    def tensor(part: Any) -> Any:
        if not (isinstance(part, list) and part and all(type(number) is int for number in part)):
            return part
        numbers = torch.tensor(part, device=device)
        made(numbers, part)
        return numbers

    @wraps(func)
    def pick(given: Tensor, index: Any, *rest: Any) -> Any:
        return func(given, tuple(map(tensor, index)) if type(index) is tuple else tensor(index), *rest)

    return pick


def wrapped_module_call(wrap: Callable[[ModuleCall], ModuleCall]) -> AbstractContextManager[None]:
    """Replace every module call by what `wrap` makes of the original."""
    return replaced(nn.Module, __call__=wrap(nn.Module.__call__))


@lru_cache(maxsize=1024)
def function_name(function: Any) -> str:
    """Return the name that users know: `add` for `__radd__`, `add_` for `__iadd__`, `T` for the property."""
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
