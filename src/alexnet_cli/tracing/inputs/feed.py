"""Tensors to feed a model with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import torch
from msgspec import UNSET, Struct
from torch import Tensor, nn

from alexnet_cli.errors import UsageError, first_line
from alexnet_cli.report import Input
from alexnet_cli.tape import Shape
from alexnet_cli.targets.example import Example, argument_names
from alexnet_cli.targets.inputs import InputSpec, InputValue
from alexnet_cli.torch_insides import ConvNd
from alexnet_cli.tracing.devices import out_of_memory
from alexnet_cli.tracing.meta.assumed import TOKEN, ordinary
from alexnet_cli.units import shape as cross

_COLOURS = 3
_MOST_TOKENS = 100


def model_dtype(model: nn.Module) -> torch.dtype:
    """Return the dtype of the model's first floating-point parameter, float32 where it has none."""
    dtypes = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(dtypes, torch.float32)


def settle_sides(
    said: Sequence[InputSpec | InputValue], model: nn.Module, known: Sequence[InputSpec] | None
) -> list[InputSpec | InputValue]:
    """Turn a lone number into a square image with the channels that the model takes, or else into a vector."""
    channels = known[0].shape[0] if known else _first_channels(model)
    return [
        each if isinstance(each, InputValue) else each.as_vector() if channels is None else each.as_image(channels)
        for each in said
    ]


class Fed(Struct, frozen=True):
    """What forward is called with: `inputs` describes the tensors in it, `specs` are their shapes without the batch.

    `specs` is empty where arguments are more than tensors. `given` has the values that the caller gave, which tensors
    on `meta` lack. `is_prompt` tells that it is a text of the length that was asked for, to which tokens are added.
    """

    inputs: tuple[Input, ...]
    args: list[Any]
    kwargs: dict[str, Any]
    batch_size: int | None
    specs: list[InputSpec]
    given: Example | None = None
    is_prompt: bool = False


def from_specs(
    specs: list[InputSpec], batch_size: int | None, model: nn.Module, device: torch.device, *, found: bool
) -> Fed:
    """Return tensors of these shapes.

    Raises:
        UsageError: a tensor of that size cannot be.
    """
    inputs = with_batch(specs, batch_size, model_dtype(model), found=found)
    own = None if specs and all(spec.whole for spec in specs) else batch_size
    return Fed(inputs, *Values(model).tensors(inputs, device, specs), own, specs, values_said(specs))


def values_said(specs: Sequence[InputSpec]) -> Example | None:
    """Return the values that fill the inputs, one for each that has one; the others are on `meta`."""
    values = [_values_of(spec) for spec in specs]
    if all(value.is_meta for value in values):
        return None
    named = {spec.name: value for spec, value in zip(specs, values, strict=True) if spec.name is not None}
    return Example(tuple(value for spec, value in zip(specs, values, strict=True) if spec.name is None), named)


def _values_of(spec: InputSpec) -> Tensor:
    """Return the values of one sample, the one that all elements have, or a tensor on `meta` if neither is said."""
    if spec.values is not None:
        return torch.tensor(spec.values).reshape(spec.shape)
    return torch.empty(1, device="meta") if spec.fill is None else torch.tensor([spec.fill])


def from_example(example: Example, batch_size: int | None, model: nn.Module, device: torch.device) -> Fed:
    """Return the arguments that the caller gave, on a device and with a batch of `batch_size`."""
    args, kwargs = example.on(device, batch_size)
    settled = Example(tuple(args), kwargs)
    inputs = described(settled, model)
    first, usual = 0 if settled.batch_size is None else 1, str(model_dtype(model)).removeprefix("torch.")
    dtypes = (None if given.dtype == usual else given.dtype for given in inputs)
    specs = [InputSpec(given.shape[first:], dtype, given.name) for given, dtype in zip(inputs, dtypes, strict=True)]
    return Fed(inputs, args, kwargs, settled.batch_size, specs if settled.is_flat else [], example)


def described(example: Example, model: nn.Module) -> tuple[Input, ...]:
    """Describe all tensors in the arguments, each by the path that leads to it."""
    names = argument_names(model)
    return tuple(_described(keys, tensor, names) for keys, tensor in example.tensors())


def _described(keys: tuple[str, ...], tensor: Tensor, names: Sequence[str]) -> Input:
    """Describe a tensor; one that is an argument by position has no name, one inside an argument a path."""
    first, *inside = keys
    if first.isdigit():
        named = names[int(first)] if int(first) < len(names) else first
        name = ".".join((named, *inside)) if inside else None
    else:
        name = ".".join(keys)
    return Input(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), found=False, name=name)


def with_batch(
    specs: Sequence[InputSpec], batch_size: int | None, dtype: torch.dtype, *, found: bool
) -> tuple[Input, ...]:
    """Put the batch in front of each shape; a `batch_size` of None means that the shapes are whole."""
    default = str(dtype).removeprefix("torch.")
    return tuple(
        Input(
            _of_batch(spec, batch_size),
            spec.dtype or default,
            found,
            spec.name,
            UNSET if spec.values is None else spec.values,
            spec.shape[0] if spec.stacked else UNSET,
        )
        for spec in specs
    )


