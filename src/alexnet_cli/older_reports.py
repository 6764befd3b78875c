"""Completes reports saved before operations recorded their nature, by the operators' names.

The lists are closed: they hold the operators that the versions which wrote such reports knew as views or pointwise.
In newer reports the nature comes from torch's schema, when the model is traced.
"""

from __future__ import annotations

from msgspec.structs import replace

from alexnet_cli.tape import Nature, Operation, Tape

_VIEWS = """
    _conj _indices _neg_view _nested_get_values _nested_view_from_buffer _nested_view_from_jagged _reshape_alias
    _sparse_broadcast_to _unsafe_view _values alias as_strided ccol_indices col_indices crow_indices detach diagonal
    expand indices lift_fresh permute row_indices select slice slice_inverse split split_with_sizes squeeze t transpose
    unbind unfold unsafe_split unsafe_split_with_sizes unsqueeze values view view_as_complex view_as_real
    as_strided_ detach_ resize_ resize_as_ set_ squeeze_ swapaxes_ swapdims_ t_ transpose_ unsqueeze_
"""

_POINTWISE = """
    abs acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clone _conj_physical
    conj_physical copysign cos cosh deg2rad digamma div elu eq erf erfc erfinv exp exp2 expm1 floor fmax fmin fmod
    frac frexp gcd ge gelu gt hardshrink hardsigmoid hardtanh heaviside hypot i0 isfinite isinf isnan isneginf
    isposinf lcm ldexp le leaky_relu lerp lgamma log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not
    logical_or logical_xor logit lt masked_fill maximum minimum mish mul nan_to_num ne neg nextafter polygamma pow
    rad2deg reciprocal relu relu6 remainder round rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh
    softplus softshrink sqrt square sub tan tanh threshold trunc where xlogy
"""

NATURES: dict[str, Nature] = {
    **dict.fromkeys(_VIEWS.split(), "view"),
    **dict.fromkeys(_POINTWISE.split(), "pointwise"),
}


def with_natures(tape: Tape) -> Tape:
    """Return the tape itself where its operations have natures, else one that has them by name."""
    if any(operation.nature != "compute" for operation in tape.operations):
        return tape
    return replace(tape, operations=tuple(map(_with_nature, tape.operations)))


def _with_nature(operation: Operation) -> Operation:
    name = operation.op if operation.op in NATURES else operation.op.rstrip("_")
    return replace(operation, nature=NATURES.get(name, "compute"))
