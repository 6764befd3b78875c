"""Halves the outputs of one layer, and makes the layers after it fit as a forward on `meta` reaches them.

How the layers are connected need not be known: a layer that gets another width than in the unchanged model is resized
to take it. If the forward fails or returns another shape, more than that would have to change.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from alexnet_cli.report import Report
from alexnet_cli.tape import Shape
from alexnet_cli.targets.subject import Subject
from alexnet_cli.torch_insides import DisableTorchFunction, own_buffers, own_parameters
from alexnet_cli.tracing.build import build
from alexnet_cli.tracing.inputs.feed import Values
from alexnet_cli.tracing.narrowing import Refusal
from alexnet_cli.tracing.narrowing.resizing import Fixed, axis_of, outputs_of, put_out, take_in
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.tensors import shapes_of, shapes_of_arguments

SMALLEST = 4
"""The fewest outputs to halve: less would leave a single one, which broadcasts to any width."""


def load_halved(subject: Subject, path: str, report: Report, options: TraceOptions, undo: ExitStack) -> nn.Module:
    """Return the subject's model on `meta` with half the outputs of the layer at `path`; `undo` restores it.

    Raises:
        Refusal: the change is impossible.
        TargetError: the target's code fails.
    """
    model = build(subject, torch.device(META), options, notify=lambda _: None)
    fitting = _Fitting(model, report, undo)
    if any(is_lazy(parameter) for parameter in model.parameters()):
        fitting.run()
    fitting.halve(path)
    return model


class _Fitting:
    """A model whose layers are resized; `report` is the unchanged model's."""

    def __init__(self, model: nn.Module, report: Report, undo: ExitStack) -> None:
        self.model = model
        self.report = report
        self.undo = undo
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.paths = {id(module): path for path, module in reversed(self.modules.items())}
        self.were = {(row.path, row.call): row.input_shapes for row in report.layers}
        self.calls: Counter[int] = Counter()
        self.holders: Counter[int] = Counter()
        self.fitted: dict[int, int] = {}
        self.refusal: Refusal | None = None

    def halve(self, path: str) -> None:
        """Halve the outputs of a layer, then run the model and resize every layer that takes them in."""
        layer = self.modules.get(path)
        width = None if layer is None else outputs_of(layer)
        if layer is None or width is None:
            raise Refusal("other_kind", type=type(layer).__name__)
        if width < SMALLEST:
            raise Refusal("too_few", width=width)
        self.holders = Counter(key for module in self.model.modules() for key in _parameters_of(module))
        self._change(layer, put_out, width // 2)
        with self._watching():
            returned = self.run()
        if returned != self.report.layers[0].output_shapes or not self.fitted:
            raise Refusal("last_layer")

    def run(self) -> tuple[Shape, ...]:
        """Run the model and return the shapes of what it returns.

        Raises:
            Refusal: the forward fails.
        """
        device = torch.device(META)
        recorder = Recorder(device)
        inputs = self.report.run.inputs if self.report.run is not None else ()
        args, kwargs = Values(self.model).tensors(inputs, device)
        try:
            with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), recorder.recording():
                output = self.model(*args, **kwargs)
        except Exception as error:
            raise self.refusal or Refusal("does_not_fit", at=self._where(recorder)) from error
        if self.refusal is not None:  # the model's own code caught it
            raise self.refusal
        return shapes_of(output)

    def _where(self, recorder: Recorder) -> str:
        """Return the path of the row that failed: a module, or a function that its code called."""
        module, function = recorder.failed, recorder.failed_function
        path = self.paths.get(id(module.module), "") if module is not None else ""
        if module is None or function is None:
            return path
        before = sum(part.name == function.name for part in module.parts)
        name = f"{function.name}_{before}" if before else function.name
        row = f"{path}.{name}" if path else name
        return row if any(row == other.path for other in self.report.layers) else path

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        with ExitStack() as hooks:
            for module in self.model.modules():
                if isinstance(module, Fixed):
                    hooks.enter_context(module.register_forward_pre_hook(self._meet, with_kwargs=True))
            yield

    def _meet(self, layer: nn.Module, args: Any, kwargs: Any) -> None:
        """Resize a layer to fit its input, just before it runs."""
        try:
            with DisableTorchFunction():
                self._fit(layer, shapes_of_arguments(args, kwargs))
        except Refusal as refusal:
            self.refusal = self.refusal or refusal
            raise

    def _fit(self, layer: Any, shapes: tuple[Shape, ...]) -> None:
        path = self.paths[id(layer)]
        self.calls[id(layer)] += 1
        again = self.calls[id(layer)] > 1
        given, was = shapes[:1], self.were.get((path, self.calls[id(layer)]), shapes)[:1]
        axis = axis_of(layer, len(given[0])) if given else None
        if given == was or axis is None:
            if again and id(layer) in self.fitted and axis is not None:
                raise Refusal("shared_weights", at=path)
            return
        if _without(given[0], axis) != _without(was[0], axis):
            raise Refusal("does_not_fit", at=path)
        width = given[0][axis]
        if again and self.fitted.get(id(layer)) != width:
            raise Refusal("shared_weights", at=path)
        if not again:
            self._change(layer, take_in, width)
            self.fitted[id(layer)] = width

    def _change(self, layer: Any, change: Callable[[Any, int], None], width: int) -> None:
        path = self.paths[id(layer)]
        if any(self.holders[key] > 1 for key in _parameters_of(layer)):
            raise Refusal("shared_weights", at=path)
        kept = [(held, dict(held)) for held in (own_parameters(layer), own_buffers(layer), vars(layer))]
        self.undo.callback(_put_back, kept)
        try:
            change(layer, width)
        except Refusal as refusal:
            raise Refusal(refusal.key, at=path, **refusal.values) from None


def _parameters_of(module: nn.Module) -> set[int]:
    return {id(parameter) for parameter in own_parameters(module).values() if parameter is not None}


def _put_back(kept: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    for held, content in kept:
        held.clear()
        held.update(content)


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]
