"""Mistakes that real devices reject and torch's `meta` kernels let pass, rejected on `meta` too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alexnet_cli.targets.example import Example, argument_names
from alexnet_cli.tracing.meta.assumed import Assumptions
from alexnet_cli.tracing.meta.constants import known_values
from alexnet_cli.tracing.meta.elements import Elements

_MATRIX_OPERANDS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2)}
_TRANSPOSED, _GROUPS = 6, 8  # (input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)


_INDICES = (torch.int64, torch.int32)


class MetaChecks:
    """Checks an operator's arguments before it runs. `assumed` and `elements` answer questions about values.

    The values of `torch.arange` are known without computing them. They are followed through views, to catch
    positions past the end of an embedding table.
    """

    def __init__(self, storage_of: Callable[[Tensor], int]) -> None:
        self.storage_of = storage_of
        self.largest: dict[int, int] = {}
        self.assumed = Assumptions(storage_of)
        self.elements = Elements(self.assumed, storage_of)

    def feed(
        self, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], given: Example | None = None
    ) -> None:
        """Assume what is ordinary of the values of a model's inputs; `given` may have them."""
        names = argument_names(model)
        named = _by_name({**dict(zip(names, args, strict=False)), **kwargs})
        real = {} if given is None else _by_name({**dict(zip(names, given.args, strict=False)), **given.kwargs})
        values = {name: tensor for name, tensor in real.items() if not tensor.is_meta}
        self.assumed.assume((name, tensor, values.get(name)) for name, tensor in named.items())
        for tensor in named.values():
            self.forget(tensor)  # its memory may be that of a range in a run before
        for tensor, value in known_values():
            self.elements.keep(tensor, value)
        for name, value in values.items():
            if name in named:
                self.elements.keep(named[name], _for_all(value, named[name]))

    def before(self, name: str, args: Any) -> None:
        """Raise what the CPU would raise.

        Raises:
            RuntimeError: dtypes or channels do not match, or indices are not integers.
            IndexError: an index is past the end of an embedding table.
        """
        if name in _MATRIX_OPERANDS:
            left, right = (args[place].dtype for place in _MATRIX_OPERANDS[name])
            if left != right:
                raise RuntimeError(
                    f"mat1 and mat2 must have the same dtype, but got {_short(left)} and {_short(right)}"
                )
        elif name == "convolution":
            _check_channels(args[0], args[1], args[_GROUPS], transposed=args[_TRANSPOSED])
            if not args[_TRANSPOSED]:
                _check_kernel(*args[:6])
        elif name == "embedding":
            if args[1].dtype not in _INDICES:
                raise RuntimeError(f"Expected indices of the scalar types long or int, but got {_short(args[1].dtype)}")
            largest = self._largest(args[1])
            if largest >= args[0].shape[0]:
                raise IndexError(f"index {largest} is out of range for {args[0].shape[0]} embeddings")

    def _largest(self, indices: Tensor) -> int:
        known = self.elements.of(indices) if indices.numel() else None
        if known is not None:
            return int(known[0].max())
        return self.largest.get(self.storage_of(indices), -1)

    def after(self, name: str, args: Any, output: Any) -> None:
        """Remember the largest value of a range, until its storage is reused."""
        if not isinstance(output, Tensor):
            return
        if name != "arange":
            if self.largest and output.dtype in _INDICES:
                self._forget_unless_view(args, output)
            return
        numbers = [value for value in args[:2] if isinstance(value, int)]
        if len(numbers) == len(args[:2]) and output.numel() and not output.is_floating_point():
            self.largest[self.storage_of(output)] = max(numbers) - 1

    def forget(self, tensor: Tensor) -> None:
        """Forget the largest value of a range whose storage a new tensor has."""
        self.largest.pop(self.storage_of(tensor), None)

    def _forget_unless_view(self, args: Any, output: Tensor) -> None:
        key = self.storage_of(output)
        if not any(isinstance(arg, Tensor) and self.storage_of(arg) == key for arg in args):
            self.largest.pop(key, None)


def _check_kernel(given: Tensor, weight: Tensor, _: Any, __: Any, padding: Any, dilation: Any) -> None:
    """Before 2.9 a kernel that is larger than the padded map makes an empty one on meta."""
    padded = [size + 2 * pad for size, pad in zip(given.shape[2:], padding, strict=False)]
    kernel = [step * (size - 1) + 1 for size, step in zip(weight.shape[2:], dilation, strict=False)]
    if any(size < least for size, least in zip(padded, kernel, strict=False)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual input size"
        )


def _check_channels(given: Tensor, weight: Tensor, groups: int, *, transposed: bool) -> None:
    """Torch's own check on meta names no numbers."""
    if given.dim() not in (weight.dim(), weight.dim() - 1):
        return
    channels, takes = given.shape[-weight.dim() + 1], weight.shape[0] if transposed else weight.shape[1] * groups
    if channels != takes:
        raise RuntimeError(f"expected input to have {takes} channels, but got {channels} channels instead")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _by_name(arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors among named arguments, and those that a dict among them holds."""
    inside = [value for value in arguments.values() if isinstance(value, dict)]
    pairs = [(str(name), value) for each in (arguments, *inside) for name, value in each.items()]
    return {name: value for name, value in pairs if isinstance(value, Tensor)}


def _for_all(value: Tensor, tensor: Tensor) -> Tensor:
    """Return the values of a batch, where those of one sample are given."""
    return value.expand(tensor.shape) if value.shape == tensor.shape[1:] else value
