"""Receptive fields the other way: run a module on the CPU and look where the gradient of one unit is not zero.

Weights are made positive and maxima are replaced by means over the same window, so that nothing cancels and nothing is
passed over: what a unit may see is then what it does see.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Span = tuple[int, int]


@dataclass
class Ran:
    """The outputs of the leaf modules of one run, by path and number of the call, and the input."""

    given: Tensor
    outputs: dict[tuple[str, int], Tensor]

    def seen(self, path: str, call: int, place: tuple[int, ...]) -> tuple[Span | None, ...]:
        """Return the first and last input pixel that the unit at a place of an output sees, along each axis."""
        output = self.outputs[path, call]
        unit = output[(0, slice(None), *place)].sum()
        (gradient,) = torch.autograd.grad(unit, self.given, retain_graph=True)
        pixels = gradient[0].abs().sum(0).nonzero()
        if not len(pixels):
            return (None,) * (output.dim() - 2)
        return tuple((int(along.min()), int(along.max())) for along in pixels.T)


def run(model: nn.Module, shape: tuple[int, ...]) -> Ran:
    """Run a model on a random input of a shape, batch and channels first, as far as it goes."""
    model = _averaging(model.double().eval())
    for parameter in model.parameters():
        parameter.data = parameter.data.abs() + 0.1
    ran = Ran(torch.rand(shape, dtype=torch.float64, requires_grad=True), {})
    calls: Counter[str] = Counter()
    for path, module in model.named_modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(_hook(path, calls, ran))
    with suppress(RuntimeError):  # a map that has got too small: what ran before is there
        model(ran.given)
    return ran


def _hook(path, calls, ran):
    def hook(module, args, output):
        calls[path] += 1
        ran.outputs[path, calls[path]] = output

    return hook


def _averaging(module: nn.Module) -> nn.Module:
    """Replace maxima by means."""
    for name, child in module.named_children():
        setattr(module, name, _averaging(child))
    for rank, maximum in enumerate((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), 1):
        if isinstance(module, maximum):
            mean = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[rank - 1]
            return mean(module.kernel_size, module.stride, module.padding, module.ceil_mode)
    for rank, maximum in enumerate((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d), 1):
        if isinstance(module, maximum):
            return (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)[rank - 1](module.output_size)
    return module
