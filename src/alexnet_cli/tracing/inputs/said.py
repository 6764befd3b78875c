"""What forward is called with, where the user says it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from torch import nn

from alexnet_cli.errors import UsageError, nearest
from alexnet_cli.targets.example import Example, keyword_names, parameters_of
from alexnet_cli.targets.inputs import InputSpec, InputValue
from alexnet_cli.tracing.inputs.feed import Fed, Values, described, from_specs, model_dtype, with_batch

Said = InputSpec | InputValue


def from_said(said: Sequence[Said], batch_size: int | None, model: nn.Module, device: torch.device) -> Fed:
    """Return tensors of these shapes, and other values with tensors in place of the shapes inside them.

    Raises:
        UsageError: a tensor of that size cannot be, two have one name, or forward has no such argument.
    """
    check_names([each.name for each in said if each.name is not None], model)
    specs = [each for each in said if isinstance(each, InputSpec)]
    if len(specs) == len(said):
        return from_specs(specs, batch_size, model, device, found=False)
    maker = _Maker(batch_size, model_dtype(model), device, Values(model))
    parameters = parameters_of(model) or []
    by_name = {each.name: each for each in parameters}
    unnamed = [each for each in said if each.name is None]
    places = zip_longest(unnamed, parameters[: len(unnamed)])
    args = [maker.argument(each, parameter) for each, parameter in places]
    kwargs = {each.name: maker.argument(each, by_name.get(each.name)) for each in said if each.name is not None}
    inputs = described(Example(tuple(args), kwargs), model)
    return Fed(inputs, args, kwargs, batch_size if maker.batched else None, [])


def check_names(names: Sequence[str], model: nn.Module) -> None:
    """Check that forward has these arguments.

    Raises:
        UsageError: it has not, or a name comes twice.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two inputs are named {twice!r}", "name each argument of forward once")
    known = keyword_names(model)
    unknown = [name for name in names if known is not None and name not in known]
    if unknown and known is not None:
        has = nearest(unknown[0], known) if known else "it takes no argument by name"
        raise UsageError(f"forward of {type(model).__name__} has no argument {unknown[0]!r}", has)


@dataclass
class _Maker:
    """Makes arguments; `batched` tells whether one of them has the batch in front."""

    batch_size: int | None
    dtype: torch.dtype
    device: torch.device
    values: Values
    batched: bool = False

    def argument(self, said: Said, parameter: inspect.Parameter | None) -> Any:
        """Return an argument; numbers become a tensor where forward's annotation says that it takes one."""
        name = said.name or (parameter.name if parameter else "")
        if isinstance(said, InputSpec):
            return self._tensor(said, self.batch_size, name)
        if _are_numbers(said.value) and parameter is not None and _takes_tensor(parameter):
            return torch.tensor(said.value).to(self.device)
        return self._filled(said.value, self.batch_size, name)

    def _filled(self, value: Any, batch_size: int | None, name: str) -> Any:
        """Replace the shapes in a value; those in a list are whole, as a list holds the samples one by one."""
        if isinstance(value, InputSpec):
            return self._tensor(value, batch_size, name)
        if isinstance(value, Mapping):
            return {key: self._filled(part, batch_size, str(key)) for key, part in value.items()}
        if isinstance(value, list):
            return [self._filled(part, None, name) for part in value]
        return value

    def _tensor(self, spec: InputSpec, batch_size: int | None, name: str) -> torch.Tensor:
        self.batched = self.batched or batch_size is not None
        [given] = with_batch([spec], batch_size, self.dtype, found=False)
        return self.values.tensor(given, self.device, spec, name)


def _are_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_are_numbers, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _takes_tensor(parameter: inspect.Parameter) -> bool:
    """Tell whether an argument is annotated as one tensor, such as `torch.LongTensor | None`."""
    annotation = parameter.annotation
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return "Tensor" in text and not any(word in text.lower() for word in ("list", "tuple", "sequence", "dict", "int"))
