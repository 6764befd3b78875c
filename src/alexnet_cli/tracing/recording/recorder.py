"""Watches a run: every module call and every operator, with the module that ran it.

`nn.Module.__call__` is wrapped while recording, so that a module's own hooks run inside its call. A dispatch mode sees
the operators, and a function mode names what the user's code called (`log_softmax`) if several operators do the work.
Of a tensor only its shape and its storage's identity are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import get_ident
from types import FrameType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alexnet_cli.targets.example import Example
from alexnet_cli.torch_insides import DisableTorchFunction, FakeResults, buffers_of, no_modes, parameters_of, replaced
from alexnet_cli.tracing.meta.checks import MetaChecks
from alexnet_cli.tracing.options import META
from alexnet_cli.tracing.recording.calls import Call, call_settings, is_one_row, is_torch_leaf
from alexnet_cli.tracing.recording.conditions import recording_conditions
from alexnet_cli.tracing.recording.modes import FunctionMode, OperatorMode, function_name, wrapped_module_call
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.purposes import Purposes
from alexnet_cli.tracing.recording.single import Single, single_function
from alexnet_cli.tracing.recording.sources import SourceRecorder
from alexnet_cli.tracing.recording.taping import Place, TapeRecorder
from alexnet_cli.tracing.recording.tensors import bytes_of, shapes_of_arguments, storage_of, tensors_in
from alexnet_cli.tracing.underway import under_way


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
        self.source: SourceRecorder | None = None
        if self.tape is not None and model is not None and source is not None:
            self.source = SourceRecorder(model, source, self.tape)
        self._stack: list[Call] = []
        self._current: Call | None = None  # the call that the operators running now belong to
        self._in_function = False
        self._functions = 0
        self._threads: set[int] = set()
        self._clock = 0
        self._births: dict[int, int] = {}
        self._by_cpu: dict[str, None] = {}
        self.checks = MetaChecks(storage_of) if device.type == META else None
        self._results = None if device.type == META else FakeResults.of_active_mode()
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
        if self.checks is not None:
            with no_modes():  # between the parts of a run it would be recorded
                self.checks.feed(model, args, kwargs, given)

    def beside(self, model: nn.Module | None = None, *, taping: bool = False) -> Recorder:
        """Return a recorder for what is no part of this run, under the same rules for shapes and values."""
        other = Recorder(self.device, model, taping=taping)
        other.checks = self.checks
        return other

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Watch everything that runs inside."""
        conditions = recording_conditions(self.device, as_on_cpu=self.as_on_cpu)
        with under_way(self), conditions, wrapped_module_call(self._watching), self._modes():
            yield

    @contextmanager
    def _modes(self) -> Iterator[None]:
        """Watch the functions and operators of this thread, as torch's modes are per thread."""
        thread = get_ident()
        operators = self.operator_mode(self._saw, self.checks, self._results)
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
            source = self.source
            around = None if source is None else self._asked(sys._getframe(1))  # noqa: SLF001 - what there is to see frames
            self._enter(call)
            outer = self._current, self._in_function
            self._current, self._in_function = call if is_torch_leaf(module) else None, False
            single = None if self._current is None else single_function(call, args, kwargs)
            try:
                if single is None:
                    output = original(module, *args, **kwargs)
                    with DisableTorchFunction():
                        self._finish(call, output)
                else:
                    output = self._run_single(single, call, original, args)
                if source is not None:
                    source.end(around, output)
            except BaseException:
                self.failed = self.failed or call
                raise
            finally:
                self._stack.pop()
                self._current, self._in_function = outer
                if source is not None:
                    source.leave(around)
            return output

        self._edge = run_module.__code__
        return run_module

    def _run_single(self, single: Single, call: Call, layer: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Run a layer that runs a single function."""
        self._functions += 1
        self._in_function = True
        with DisableTorchFunction():
            try:
                output = layer(call.module, *args)
            except BaseException:
                self.failed_function = single.call(call, self._clock)
                raise
            self._finish(call, output)
        return output

    def _asked(self, frame: FrameType | None, operator: str | None = None) -> int | None:
        """Note that the user's source may have made a call, outside of which is nothing; return the call around it."""
        if self.source is None:
            return None
        return self.source.begin(frame, self._edge, operator) if self._stack else self.source.current

    @contextmanager
    def within(self, module: nn.Module) -> Iterator[None]:
        """Take what runs inside for the work of a module whose forward is run without calling it."""
        self._stack.append(Call(module, type(module).__name__, self._clock))
        try:
            with replaced(self, _current=None, _in_function=False):
                yield
        finally:
            self._stack.pop()

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
        source = self.source if closed is None else None
        around = None if source is None else self._asked(sys._getframe(1))  # noqa: SLF001 - as above
        try:
            output = function(*args, **kwargs)
            if source is not None:
                source.end(around, output)
        except BaseException:
            self.failed_function = Call(None, function_name(function), self._clock, shapes_of_arguments(args, kwargs))
            raise
        finally:
            self._in_function = False
            self._current = closed
            if source is not None:
                source.leave(around)
        if closed is None and call.operators:
            call.input_shapes = shapes_of_arguments(args, kwargs)
            call.settings = call_settings(kwargs) if kwargs else None
            self._finish(call, output)
            self._stack[-1].parts.append(call)
        return output

    def _saw(self, op: Operator, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Note that an operator ran in the current call."""
        self._clock += 1
        read, storages = op.read_in(args, kwargs), [storage_of(tensor) for tensor in tensors_in(output)]
        self._look_at(op, read, storages)
        macs = op.macs(*args, **kwargs, out_val=output) if op.macs is not None else None
        if self.tape is not None:
            source = None if self._current is not None or self._in_function else self.source
            around = None if source is None else self._asked(sys._getframe(1), op.name)  # noqa: SLF001 - as above
            self.tape.saw(op, args, kwargs, output, macs if macs is not None or op.uncounted else 0)
            if source is not None:
                source.end(around, output)
                source.leave(around)
        call = self._current or self._direct_call(op, args, kwargs)
        if call is None:
            return
        call.operators.add(op)
        if op.mutates:
            call.mutated |= {storage_of(tensor) for tensor in tensors_in(args[:1])}
        if macs is not None:
            call.macs += macs
            call.counted = True
        elif op.uncounted:
            call.uncounted.append(op.name)
        self.purposes.note(op, read, storages, call)
        if call is not self._current:
            self._finish(call, output)

    def _look_at(self, op: Operator, read: Sequence[Tensor], made: Sequence[int]) -> None:
        """Note which parameters an operator read, and which storages it created."""
        self.touched.update(self.watched.intersection(map(id, read)))
        if op.fresh:
            self._births.update(dict.fromkeys(made, self._clock))

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
        if call.parts and is_one_row(call, self.root):
            call.absorb_parts()
        made = tensors_in(output)
        allocated: dict[int, int] = {}
        for tensor in made:
            storage = storage_of(tensor)
            if self._births.get(storage, -1) > call.started:
                allocated[storage] = bytes_of(tensor)
            elif storage in call.mutated:
                call.in_place = True
        call.output_shapes = tuple([tuple(tensor.shape) for tensor in made])
        call.output_bytes = sum(allocated.values())
        call.finished = True
        self.failed = self.failed_function = None  # the model handled a failure inside