def _of_batch(spec: InputSpec, batch_size: int | None) -> Shape:
    if batch_size is None or spec.whole:
        return spec.shape
    return (batch_size * spec.shape[0], *spec.shape[1:]) if spec.stacked else (batch_size, *spec.shape)


class Values:
    """What the elements of inputs on a real device are, where their specs do not say: what is ordinary for a model.

    That is random floats, ids of tokens that are no special ones, and ones in masks; other integers are zeros.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def tensors(
        self, inputs: Sequence[Input], device: torch.device, specs: Sequence[InputSpec] = ()
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the positional and keyword arguments.

        Raises:
            UsageError: a tensor of that size cannot be, or not with these values.
        """
        names = [given.name or name for given, name in zip_longest(inputs, argument_names(self._model)) if given]
        each = zip_longest(inputs, specs[: len(inputs)], names[: len(inputs)])
        tensors = [(given.name, self.tensor(given, device, spec, name or "")) for given, spec, name in each]
        args = [tensor for name, tensor in tensors if name is None]
        return args, {name: tensor for name, tensor in tensors if name is not None}

    def tensor(self, given: Input, device: torch.device, spec: InputSpec | None, name: str) -> Tensor:
        """Return the tensor of an input that is called so.

        Raises:
            UsageError: a tensor of that size cannot be, or not with these values.
        """
        dtype: torch.dtype = getattr(torch, given.dtype)
        try:
            if device.type == "meta":
                return torch.empty(given.shape, dtype=dtype, device=device)
            with torch.device(device):
                return self._filled(spec or InputSpec(), name, given.shape, dtype)
        except (RuntimeError, OverflowError, TypeError) as error:
            if out_of_memory(error):
                raise
            said = "a dimension is too large" if isinstance(error, TypeError) else first_line(error)
            raise UsageError(f"an input of {cross(given.shape)} {given.dtype} cannot be made: {said}") from error

    def _filled(self, spec: InputSpec, name: str, size: Shape, dtype: torch.dtype) -> Tensor:
        if spec.values is not None:
            return torch.tensor(spec.values, dtype=dtype).reshape(spec.shape).expand(size).clone()
        if spec.fill is not None:
            return torch.full(size, spec.fill, dtype=dtype)
        if spec.below is not None:
            return torch.randint(spec.below, size, dtype=dtype)
        if dtype.is_floating_point or dtype.is_complex:
            return torch.rand(size, dtype=dtype)
        usual = ordinary(name.lower(), dtype)
        if usual is TOKEN:
            tokens = torch.tensor(ordinary_tokens(self._model), dtype=dtype)
            return tokens[torch.randint(len(tokens), size)]
        return torch.full(size, bool(usual), dtype=dtype)


def ordinary_tokens(model: nn.Module) -> list[int]:
    """Return ids from 1 up that every table of a model has, and that its config does not name as special.

    Where it has no layer with a table, any of its matrices may be one.
    """
    layers = (each for each in model.modules() if isinstance(each, (nn.Embedding, nn.EmbeddingBag)))
    tables = [each.num_embeddings for each in layers]
    matrices = (each.shape[0] for each in model.parameters() if each.ndim == 2)  # noqa: PLR2004 - a matrix has two
    ids = range(1, min((_MOST_TOKENS, *(tables or matrices))))
    special = _special_tokens(getattr(model, "config", None))
    return [each for each in ids if each not in special] or list(ids) or [0]


def _special_tokens(config: Any) -> set[int]:
    """Return the ids that a config names (`pad_token_id`, `image_token_index`), in its parts too."""
    settings = config if isinstance(config, Mapping) else getattr(config, "__dict__", {})
    named = (value for key, value in settings.items() if re.search(r"token_(id|index)$", str(key)))
    own = {each for value in named for each in (value if isinstance(value, (list, tuple)) else (value,))}
    parts = (part for key, part in settings.items() if str(key).endswith("_config"))
    return {each for each in own if isinstance(each, int)}.union(*map(_special_tokens, parts))


def _first_channels(model: nn.Module) -> int | None:
    """Return the channels of the images that a model takes, None where its first convolution is not one of images."""
    first = first_convolution(model)
    return image_channels(first) if isinstance(first, nn.Conv2d) else None


def first_convolution(model: nn.Module) -> ConvNd | None:
    """Return the convolution that a model registers first, None if it has none."""
    return next((module for module in model.modules() if isinstance(module, ConvNd)), None)


def image_channels(layer: ConvNd) -> int:
    """Return the channels of a convolution's images: those of a colour image where a lazy one takes any."""
    return layer.in_channels or _COLOURS


def count_bytes(tensors: Any) -> int:
    """Return the bytes of all distinct tensors."""
    distinct = {id(tensor): tensor for tensor in tensors}
    return sum(tensor.numel() * tensor.element_size() for tensor in distinct.values())
