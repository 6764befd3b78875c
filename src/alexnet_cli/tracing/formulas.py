"""Multiply-accumulates of an operator, from its shapes.

torch's own formulas (`torch.utils.flop_counter.flop_registry`) count FLOPs as twice the MACs, without bias additions.
`EXTRA` adds operators that they lack, and replaces the formulas of plain matrix products, which are slow as torch
walks through all arguments. A formula gets the operator's arguments and its result as `out_val`.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log2, prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

from alexnet_cli.errors import TargetError
from alexnet_cli.users_code import users_frames

Macs = Callable[..., int | None]
"""From an operator's arguments and result to its MACs; None where they depend on values."""
EXTRA: dict[Any, Macs] = {}
MISSING: list[str] = []
"""Operators with a formula that this version of torch does not have."""
LATER: dict[str, Macs] = {}
"""Formulas for operators of libraries that may be imported after this module, by the operators' names."""


def formula_for(packet: Any) -> Macs | None:
    """Return an operator's formula, preferring ours to torch's, or None."""
    if packet in EXTRA:
        return EXTRA[packet]
    later = LATER.get(str(packet).replace(".", "::", 1))
    if later is not None:
        return later
    flops = flop_registry.get(packet)
    if flops is None:
        return None
    by_shapes = getattr(flops, "__wrapped__", None)  # without its wrapper, which walks all arguments as a tree
    if by_shapes is None:
        return lambda *args, **kwargs: int(flops(*args, **kwargs)) // 2
    return lambda *args, out_val, **kwargs: (
        int(by_shapes(*map(_shape, args), out_shape=_shape(out_val), **{k: _shape(v) for k, v in kwargs.items()})) // 2
    )


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else value


def macs_formula(*names: str) -> Callable[[Macs], Macs]:
    """Register a formula for operators: `mv` for ATen, `mylib::myop` for another library.

    The function gets the operator's arguments, and its result as `out_val`, and returns MACs. Names that torch does
    not have are skipped, as operators come and go with its versions; those of other libraries may come later.
    """

    def register(formula: Macs) -> Macs:
        for name in names:
            library, _, op = name.rpartition("::")
            packet = getattr(getattr(torch.ops, library or "aten"), op, None)
            if packet is None:
                MISSING.append(name)
                if library:
                    LATER[name] = formula
            else:
                EXTRA[packet] = formula
        return formula

    return register


@macs_formula("mv", "dot", "vdot")
def _inner_product(matrix: Tensor, *_: object, **__: object) -> int:
    return matrix.numel()


@macs_formula("addmv", "addmv_")
def _added_inner_product(bias: Tensor, matrix: Tensor, *_: object, **__: object) -> int:
    del bias
    return matrix.numel()


@macs_formula("linear")
def _linear(features: Tensor, weight: Tensor, *_: object, **__: object) -> int:
    return features.numel() * weight.shape[0]


@macs_formula("mm", "bmm", "_int_mm")
def _matrix_product(left: Tensor, right: Tensor, **_: object) -> int:
    return left.numel() * right.shape[-1]


@macs_formula("addmm", "addmm_", "_addmm_activation", "baddbmm", "baddbmm_", "addbmm", "addbmm_")
def _added_matrix_product(bias: Tensor, left: Tensor, right: Tensor, **_: object) -> int:
    del bias
    return left.numel() * right.shape[-1]


@macs_formula("_grouped_mm", "_scaled_grouped_mm", "transformers::grouped_mm_fallback")
def _grouped_product(left: Tensor, right: Tensor, *_: object, **__: object) -> int:
    """Products of groups of rows, or of columns if only `left` is three-dimensional; each group has its own share."""
    groups = left.shape[0] if left.dim() > right.dim() else 1
    return left.numel() // groups * right.shape[-1]


