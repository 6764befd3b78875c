"""The operators of an exported program, looked up by name in fixed lists: nothing in a file can name anything else."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

import torch
from msgspec import UNSET

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.exported.calls import Op
from alexnet_cli.targets.exported.schema import DTYPES, Argument, Number, OptionalTensor
from alexnet_cli.torch_insides import overload_named, schema_of

_NAMESPACES = ("aten", "prims", "torchvision")
_TARGET = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)")
_LARGEST_EXPONENT = 64
_CHECKS = (
    "torch.ops.aten._assert_scalar.default",
    "torch.ops.aten._assert_async.msg",
    "torch.ops.aten._assert_tensor_metadata.default",
    "torch.ops.aten.sym_constrain_range.default",
    "torch.ops.aten.sym_constrain_range_for_size.default",
)
"""They compute nothing: an export adds them."""


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > _LARGEST_EXPONENT:
        raise OverflowError(f"{base}**{exponent} is no size of a tensor")
    return base**exponent


_OF_NUMBERS = "eq ne le ge lt gt neg pos mul add sub mod and_ or_ floordiv truediv"
_PLAIN: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in _OF_NUMBERS.split()},
    "_operator.pow": _power,
    "math.trunc": math.trunc,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "torch.sym_not": lambda value: not value,
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_sqrt": math.sqrt,
    "torch._sym_sqrt": math.sqrt,
    "torch.sym_ite": lambda condition, one, other: one if condition else other,
    "torch.ops.aten.lift_fresh_copy.default": lambda constant: constant,
    "torch.ops.aten.sym_size.int": lambda tensor, dim: tensor.shape[dim],
    "torch.ops.aten.sym_stride.int": lambda tensor, dim: tensor.stride(dim),
    "torch.ops.aten.sym_numel.default": lambda tensor: tensor.numel(),
    "torch.ops.aten.sym_storage_offset.default": lambda tensor: tensor.storage_offset(),
}
"""What computes sizes, which with real shapes are plain numbers, and what makes a constant of the code a tensor."""

_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
_LAYOUTS = {1: "sparse_coo", 2: "sparse_csr", 3: "sparse_csc", 4: "sparse_bsr", 5: "sparse_bsc", 7: "strided"}


def dtype_of(number: int) -> torch.dtype:
    """Return the dtype that a number of torch's schema stands for.

    Raises:
        TargetError: none does, or this torch does not have it.
    """
    return _constant(DTYPES, number, "dtype")  # type: ignore[no-any-return] # a dtype, by the table


def _constant(names: dict[int, str], number: int, what: str) -> Any:
    found = getattr(torch, names.get(number, ""), None)
    if found is None:
        raise TargetError(f"the program has a {what} that is not known: {number}")
    return found


class Operator:
    """An operator that can be run: `values` are the results so far by name, which it reads and adds to."""

    def __init__(self, op: Op, device: torch.device) -> None:
        self.op = op
        self.device = device
        self.is_check = op.target in _CHECKS
        self.plain = _PLAIN.get(op.target)
        self.overload: Any = None if self.plain or self.is_check else _overload(op.target)
        takes = [argument.name for argument in schema_of(self.overload).arguments] if self.overload else []
        self.makes_on_device = "device" in takes and not any(True for _ in op.reads())

    def run(self, values: dict[str, Any]) -> None:
        """Run it."""
        if self.is_check:
            return
        given = {name: self._value(argument, values) for name, argument in self.op.inputs}
        if self.makes_on_device:
            given["device"] = self.device
        result = self.plain(*given.values()) if self.plain is not None else self._call(given)
        results = result if len(self.op.outputs) > 1 else (result,)
        for made, value in zip(self.op.outputs, results, strict=False):
            if isinstance(made, str):
                values[made] = value
            elif made is not None:
                values.update(zip(made, value, strict=False))

    def _call(self, given: dict[str, Any]) -> Any:
        if self.op.grad is None:
            return self.overload(**given)
        with torch.set_grad_enabled(self.op.grad and torch.is_grad_enabled()):
            return self.overload(**given)

    def _value(self, argument: Argument, values: dict[str, Any]) -> Any:
        kind = argument.kind or ""
        value = getattr(argument, kind, None)
        if kind in _READ:
            return _READ[kind](value, lambda name: values[self.op.rename(name)])
        if kind == "as_device":
            return self.device
        if kind not in _AS_IT_IS:
            raise TargetError(f"{self.op.target} has an argument of a kind that is not known")
        return value


Found = Callable[[str], Any]


def _number(given: Number, found: Found) -> Any:
    if isinstance(given.as_name, str):
        return found(given.as_name)
    return next((each for each in (given.as_int, given.as_float, given.as_bool) if each is not UNSET), None)


def _optional(given: OptionalTensor, found: Found) -> Any:
    return None if given.as_tensor is None else found(given.as_tensor.name)


_AS_IT_IS = frozenset({"as_int", "as_ints", "as_int_lists", "as_bool", "as_bools", "as_string", "as_strings"})
_READ: dict[str, Callable[[Any, Found], Any]] = {
    "as_none": lambda _value, _found: None,
    "as_tensor": lambda value, found: found(value.name),
    "as_tensors": lambda value, found: [found(each.name) for each in value],
    "as_nested_tensors": lambda value, found: [[found(each.name) for each in inner] for inner in value],
    "as_optional_tensor": _optional,
    "as_optional_tensors": lambda value, found: [_optional(each, found) for each in value],
    **dict.fromkeys(("as_sym_int", "as_sym_float", "as_sym_bool"), _number),
    **dict.fromkeys(
        ("as_sym_ints", "as_sym_floats", "as_sym_bools"), lambda value, found: [_number(each, found) for each in value]
    ),
    "as_float": lambda value, _found: float(value),
    "as_floats": lambda value, _found: [float(each) for each in value],
    "as_complex": lambda value, _found: complex(value.real, value.imag),
    "as_scalar_type": lambda value, _found: dtype_of(value),
    "as_memory_format": lambda value, _found: _constant(_FORMATS, value, "memory format"),
    "as_layout": lambda value, _found: _constant(_LAYOUTS, value, "layout"),
}
"""How an argument of each kind is read; `found` returns a value by its name."""


def plain_arguments(op: Op) -> dict[str, Any]:
    """Return an operator's arguments that are plain values, with the defaults of those that are left out."""
    found: dict[str, Any] = {}
    matched = _TARGET.fullmatch(op.target)
    overload = overload_named(*matched.groups()) if matched else None
    for argument in schema_of(overload).arguments if overload is not None else ():
        if argument.has_default_value():
            found[argument.name] = argument.default_value
    for name, argument in op.inputs:
        kind = argument.kind or ""
        if kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string"):
            found[name] = getattr(argument, kind)
    return found


def _overload(target: str) -> Any:
    matched = _TARGET.fullmatch(target)
    found = overload_named(*matched.groups()) if matched and matched[1] in _NAMESPACES else None
    if found is None or any(argument.name == "filename" for argument in schema_of(found).arguments):
        raise TargetError(
            f"the program calls {target!r}, which is not run from a file",
            f"only operators of {', '.join(_NAMESPACES)} that this torch has are",
        )
    return found
