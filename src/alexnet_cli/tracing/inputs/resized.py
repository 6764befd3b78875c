"""Other sizes for the inputs that a model is fed, whatever they come from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import torch
from msgspec.structs import replace
from torch import nn

from alexnet_cli.targets.example import Example, cut
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs.feed import Fed, from_specs
from alexnet_cli.tracing.options import Size


def with_sizes(fed: Fed, sizes: Sequence[Size], model: nn.Module, device: torch.device, *, given: bool) -> Fed:
    """Return what forward is called with, with other sizes of some axes; `given` tells that a caller gave the values.

    Raises:
        UsageError: a tensor of that size cannot be.
    """
    if fed.specs and not given:
        batched = fed.batch_size is not None
        specs = [_resized(spec, at, sizes, batched=batched) for at, spec in enumerate(fed.specs)]
        return from_specs(specs, fed.batch_size, model, device, found=any(each.found for each in fed.inputs))
    called = Example(tuple(fed.args), fed.kwargs).resized(sizes)
    values = None if fed.given is None else fed.given.resized(sizes, read_only=True)
    inputs = [
        msgspec.structs.replace(each, shape=tuple(tensor.shape))
        for each, (_, tensor) in zip(fed.inputs, called.tensors(), strict=True)
    ]
    return replace(fed, inputs=tuple(inputs), args=list(called.args), kwargs=called.kwargs, specs=[], given=values)


def _resized(spec: InputSpec, number: int, sizes: Sequence[Size], *, batched: bool) -> InputSpec:
    """Change the shape of an input, and the values of one sample where they are known."""
    before = 1 if batched and not spec.whole else 0
    for at, axis, size in sizes:
        own = axis - before
        if at == number and own >= 0:
            sample = None if spec.values is None else cut(torch.tensor(spec.values).reshape(spec.shape), own, size)
            shape = (*spec.shape[:own], size, *spec.shape[own + 1 :])
            spec = replace(spec, shape=shape, values=None if sample is None else tuple(sample.flatten().tolist()))
    return spec
