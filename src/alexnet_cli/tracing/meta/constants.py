"""The values of small tensors that a model makes of numbers while it is built on `meta`: strides, flags, positions.

A model keeps them as buffers, and asks for them when it runs. What torch makes of numbers alone, and of such tensors,
is made on the CPU as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

from alexnet_cli.torch_insides import DeviceMode, writes_to

MOST, MOST_FLOATS = 2**14, 4
"""More integers, and more floats, are tables and weights, which no model asks for one by one."""
_MADE_OF_NUMBERS = frozenset((torch.tensor, torch.arange, torch.zeros, torch.ones, torch.full, torch.eye))
_OF_CHANCE = re.compile("rand|normal|bernoulli|multinomial|poisson|uniform|exponential|geometric|cauchy|dropout|empty")
_DATA: Any = Tensor.data
_BEHIND_OUR_BACK = frozenset((_DATA.__get__, _DATA.__set__))
"""`data` shares a tensor's memory, and does not count what is written to it."""
_VALUES: Any = WeakTensorKeyDictionary()
"""The values of a tensor on `meta`, and how often it had been written to when it had them."""


def known_values() -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the tensors on `meta` that are alive and of which the values are known, each with them on the CPU."""
    for tensor in list(_VALUES):
        real = _real(tensor)
        if real is not None:
            yield tensor, real


def moved_to_meta(source: Tensor, moved: Tensor) -> None:
    """Keep the values of a tensor for its copy on `meta`, where they are at hand or known."""
    real = source.detach() if source.device.type == "cpu" else _real(source)
    if real is not None and not isinstance(moved, nn.Parameter):
        _keep(moved, real.clone() if _is_small(moved) else real)


def _real(tensor: Tensor) -> Tensor | None:
    real, writes = _VALUES.get(tensor, (None, None))
    return real if writes == writes_to(tensor) else None


def _is_small(tensor: Tensor) -> bool:
    return tensor.numel() <= (MOST_FLOATS if tensor.is_floating_point() or tensor.is_complex() else MOST)


def _keep(tensor: Any, real: Any) -> None:
    plain = type(tensor) is type(real) is Tensor and tensor.is_meta and real.device.type == "cpu"
    alike = plain and _is_small(tensor) and (tensor.shape, tensor.dtype) == (real.shape, real.dtype)
    writes = writes_to(tensor) if alike else None
    if writes is not None:
        _VALUES[tensor] = real, writes


def on_meta(device: torch.device) -> Any:
    """Return what builds a model on `meta` inside, and keeps the values that it makes of numbers."""
    return device if DeviceMode is None else Constants(device)


class Constants(DeviceMode or object):  # type: ignore[misc] # one mode instead of two, as each costs every call
    """Keeps the values of what is made of numbers alone, and of such tensors, while a model is built."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self._kept: set[int] = set()

    def __enter__(self) -> None:
        """Come on top of the modes that are active, as `with torch.device(…)` does.

        The class that this one is of goes below them, and torch 2.6 does not leave it while there is another.
        """
        TorchFunctionMode.__enter__(self)  # type: ignore[no-untyped-call] # torch leaves it untyped

    def __exit__(self, *raised: object) -> None:
        """Leave the modes that were active before."""
        TorchFunctionMode.__exit__(self, *raised)  # type: ignore[no-untyped-call] # as above

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _MADE_OF_NUMBERS and not (self._kept and any(map(self._may_be_known, args))):
            return super().__torch_function__(func, types, args, kwargs)  # as weights are filled
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        values = {id(tensor): _real(tensor) for tensor in given}
        output = super().__torch_function__(func, types, args, kwargs)
        if func in _BEHIND_OUR_BACK:
            for tensor in given:
                _VALUES.pop(tensor, None)
        elif None not in values.values() and _may_be_kept(func, output):
            on_cpu, named = args, kwargs
            if given:
                on_cpu, named = tree_map_only(Tensor, lambda tensor: values[id(tensor)], (args, kwargs))
            _keep(output, _made_on_cpu(func, on_cpu, named))
            self._kept.add(id(output))
        return output

    def _may_be_known(self, arg: Any) -> bool:
        return id(arg) in self._kept or (type(arg) in (list, tuple) and any(map(self._may_be_known, arg)))


def _may_be_kept(func: Any, output: Any) -> bool:
    small = isinstance(output, Tensor) and output.is_meta and _is_small(output)
    return small and not _OF_CHANCE.search(getattr(func, "__name__", ""))


def _made_on_cpu(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    named = {**kwargs, "device": "cpu"} if func in _MADE_OF_NUMBERS or kwargs.get("device") is not None else kwargs
    try:
        return func(*args, **named)
    except Exception:  # noqa: BLE001 - a model may do anything: then it is not known
        return None
