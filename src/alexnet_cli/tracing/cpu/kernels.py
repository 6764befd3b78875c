"""Which kernel an operator runs on the CPU, and what that kernel allocates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.torch_insides import convolution_kernel
from alexnet_cli.tracing.cpu import convolution_sizes, recurrent_sizes
from alexnet_cli.tracing.cpu.convolution import Convolution
from alexnet_cli.tracing.cpu.recurrent import lstm_is_known, lstm_of
from alexnet_cli.tracing.cpu.workspace import NOTHING, Machine, Workspace

_VECTORS = {"AVX512": 16, "AVX2": 8}


def this_machine() -> Machine:
    """Return what oneDNN picks kernels by on this machine."""
    vector = _VECTORS.get(torch.backends.cpu.get_cpu_capability(), 0)
    told: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return Machine(torch.get_num_threads(), vector, bool(told.get("avx512_bf16")))


def assumptions() -> list[str]:
    """Say what the kernels were picked by, and if those of an LSTM are not known."""
    machine = this_machine()
    count = f"{machine.threads} thread{'' if machine.threads == 1 else 's'}"
    said = [f"the CPU's kernels are those that torch picks on this machine: {count}, {machine.instructions}"]
    if not lstm_is_known():
        said.append("an LSTM is predicted step by step: its kernel's sizes are derived for oneDNN 3.12 and later")
    return said


def workspace_of(name: str, named: Mapping[str, Any], results: Sequence[Tensor]) -> Workspace:
    """Return what an operator allocates beside its results, by its name and its arguments by name.

    Derived are convolutions and the layers of an LSTM, the kernels that take much; others are left out.
    """
    match name:
        case "convolution":
            layer, kernel = _convolution(named, results[0].shape, bias=named.get("bias") is not None)
            return convolution_sizes.forward(layer, kernel, this_machine())
        case "convolution_backward":
            gradient, wanted = named["grad_output"], tuple(named["output_mask"])
            layer, kernel = _convolution(named, gradient.shape, bias=wanted[2])
            copied = not gradient.is_contiguous()
            return convolution_sizes.backward(layer, kernel, this_machine(), wanted=wanted, copied=copied)
        case "mkldnn_rnn_layer":
            lstm = lstm_of(named["input"], named["hidden_size"])
            return recurrent_sizes.forward(lstm, this_machine(), training=torch.is_grad_enabled())
        case "mkldnn_rnn_layer_backward":
            lstm = lstm_of(named["input"], named["hidden_size"])
            gradient, states = named.get("grad_output"), [named.get("grad_hy"), named.get("grad_cy")]
            copied = gradient is None or not gradient.is_contiguous()
            undefined = sum(each is None for each in states)
            return recurrent_sizes.backward(lstm, this_machine(), undefined=undefined, copied=copied)
        case _:
            return NOTHING


def _convolution(named: Mapping[str, Any], result: Sequence[int], *, bias: bool) -> tuple[Convolution, str]:
    given, weight = named["input"], named["weight"]
    stride, padding, dilation = (tuple(named[each]) for each in ("stride", "padding", "dilation"))
    how = stride, padding, dilation, tuple(named["output_padding"])
    plain = bool(named["transposed"]), int(named["groups"])
    kernel = _kernel(tuple(given.shape), tuple(weight.shape), given.dtype, bias, how, plain, torch.get_num_threads())
    last = any(_has_channels_last(tensor) for tensor in (given, weight))
    copied = not given.is_contiguous() and not last
    layer = Convolution(
        given=tuple(given.shape),
        weight=tuple(weight.shape),
        result=tuple(result),
        stride=stride,
        padding=padding,
        dilation=dilation,
        transposed=plain[0],
        groups=plain[1],
        bias=bias,
        itemsize=given.element_size(),
        copied=copied,
        channels_last=last,
    )
    return layer, kernel


def _has_channels_last(tensor: Tensor) -> bool:
    """Tell whether oneDNN takes a tensor of four or five dimensions as having its channels last."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    return layout is not None and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=layout)


@cache
def _kernel(  # noqa: PLR0917 - what torch decides by
    given: tuple[int, ...],
    weight: tuple[int, ...],
    dtype: torch.dtype,
    bias: bool,  # noqa: FBT001
    how: tuple[tuple[int, ...], ...],
    plain: tuple[bool, int],
    _threads: int,
) -> str:
    return convolution_kernel(given, weight, dtype, how, plain, bias=bias)
