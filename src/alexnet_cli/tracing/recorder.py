"""Watches a forward: every module call and every ATen operator, with the module that ran it.

Module calls are seen by wrapping `nn.Module.__call__` while the recording lasts, so that a module's own hooks run
inside its call; operators by a dispatch mode; and a function mode names what the user's code called
(`log_softmax`) where several operators do its work. Nothing is kept of a tensor but its shape and its storage's
identity.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode

from alexnet_cli.report import Shape
from alexnet_cli.tracing.checks import MetaChecks
from alexnet_cli.tracing.families import module_family
from alexnet_cli.tracing.operators import Operator, operator
from alexnet_cli.tracing.options import META
from alexnet_cli.tracing.settings import call_settings

_NOT_BORN_HERE = -1


@dataclass(slots=True)
class Work:
    """What the operators of one call did, those of modules below it left out."""

    macs: int = 0
    counted: bool = False
    operators: set[Operator] = field(default_factory=set)
    uncounted: list[str] = field(default_factory=list)

    def add(self, other: Work) -> None:
        """Take over the work of a part."""
        self.macs += other.macs
        self.counted = self.counted or other.counted
        self.operators |= other.operators
        self.uncounted += other.uncounted


@dataclass(slots=True)
class Call:
    """A call of a module or a function; `parts` are the calls inside it, in the order they ran."""

    module: nn.Module | None
    name: str
    started: int
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    output_bytes: int = 0
    in_place: bool = False
    finished: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    work: Work = field(default_factory=Work)
    mutated: set[int] = field(default_factory=set)
    parts: list[Call] = field(default_factory=list)


Op: TypeAlias = Any  # torch has no public type for an operator overload


class Recorder:
    """Records one forward. Use `recording()` around it, then read `root`, `failed` and `touched`.

    `touched` holds the ids of the watched tensors that an operator read; `failed` is the innermost module call
    that raised, `failed_function` the function in it.
    """

    def __init__(self, device: torch.device, watched: Iterable[Tensor] = ()) -> None:
        self.device = device
        self.watched = {id(tensor) for tensor in watched}
        self.touched: set[int] = set()
        self.root: Call | None = None
        self.failed: Call | None = None
        self.failed_function: Call | None = None
        self._stack: list[Call] = []
        self._function: Call | None = None
        self._clock = 0
        self._births: dict[int, int] = {}
        self.checks = MetaChecks(_storage) if device.type == META else None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Watch everything that runs inside."""
        with ExitStack() as stack:
            stack.enter_context(_plain_kernels())
            stack.enter_context(_wrapped_module_call(self._run_module))
            stack.enter_context(_FunctionMode(self))
            stack.enter_context(_DispatchMode(self))
            yield

    def _run_module(self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any) -> Any:
        call = Call(module, type(module).__name__, self._clock, shapes_of((args, kwargs)))
        if self._stack:
            self._stack[-1].parts.append(call)
        elif self.root is None:
            self.root = call
        outer, self._function = self._function, None
        self._stack.append(call)
        try:
            output = original(module, *args, **kwargs)
        except BaseException:
            self.failed = self.failed or call
            raise
        else:
            self._finish(call, output)
        finally:
            self._stack.pop()
            self._function = outer
        return output

    def run_function(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a torch function that a module's own code called."""
        if self._function is not None or not self._stack:
            return function(*args, **kwargs)
        call = Call(None, _function_name(function), self._clock)
        self._function = call
        try:
            output = function(*args, **kwargs)
        except BaseException:
            call.input_shapes = shapes_of((args, kwargs))
            self.failed_function = call
            raise
        finally:
            self._function = None
        if call.work.operators:
            call.input_shapes = shapes_of((args, kwargs))
            call.settings = call_settings(kwargs)
            self._finish(call, output)
            self._stack[-1].parts.append(call)
        return output

    def saw(self, op: Operator, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Note that an operator ran in the current call."""
        self._clock += 1
        for tensor in _flat(args):
            if id(tensor) in self.watched:
                self.touched.add(id(tensor))
        if op.fresh:
            for tensor in _flat((output,)):
                self._births[_storage(tensor)] = self._clock
        call = self._function or self._direct_call(op, args, kwargs)
        if call is None:
            return
        call.work.operators.add(op)
        if op.mutates:
            call.mutated.update(_storage(tensor) for tensor in _flat(args[:1]))
        if op.macs is not None:
            call.work.macs += op.macs(*args, **kwargs, out_val=output)
            call.work.counted = True
        elif op.uncounted:
            call.work.uncounted.append(op.name)
        if call is not self._function:
            self._finish(call, output)

    def _direct_call(self, op: Operator, args: Any, kwargs: dict[str, Any]) -> Call | None:
        """Return a new part of the running module for an operator that no function called, as `torch.ops.lib.op`."""
        if not self._stack:
            return None
        call = Call(None, op.name.strip("_"), self._clock - 1, shapes_of((args, kwargs)))
        self._stack[-1].parts.append(call)
        return call

    def _finish(self, call: Call, output: object) -> None:
        if self._is_one_row(call):
            _absorb_functions(call)
        storages = {_storage(tensor): tensor for tensor in tensors_in(output)}
        fresh = {key for key in storages if self._births.get(key, _NOT_BORN_HERE) > call.started}
        call.output_shapes = shapes_of(output)
        call.output_bytes = sum(_bytes(storages[key]) for key in fresh)
        call.in_place = any(key in call.mutated for key in storages.keys() - fresh)
        call.finished = True
        self.failed = self.failed_function = None  # a failure inside was handled by the model

    def _is_one_row(self, call: Call) -> bool:
        """Tell whether what the functions in a call did is its own work: a module that called no other.

        The model itself is one row only if it is a layer of torch's: of any other one wants to see what it does.
        """
        if call.module is None or any(part.module for part in call.parts):
            return False
        return call is not self.root or module_family(type(call.module)) is not None


def _absorb_functions(call: Call) -> None:
    for part in call.parts:
        call.work.add(part.work)
        call.mutated |= part.mutated
    call.parts.clear()


class _DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves the base untyped
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.recorder = recorder

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would import torch._dynamo, a second of start-up

    def __torch_dispatch__(self, func: Op, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        op = operator(func)
        if op.composite and op.macs is None:
            with self:  # under inference mode they come whole
                output = func.decompose(*args, **kwargs)
            if output is not NotImplemented:
                return output
        checks = self.recorder.checks
        if checks is not None:
            checks.before(op.name, args)
        output = func(*args, **kwargs)
        if checks is not None:
            checks.after(op.name, args, output)
        self.recorder.saw(op, args, kwargs, output)
        return output


class _FunctionMode(TorchFunctionMode):
    """Names functions, and makes tensors that a forward creates without a device on the trace's device."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self.constructors = _device_constructors()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        if func in self.constructors and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": self.recorder.device}
        return self.recorder.run_function(func, args, kwargs)


@contextmanager
def _wrapped_module_call(run: Callable[..., Any]) -> Iterator[None]:
    original = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return run(original, module, args, kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign] # put back below
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Run attention and compiled code operator by operator, where a fused kernel would hide the work."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    dynamo = sys.modules.get("torch._dynamo")
    try:
        with torch.compiler.set_stance("force_eager") if dynamo is not None else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yield the tensors of a nested output: tuples, lists, dicts and objects with attributes such as dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from tensors_in(getattr(value, name, None))


def shapes_of(value: object) -> tuple[Shape, ...]:
    """Return the shapes of all tensors in a nested value; a lazy layer's parameters have none yet."""
    return tuple(tuple(tensor.shape) for tensor in tensors_in(value) if not is_lazy(tensor))


def _flat(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (item for item in value if isinstance(item, Tensor))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else id(tensor)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _function_name(function: Any) -> str:
    name = getattr(function, "__name__", "") or type(function).__name__
    if name == "__get__":
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    if not name.startswith("__"):
        return name.strip("_") if name.startswith("_") else name
    plain = name.strip("_")
    in_place = plain.startswith("i") and hasattr(Tensor, f"__{plain[1:]}__") and plain != "invert"
    if in_place:
        return f"{plain[1:]}_"
    return plain[1:] if plain.startswith("r") and hasattr(Tensor, f"__{plain[1:]}__") else plain
