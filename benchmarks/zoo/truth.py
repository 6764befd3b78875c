"""Parameters and MACs of an architecture by torch alone: a forward on the CPU under torch's own counter.

Parameters are the elements of `model.parameters()`, which names each once. MACs are half of what `FlopCounterMode`
counts, with what it is blind to made visible:

- fused attention: torch's registry has no formula for the CPU's kernel, so attention runs as the matrix products that
  it stands for (`SDPBackend.MATH`), and the fast path of `nn.MultiheadAttention` and `nn.TransformerEncoder` is off;
- an LSTM on the CPU is one operator of oneDNN without a formula: a model with recurrent layers runs without oneDNN,
  where each step is two matrix products;
- mixtures of experts multiply groups of rows in one operator without a formula: the architecture's `plain` model
  calls one expert after the other, each an ordinary product;
- operators that multiply and add but have no formula in torch's registry: `BLIND` gives one each, with its reason.

A truth is stable if two forwards with other weights and inputs agree: what depends on values has no one number.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoo.architecture import Architecture

SEEDS = (0, 1)
_TOKENS = (5, 60)
"""Token ids between the special ones and the end of the smallest vocabulary."""


def truth(architecture: Architecture, seen: list[dict[str, Any]], *, found: bool) -> dict[str, Any]:
    """Return the parameters, and the MACs of two forwards: on `seen` inputs if the program found them."""
    params, macs = None, []
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = (architecture.plain or architecture.make)().eval()
        model.requires_grad_(requires_grad=False)  # the counter hooks gradients, and there are none
        params = sum(parameter.numel() for parameter in model.parameters())
        args, kwargs = (
            _made(seen, model) if found or architecture.inputs is None else called_with(architecture.inputs())
        )
        macs.append(_macs(model, args, kwargs))
    return {"params": params, "macs": macs}


def called_with(made: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a zoo's inputs stand for: a mapping of names, a tuple, or the only argument."""
    if isinstance(made, dict):
        return (), made
    return (tuple(made), {}) if isinstance(made, tuple) else ((made,), {})


def _made(seen: list[dict[str, Any]], model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    tables = (each.num_embeddings for each in model.modules() if isinstance(each, nn.Embedding))
    tokens = min((_TOKENS[1], *tables))
    named = {each["name"]: _ordinary(each, tokens) for each in seen if each["name"] is not None}
    return tuple(_ordinary(each, tokens) for each in seen if each["name"] is None), named


def _ordinary(given: dict[str, Any], tokens: int) -> Tensor:
    """Return an input as the program described it, or else an ordinary one.

    That is noise, tokens that are no special ones, and masks under which all is attended.
    """
    dtype, shape, name = getattr(torch, given["dtype"]), given["shape"], given["name"] or ""
    if given.get("values") is not None:
        return torch.tensor(given["values"], dtype=dtype).reshape(shape)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.rand(shape, dtype=dtype)
    if dtype == torch.bool or "mask" in name:
        return torch.ones(shape, dtype=dtype)
    if name.endswith("input_ids") or not name:
        return torch.randint(min(_TOKENS[0], tokens - 1), tokens, shape, dtype=dtype)
    return torch.zeros(shape, dtype=dtype)


def _macs(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)  # type: ignore[no-untyped-call] # torch leaves it untyped
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        counter = stack.enter_context(FlopCounterMode(display=False, custom_mapping=_blind()))
        model(*args, **kwargs)
    return counter.get_total_flops() // 2


def _blind() -> dict[Any, Any]:
    """Return FLOPs of operators that torch's counter passes over."""
    found = {}
    for name, flops in BLIND.items():
        library, _, op = name.rpartition("::")
        packet = getattr(getattr(torch.ops, library or "aten"), op, None)
        if packet is not None:
            flops._get_raw = True  # noqa: SLF001 # type: ignore[attr-defined] # how torch asks for tensors, not shapes
            found[packet] = flops
    return found


def _matrix_vector(matrix: Tensor, vector: Tensor, *_: Any, **__: Any) -> int:
    """A product with a vector: each element of the matrix is used once."""
    del vector
    return 2 * matrix.numel()


def _added_matrix_vector(bias: Tensor, matrix: Tensor, *_: Any, **__: Any) -> int:
    del bias
    return 2 * matrix.numel()


def _fourier(signal: Tensor, dims: list[int], *_: Any, out_val: Tensor, **__: Any) -> int:
    """5 N log2 N for N complex points, half of that for real ones: the convention of FFTW's benchmarks."""
    longer = max(signal, out_val, key=Tensor.numel)
    points = math.prod(longer.shape[dim] for dim in dims)
    whole = 5 * longer.numel() * math.log2(points)
    return round(whole / 2 if signal.is_complex() and out_val.is_complex() else whole / 4) * 2


def _substitution(triangle: Tensor, right: Tensor, *_: Any, left: bool = True, **__: Any) -> int:
    """Row i of n takes from itself the i rows that are solved, one MAC for each of its elements."""
    size = triangle.shape[-1]
    batch = math.prod(torch.broadcast_shapes(triangle.shape[:-2], right.shape[:-2]))
    return 2 * batch * right.shape[-1 if left else -2] * sum(range(size))


def _distances(left: Tensor, right: Tensor, *_: Any, **__: Any) -> int:
    """All distances by one product of [-2x, |x|^2, 1] and [y, 1, |y|^2]: N * M * (width + 2) MACs."""
    return 2 * left.numel() // left.shape[-1] * right.shape[-2] * (left.shape[-1] + 2)


def _few_distances(left: Tensor, right: Tensor, *_: Any, **__: Any) -> int:
    """Each difference is squared and added."""
    return 2 * left.numel() * right.shape[-2]


def _boxes(features: Tensor, rois: Tensor, *rest: Any, **_: Any) -> int:
    """Each of a box's bins is the mean of samples between four pixels: 4 MACs for each sample and channel."""
    _scale, high, wide, samples, *_aligned = rest
    return 2 * 4 * samples**2 * rois.shape[0] * features.shape[1] * high * wide


BLIND: dict[str, Any] = {
    "mv": _matrix_vector,
    "dot": _matrix_vector,
    "vdot": _matrix_vector,
    "addmv": _added_matrix_vector,
    "addmv_": _added_matrix_vector,
    "_fft_c2c": _fourier,
    "_fft_r2c": _fourier,
    "_fft_c2r": _fourier,
    "linalg_solve_triangular": _substitution,
    "_euclidean_dist": _distances,
    "_cdist_forward": _few_distances,
    "torchvision::roi_align": _boxes,
}
