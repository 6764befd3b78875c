"""ATen operators: their names, schemas, tags and kernels."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.torch_insides.names import look_up, replaced

_OVERLOAD = look_up("_ops.OpOverload")


def operator_named(name: str) -> Any:
    """Return an ATen operator by name, `relu` or `add.Tensor`; None if this torch has none of that name."""
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet, None), overload or "default", None)


def overload_named(namespace: str, name: str, overload: str) -> Any:
    """Return a registered operator overload, `aten`, `add`, `Tensor`; None if there is no such one.

    Without torch's class of overloads there is none, and no exported program can be run.
    """
    found = getattr(getattr(getattr(torch.ops, namespace, None), name, None), overload, None)
    return found if _OVERLOAD is not None and type(found) is _OVERLOAD else None


def schema_of(overload: Any) -> Any:
    """Return an operator's schema. Without it the operator has a name only: no argument names, no views."""
    unknown = SimpleNamespace(name=str(overload).replace(".", "::", 1), arguments=(), returns=(), is_mutable=False)
    return getattr(overload, "_schema", unknown)


def has_tag(overload: Any, name: str) -> bool:
    """Tell whether torch tags an operator so; it does not where it knows no such tag."""
    return getattr(torch.Tag, name, None) in getattr(overload, "tags", ())


def has_kernel(overload: Any, key: str) -> bool:
    """Tell whether an operator has a kernel for a dispatch key; without that knowledge it has none."""
    known = getattr(overload, "has_kernel_for_dispatch_key", None)
    return known is not None and bool(known(key))


def kernel_of(overload: Any) -> Any:
    """Return what an operator overload calls itself, a tenth of a trace faster; without it the overload."""
    return getattr(overload, "_op", overload) if type(overload) is _OVERLOAD else overload


DEVICE_ASKED: Any = look_up("ops.prim.device.default")
"""What a dispatch mode is given where torch asks a tensor of a subclass for its device. Without it none is answered."""


def pretended_device(tensor: Tensor) -> torch.device | None:
    """Return the device that a tensor without values claims to be on, None where torch keeps it elsewhere."""
    return getattr(tensor, "fake_device", None)


_HIGHER_ORDER = look_up("_ops.HigherOrderOperator", ())


def is_higher_order(func: Any) -> bool:
    """Tell whether a dispatch mode is given an operator that takes functions; without their class none is."""
    return isinstance(func, _HIGHER_ORDER)


def higher_order_kernel(func: Any) -> Any:
    """Return the function by which a higher-order operator calls plain ones; None if torch has none or hides it."""
    key = getattr(getattr(torch._C, "DispatchKey", None), "CompositeExplicitAutograd", None)
    return getattr(func, "py_kernels", {}).get(key)


_SELECT = look_up("_C._select_conv_backend")


def convolution_kernel(
    given: Sequence[int],
    weight: Sequence[int],
    dtype: torch.dtype,
    how: Sequence[Sequence[int]],
    plain: tuple[bool, int],
    *,
    bias: bool,
) -> str:
    """Return torch's name for what computes a convolution on this CPU, `Mkldnn` or `Slow3d`.

    `how` is stride, padding, dilation and output padding, `plain` whether it is transposed, and its groups. Where torch
    does not tell, it is oneDNN that most convolutions run in.
    """
    if _SELECT is None:
        return "Mkldnn"
    element = torch.empty(1, dtype=dtype, device="cpu")
    stride, padding, dilation, output_padding = map(list, how)
    transposed, groups = plain
    outs = weight[1] * groups if transposed else weight[0]
    biases = (element.expand(outs), [outs]) if bias else (None, None)
    tensors = element.expand(*given), element.expand(*weight), biases[0]
    settings = stride, padding, dilation, transposed, output_padding, groups
    name = str(_SELECT(*tensors, *settings, biases[1])).rpartition(".")[2]
    return name if name.isalnum() else "MkldnnTranspose"  # the one that torch does not name


_FLEX = ("_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", "_validate_device")


@contextmanager
def flex_attention_written_out() -> Iterator[None]:
    """Let `flex_attention` run without the compiler, and on `meta`, if the model's code has imported it.

    Without these names, as before torch 2.9, it is compiled, which fails while a run is watched.
    """
    module: Any = sys.modules.get("torch.nn.attention.flex_attention")
    kept = {name: vars(module)[name] for name in _FLEX if name in vars(module)} if module is not None else {}
    if len(kept) < len(_FLEX):
        yield
        return
    plain, check = _FLEX

    def check_real(query: Tensor, *others: Tensor) -> None:
        if not query.is_meta:
            kept[check](query, *others)

    with replaced(module, **{plain: True, check: check_real}):
        yield


@contextmanager
def kernel_replaced(name: str, kernel: Any, key: str) -> Iterator[None]:
    """Run an ATen operator by another kernel inside. Without `_destroy` it lasts until the library is collected."""
    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call] # torch leaves it untyped
    can_say_so = "allow_override" in inspect.signature(library.impl).parameters  # torch 2.9 refuses it unsaid
    library.impl(name, kernel, key, **({"allow_override": True} if can_say_so else {}))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        getattr(library, "_destroy", lambda: None)()
