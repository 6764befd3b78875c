"""Watches a run: every module call and every operator, with the module that ran it.

`nn.Module.__call__` is wrapped while recording, so that a module's own hooks run inside its call. A dispatch mode sees
the operators, and a function mode names what the user's code called (`log_softmax`) if several operators do the work.
Of a tensor only its shape and its storage's identity are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import get_ident
from types import FrameType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alexnet_cli.tape import Shape
from alexnet_cli.targets.example import Example, argument_names
from alexnet_cli.torch_insides import (
    DisableTorchFunction,
    buffers_of,
    has_parts_or_hooks,
    imports_unwatched,
    parameters_of,
)
from alexnet_cli.tracing.meta.checks import MetaChecks
from alexnet_cli.tracing.meta.constants import known_values
from alexnet_cli.tracing.meta.stand_ins import fused_attention
from alexnet_cli.tracing.options import META
from alexnet_cli.tracing.recording.calls import Call, call_settings, is_torchs_own, module_family
from alexnet_cli.tracing.recording.modes import (
    FunctionMode,
    OperatorMode,
    calm_collector,
    function_name,
    plain_kernels,
    room_for_our_calls,
    wrapped_module_call,
)
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.purposes import Purposes
from alexnet_cli.tracing.recording.sources import SourceRecorder
from alexnet_cli.tracing.recording.taping import Place, TapeRecorder
from alexnet_cli.tracing.recording.tensors import bytes_of, shapes_of_arguments, storage_of, tensors_among, tensors_in
from alexnet_cli.tracing.underway import under_way

_NOT_BORN_HERE = -1


class Recorder:
    """Records one forward. Use `recording()` around it, then read `root`, `failed` and `touched`.

    `touched` holds the ids of the parameters that operators read, `purposes` what they are used for. `failed` is the
    innermost module call that raised, `failed_function` the function in it; with `taping`, `tape` has every operator.
    With `source`, `source` has the calls that the user's own source made; `as_on_cpu` runs the CPU's operators and
    notes what these allocate.
    """

    operator_mode: ClassVar[type[OperatorMode]] = OperatorMode

    def __init__(
        self,
        device: torch.device,
        model: nn.Module | None = None,
        *,
        taping: bool = False,
        source: Sequence[str] | None = None,
        as_on_cpu: bool = False,
    ) -> None:
        self.device = device
        self.as_on_cpu = as_on_cpu
        parameters = [] if model is None else parameters_of(model)
        self.watched = {id(tensor) for tensor in parameters}
        self.purposes = Purposes(parameters, () if model is None else buffers_of(model))
        self.touched: set[int] = set()
        self.root: Call | None = None
        self.failed: Call | None = None
        self.failed_function: Call | None = None
        self.tape = self._taping() if taping else None
        self.source = None if source is None or model is None or not taping else SourceRecorder(model, source)
        self._stack: list[Call] = []
        self._current: Call | None = None  # the call that the operators running now belong to
        self._in_function = False
        self._functions = 0
        self._threads: set[int] = set()
        self._clock = 0
        self._births: dict[int, int] = {}
        self._by_cpu: dict[str, None] = {}
        self.checks = MetaChecks(storage_of) if device.type == META else None
        self._edge = Recorder._watching.__code__  # until modules run: no frame has it

    def _taping(self) -> TapeRecorder:
        if not self.as_on_cpu:
            return TapeRecorder(self._where)
        from alexnet_cli.tracing.cpu.kernels import workspace_of  # most runs need none of it

        return TapeRecorder(self._where, workspace_of)

    @property
    def operators(self) -> int:
        """Return how many operators have run so far."""
        return self._clock

    @property
    def notes(self) -> list[str]:
        """Say what was done differently from what the model asked of torch."""
        assumed = self.checks and self.checks.assumed.note()
        shapes = f"torch cannot tell the shapes of {', '.join(self._by_cpu)} without values: the CPU told them"
        return [*([assumed] if assumed else []), *([shapes] if self._by_cpu else [])]

    def feed(
        self, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], given: Example | None = None
    ) -> None:
        """Assume what is ordinary of the values of a model's inputs, which `meta` lacks; `given` may have them."""
        if self.checks is None:
            return
        names = argument_names(model)
        named = _by_name({**dict(zip(names, args, strict=False)), **kwargs})
        real = {} if given is None else _by_name({**dict(zip(names, given.args, strict=False)), **given.kwargs})
        values = {name: tensor for name, tensor in real.items() if not tensor.is_meta}
        self.checks.assumed.assume((name, tensor, values.get(name)) for name, tensor in named.items())
        for tensor in named.values():
            self.checks.forget(tensor)  # its memory may be that of a range in a run before
        for tensor, value in known_values():
            self.checks.elements.keep(tensor, value)
        for name, value in values.items():
            if name in named:
                self.checks.elements.keep(named[name], _for_all(value, named[name]))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Watch everything that runs inside."""
        with ExitStack() as stack:
            stack.enter_context(under_way(self))
            stack.enter_context(calm_collector())
            stack.enter_context(imports_unwatched())
            stack.enter_context(room_for_our_calls())
            stack.enter_context(plain_kernels())
            if self.device.type == META:
                stack.enter_context(fused_attention(dropout=not self.as_on_cpu))
            if self.device.type == META and self.as_on_cpu:
                from alexnet_cli.tracing.cpu.recurrent import recurrent_as_on_cpu

                stack.enter_context(recurrent_as_on_cpu())
            stack.enter_context(wrapped_module_call(self._watching))
            stack.enter_context(self._modes())
            yield

    @contextmanager
    def _modes(self) -> Iterator[None]:
        """Watch the functions and operators of this thread, as torch's modes are per thread."""
        thread = get_ident()
        operators = self.operator_mode(self._saw, self.checks)
        made = None if self.checks is None else self.checks.elements.made_of
        with FunctionMode(self._run_function, self.device, made), operators:
            self._threads.add(thread)
            try:
                yield
            finally:
                self._threads.discard(thread)
                self._by_cpu.update(operators.by_cpu)

    def _watching(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the replacement of `nn.Module.__call__` while recording."""

        def run_module(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            if get_ident() not in self._threads:
                with self._modes():
                    return run_module(module, *args, **kwargs)
            with DisableTorchFunction():  # our function mode would take looking at a tensor for a call
                call = Call(module, type(module).__name__, self._clock, shapes_of_arguments(args, kwargs))
            call.training = getattr(module, "training", True)
            around = None if self.source is None else self._asked(sys._getframe(1))  # noqa: SLF001 - as above
            self._enter(call)
            outer = self._current, self._in_function
            self._current, self._in_function = call if _is_closed(module) else None, False
            try:
                output = original(module, *args, **kwargs)
                with DisableTorchFunction():
                    self._finish(call, output)
                if self.source is not None:
                    self._answered(around, output)
            except BaseException:
                self.failed = self.failed or call
                raise
            finally:
                self._stack.pop()
                self._current, self._in_function = outer
                if self.source is not None:
                    self._left(around)
            return output

        self._edge = run_module.__code__
        return run_module

    def _asked(self, frame: FrameType | None, operator: str | None = None) -> int | None:
        """Note that the user's source may have made a call, outside of which is nothing; return the call around it."""
        if self.source is None or self.tape is None:
            return None
        if not self._stack or self.tape.phase != "forward":
            return self.source.current
        return self.source.begin(frame, self._edge, self.tape.position, operator)

    def _answered(self, around: int | None, output: object) -> None:
        """Note what the call returned that the user's source made, if it did."""
        if self.source is not None and self.tape is not None:
            self.source.end(around, self.tape.position, output, self.tape.numbers)

    def _left(self, around: int | None) -> None:
        """Go back to the call around."""
        if self.source is not None and self.tape is not None:
            self.source.leave(around, self.tape.position)

    @contextmanager
    def within(self, module: nn.Module) -> Iterator[None]:
        """Take what runs inside for the work of a module whose forward is run without calling it."""
        outer = self._current, self._in_function
        self._current, self._in_function = None, False
        self._stack.append(Call(module, type(module).__name__, self._clock))
        try:
            yield
        finally:
            self._stack.pop()
            self._current, self._in_function = outer

    def _enter(self, call: Call) -> None:
        if self._stack:
            above = self._stack[-1]
            above.parts.append(call)
            above.calls_modules = True
        elif self.root is None:
            self.root = call
        self._stack.append(call)

    def _run_function(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Run a torch function; if a module's own code called it, it becomes a part of the module's call."""
        if self._in_function or not self._stack:
            return function(*args, **kwargs)
        self._functions += 1
        self._in_function = True
        closed = self._current
        call = self._current = closed or Call(None, function_name(function), self._clock)
        noting = self.source is not None and closed is None
        around = self._asked(sys._getframe(1)) if noting else None  # noqa: SLF001 - what there is to see frames
        try:
            output = function(*args, **kwargs)
            if noting:
                self._answered(around, output)
        except BaseException:
            shapes = shapes_of_arguments(args, kwargs)
            self.failed_function = Call(None, function_name(function), self._clock, shapes)
            raise
        finally:
            self._in_function = False
            self._current = closed
            if noting:
                self._left(around)
        if closed is None and call.operators:
            call.input_shapes = shapes_of_arguments(args, kwargs)
            call.settings = call_settings(kwargs) if kwargs else None
            self._finish(call, output)
            self._stack[-1].parts.append(call)
        return output

    def _saw(self, op: Operator, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Note that an operator ran in the current call."""
        self._clock += 1
        self._look_at(op, args, output)
        macs = op.macs(*args, **kwargs, out_val=output) if op.macs is not None else None
        if self.tape is not None:
            alone = self.source is not None and self._current is None and not self._in_function
            around = self._asked(sys._getframe(1), op.name) if alone else None  # noqa: SLF001 - as above
            self.tape.saw(op, args, kwargs, output, macs if macs is not None or op.uncounted else 0)
            if alone:
                self._answered(around, output)
                self._left(around)
        call = self._current or self._direct_call(op, args, kwargs)
        if call is None:
            return
        call.operators.add(op)
        if op.mutates:
            call.mutated |= {storage_of(tensor) for tensor in tensors_among(args[:1])}
        if macs is not None:
            call.macs += macs
            call.counted = True
        elif op.uncounted:
            call.uncounted.append(op.name)
        self.purposes.follow(op, args, kwargs, output, call)
        if call is not self._current:
            self._finish(call, output)

    def _look_at(self, op: Operator, args: Any, output: Any) -> None:
        """Note which parameters an operator read, and which storages it created."""
        for given in tensors_among(args) if op.lists else args:
            if id(given) in self.watched:
                self.touched.add(id(given))
        if op.fresh:
            for tensor in tensors_in(output):
                self._births[storage_of(tensor)] = self._clock

    def _where(self) -> Place:
        function = self._functions if self._in_function else None
        call = None if self.source is None else self.source.current
        return Place(self._stack[-1] if self._stack else None, self._current, function, call)

    def _direct_call(self, op: Operator, args: Any, kwargs: dict[str, Any]) -> Call | None:
        """Return a new part of the running module for an operator called directly, as `torch.ops.lib.op`."""
        if not self._stack:
            return None
        call = Call(None, op.name.strip("_"), self._clock - 1, shapes_of_arguments(args, kwargs))
        self._stack[-1].parts.append(call)
        return call

    def _finish(self, call: Call, output: object) -> None:
        if call.parts and self._is_one_row(call):
            call.absorb_parts()
        shapes: list[Shape] = []
        allocated: dict[int, int] = {}
        for tensor in tensors_in(output):
            shapes.append(tuple(tensor.shape))
            storage = storage_of(tensor)
            if self._births.get(storage, _NOT_BORN_HERE) > call.started:
                allocated[storage] = bytes_of(tensor)
            elif storage in call.mutated:
                call.in_place = True
        call.output_shapes = tuple(shapes)
        call.output_bytes = sum(allocated.values())
        call.finished = True
        self.failed = self.failed_function = None  # the model handled a failure inside

    def _is_one_row(self, call: Call) -> bool:
        """Tell whether a call is one row, with the work of its functions: a module that called no other module.

        The model itself is one row only if it is one of torch's layers; otherwise its functions are shown.
        """
        if call.module is None or call.calls_modules:
            return False
        return call is not self.root or module_family(type(call.module)) is not None


def _by_name(arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors among named arguments, and those that a dict among them holds."""
    inside = [value for value in arguments.values() if isinstance(value, dict)]
    pairs = [(str(name), value) for each in (arguments, *inside) for name, value in each.items()]
    return {name: value for name, value in pairs if isinstance(value, Tensor)}


def _is_closed(module: nn.Module) -> bool:
    """Tell whether a module is one of torch's layers and calls no other, so that its functions' work is its own.

    Known before it runs, this saves a `Call` for each of its functions.
    """
    return not has_parts_or_hooks(module) and is_torchs_own(type(module))


def _for_all(value: Tensor, tensor: Tensor) -> Tensor:
    """Return the values of a batch, where those of one sample are given."""
    return value.expand(tensor.shape) if value.shape == tensor.shape[1:] else value