@macs_formula("transformers::grouped_mm_fallback_backward")
def _grouped_product_backward(left: Tensor, right: Tensor, *_: object, **__: object) -> int:
    """The gradients of both factors, each as many MACs as the product of groups of rows."""
    return 2 * left.numel() * right.shape[-1]


@macs_formula("_trilinear")
def _trilinear(*factors: Any, **_: object) -> int:
    """`nn.Bilinear` and its gradients: three factors, each with extra dimensions along which it is constant.

    One MAC per element of the broadcast product: (N, a), (o, a, b), (N, b) give N*o*a*b, whatever the result.
    """
    sides = zip(*map(_with_ones, factors[:3], factors[3:6]), strict=True)
    return prod(max(side) if all(side) else 0 for side in sides)


def _with_ones(factor: Tensor, dims: list[int]) -> list[int]:
    sizes = list(factor.shape)
    for dim in dims:
        sizes.insert(dim, 1)
    return sizes


@macs_formula("convolution")
def _convolution(given: Tensor, weight: Tensor, *rest: Any, out_val: Tensor, **_: object) -> int:
    """Each element of the result (of the input if transposed) meets the weights of its channel."""
    transposed = rest[4]
    places = given if transposed else out_val
    return places.numel() * prod(weight.shape[1:])


@macs_formula("convolution_backward")
def _convolution_backward(gradient: Tensor, given: Tensor, weight: Tensor, *rest: Any, **_: object) -> int:
    """Each of the two gradients needed takes as many MACs as the forward: every product is used once.

    torch's own formula (2.13) forgets the groups of the weight's gradient.
    """
    transposed, (to_input, to_weight, _) = rest[4], rest[7]
    places = given if transposed else gradient
    return (bool(to_input) + bool(to_weight)) * places.numel() * prod(weight.shape[1:])


@macs_formula("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_attention_math_for_mps")
def _attention(query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object) -> int:
    """Scores and their product with the values: (B, H, L, E), (B, H, S, E), (B, H, S, V)."""
    return query.numel() * key.shape[-2] + prod(query.shape[:-1]) * value.shape[-2] * value.shape[-1]


@macs_formula("_scaled_dot_product_flash_attention_for_cpu_backward")
def _attention_backward(gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object) -> int:
    """Five products, as in torch's `sdpa_backward_flop_count`: the scores again (not saved), and four gradients.

    Those of the scores and values have width V, those of query and key width E.
    """
    del gradient
    scores = prod(query.shape[:-1]) * key.shape[-2]
    return scores * (3 * query.shape[-1] + 2 * value.shape[-1])


@macs_formula("mkldnn_rnn_layer")
def _rnn_layer(steps: Tensor, weight_input: Tensor, weight_hidden: Tensor, *_: object, **__: object) -> int:
    """One layer and direction of an LSTM on the CPU: each step of each sequence uses each weight once."""
    return steps.numel() // steps.shape[-1] * (weight_input.numel() + weight_hidden.numel())


@macs_formula("_cudnn_rnn", "miopen_rnn")
def _rnn(steps: Tensor, weights: list[Tensor], *_: object, **__: object) -> int:
    """All layers and directions of an RNN on a GPU; the one-dimensional weights are biases."""
    return steps.numel() // steps.shape[-1] * sum(weight.numel() for weight in weights if weight.dim() > 1)


@macs_formula("linalg_solve_triangular")
def _substitution(triangle: Tensor, right: Tensor, *_: object, out_val: Tensor, **__: object) -> int:
    """Substitution: unknown i of n takes the i before it, one MAC each: n (n - 1) / 2 for a column of n unknowns."""
    del right
    return out_val.numel() * (triangle.shape[-1] - 1) // 2


@macs_formula("_euclidean_dist")
def _distances(left: Tensor, right: Tensor, *, out_val: Tensor, **_: object) -> int:
    """`cdist` of many points is a matrix product: [-2x, |x|², 1] times [y, 1, |y|²], two columns wider."""
    del right
    return out_val.numel() * (left.shape[-1] + 2)


