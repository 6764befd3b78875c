"""Multiply-accumulates of torch's quantised operators, whose weights are packed in other objects than tensors."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from alexnet_cli.torch_insides import packed_tensors
from alexnet_cli.tracing.formulas import macs_formula


@macs_formula(*(f"quantized::linear{relu}{end}" for relu in ("", "_relu") for end in ("", "_dynamic", "_dynamic_fp16")))
def _quantised_linear(inputs: Tensor, *_: object, out_val: Tensor, **__: object) -> int:
    return out_val.numel() * inputs.shape[-1]


@macs_formula(*(f"quantized::conv{n}d{end}" for n in (1, 2, 3) for end in ("", "_relu", "_dynamic")))
def _quantised_convolution(inputs: Tensor, packed: Any, *_: object, out_val: Tensor, **__: object) -> int:
    """Each output takes a product for each weight of its channel, which are those of a group's inputs."""
    del inputs
    weight = packed_tensors(packed)[0]
    return out_val.numel() * weight[0].numel()


@macs_formula("quantized_lstm", "quantized_gru")
def _quantised_rnn(inputs: Tensor, *others: object, out_val: object, **_: object) -> int:
    """Each step of each sample takes a product for each weight; all layers' weights are packed in a list."""
    del out_val
    lists = [each for each in others if isinstance(each, (list, tuple))]
    steps = inputs.numel() // inputs.shape[-1]
    return steps * sum(_packed_matrices(packed) for each in lists for packed in each if not isinstance(packed, Tensor))


@macs_formula(*(f"quantized::quantized_{cell}_cell_dynamic" for cell in ("lstm", "gru", "rnn_relu", "rnn_tanh")))
def _quantised_cell(inputs: Tensor, state: object, *packed: object, out_val: object, **_: object) -> int:
    del state, out_val
    weights = [each for each in packed if each is not None and not isinstance(each, Tensor)]
    return inputs.numel() // inputs.shape[-1] * sum(map(_packed_matrices, weights))


def _packed_matrices(packed: Any) -> int:
    return sum(tensor.numel() for tensor in packed_tensors(packed) if tensor.dim() > 1)