@macs_formula("_cdist_forward")
def _few_distances(left: Tensor, right: Tensor, p: float, *_: object, out_val: Tensor, **__: object) -> int | None:
    """`cdist` of few points: each difference is squared and added; another norm than the second is not counted."""
    del right
    return out_val.numel() * left.shape[-1] if p == 2 else None  # noqa: PLR2004 - the Euclidean norm


@macs_formula("torchvision::roi_align")
def _roi_align(features: Tensor, rois: Tensor, scale: float, *how: Any, out_val: Tensor, **_: object) -> int | None:
    """Each bin is the mean of s × s samples, each interpolated between four pixels: 4 s² MACs for each value.

    With a `sampling_ratio` below one, each bin has as many samples a side as pixels, rounded up: unknown on `meta`.
    """
    high, wide, sampling_ratio, aligned = how
    if sampling_ratio > 0:
        return 4 * int(sampling_ratio) ** 2 * out_val.numel()
    if rois.is_meta:
        return None
    least = 0.0 if aligned else 1.0
    width, height = ((rois[:, 3:] - rois[:, 1:3]) * scale).clamp(min=least).unbind(1)
    samples = int(((height / high).ceil() * (width / wide).ceil()).sum())
    return 4 * samples * features.shape[1] * int(high * wide)


@macs_formula("torchvision::ps_roi_align")
def _position_sensitive_roi_align(*given: Any, out_val: tuple[Tensor, Tensor], **_: object) -> int | None:
    """As `roi_align`, each bin from a channel of its own."""
    sampling_ratio = int(given[5])
    return 4 * sampling_ratio**2 * out_val[0].numel() if sampling_ratio > 0 else None


@macs_formula("torchvision::deform_conv2d")
def _deformable_convolution(given: Tensor, weight: Tensor, *_: object, out_val: Tensor, **__: object) -> int:
    """The convolution of what is sampled; sampling counts as nothing, as that of `grid_sample`."""
    del given
    return out_val.numel() * prod(weight.shape[1:])


@macs_formula("_fft_c2c", "_fft_r2c", "_fft_c2r")
def _fft(signal: Tensor, dims: list[int], *_: object, out_val: Tensor, **__: object) -> int:
    """Half of the 5 N log2 N operations that FFTW's benchmarks count for N complex points; half of that if real."""
    longer = signal if signal.numel() >= out_val.numel() else out_val
    points = prod(longer.shape[dim] for dim in dims)
    flops = 5 * longer.numel() * log2(points) if points > 1 else 0.0
    real = not (signal.is_complex() and out_val.is_complex())
    return round(flops / 2 / (2 if real else 1))


@contextmanager
def users_formulas(path: Path | None, notify: Callable[[str], None], forget: Callable[[], None]) -> Iterator[None]:
    """Run a file that registers formulas with `macs_formula` or torch's `register_flop_formula`; drop them afterwards.

    `forget` clears whatever was derived from the formulas so far.

    Raises:
        TargetError: the file does not exist, or its code fails.
    """
    if path is None:
        yield
        return
    extra, torchs, later, missing = dict(EXTRA), dict(flop_registry), dict(LATER), list(MISSING)
    try:
        _run(path)
        for name in MISSING[len(missing) :]:
            notify(f"{path} has a formula for {name!r}, an operator that torch does not have")
        forget()
        yield
    finally:
        for registry, before in ((EXTRA, extra), (flop_registry, torchs), (LATER, later)):
            registry.clear()
            registry.update(before)
        MISSING[:] = missing
        forget()


def _run(path: Path) -> None:
    if not os.path.isfile(path):  # noqa: PTH113 - pathlib raises for a name that is too long
        raise TargetError(f"no such file: {path}", "--formulas takes a Python file that registers MAC formulas")
    try:
        runpy.run_path(str(path))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        raise TargetError(f"the formulas in {path} cannot be loaded: {said}", users_frames(error)) from error
