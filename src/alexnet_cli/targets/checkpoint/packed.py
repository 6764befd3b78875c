"""How libraries pack quantised weights into tensors. `FORMATS` lists those that are known.

A format keeps the values of a weight in one tensor, several of them in a byte or an integer, and their scales and zero
points in others beside it. What is needed of each is which names these have and how the weight's own shape follows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import prod
from typing import NamedTuple

from alexnet_cli.tape import Shape
from alexnet_cli.targets.checkpoint.contents import Stored, is_size

_INT32_BITS = 32
_NIBBLES = 2  # 4-bit values in a byte
_MATRIX = 2
_GPTQ_BITS = (2, 3, 4, 8)
_WITHOUT_GAPS = (2, 4, 8)
_AWQ_VALUES = 8  # 4-bit values in an integer
_MOST_BITS = 8
_MX_BLOCK, _NV_BLOCK = 32, 16
_SHAPE_ITEM = 8  # bytes of an int64


class Packed(NamedTuple):
    """The tensors of one weight: the packed values, what lies beside them by its suffix, and small values of these.

    `values` are the bytes of tensors that hold a shape rather than weights, where the file is at hand; `about` is what
    the file's metadata says of the weight; `bits` are those that the config names.
    """

    main: Stored
    beside: Mapping[str, Stored]
    values: Mapping[str, bytes]
    about: str
    bits: frozenset[int]


class Logical(NamedTuple):
    """A weight as the model has it: its shape, and the type of its values."""

    shape: Shape
    dtype: str


class Format(NamedTuple):
    """How a library packs a weight. Names are those of the tensors after a common beginning.

    `main` has the values, `one_of` marks the format, `others` may lie beside; `weight` is the suffix of the weight's
    own name. `logical` returns None for tensors that are not packed like this.
    """

    name: str
    methods: tuple[str, ...]
    main: str
    one_of: tuple[str, ...]
    others: tuple[str, ...]
    weight: str
    logical: Callable[[Packed], Logical | None]


def _bitsandbytes_4bit(packed: Packed) -> Logical | None:
    """Two values in a byte, whatever the dtype of the tensor; the shape stands as JSON in the quant_state."""
    count = packed.main.size_bytes * _NIBBLES
    for kind in ("nf4", "fp4"):
        state = f".quant_state.bitsandbytes__{kind}"
        if state in packed.beside:
            shape = _shape_in(packed.values.get(state, b""))
            if shape is not None and 0 <= count - prod(shape) < _NIBBLES:
                return Logical(shape, kind)
            return Logical((count,), kind)  # the values are not at hand: a Linear of unknown features
    return None


def _shape_in(data: bytes) -> Shape | None:
    try:
        found = json.loads(data)["shape"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(found) if isinstance(found, list) and all(is_size(size) for size in found) else None


def _as_it_is(packed: Packed) -> Logical | None:
    """Values of eight bits, each in its own byte; or two of four bits with a float8 scale for each 16 (ModelOpt)."""
    main, scale = packed.main, packed.beside.get("_scale")
    if main.dtype.startswith("float8") or main.dtype == "int8":
        return Logical(main.shape, main.dtype)
    if main.dtype == "uint8" and scale is not None and scale.dtype.startswith("float8"):
        return _blocks(main, scale, 4, _NV_BLOCK, "NVFP4")
    return None


def _gptq(packed: Packed) -> Logical | None:
    """Of `qweight` a column is an output, and its integers hold the inputs; `qzeros` packs the outputs."""
    scales, zeros, order = (packed.beside.get(name) for name in (".scales", ".qzeros", ".g_idx"))
    if not _matrices(packed.main, scales) or scales is None or packed.main.shape[1] != scales.shape[1]:
        return None
    rows, outputs = packed.main.shape
    if order is not None and len(order.shape) == 1 and order.shape[0]:
        inputs, bits = order.shape[0], rows * _INT32_BITS // order.shape[0]
    elif zeros is not None and len(zeros.shape) == _MATRIX and outputs and zeros.shape[1]:
        bits = zeros.shape[1] * _INT32_BITS // outputs
        inputs = rows * _INT32_BITS // bits if bits else 0
    else:
        return None
    fits = bits in _GPTQ_BITS and rows * _INT32_BITS == inputs * bits
    return Logical((outputs, inputs), f"int{bits}") if fits else None


def _awq(packed: Packed) -> Logical | None:
    """Four bits: of `qweight` a row is an input and its integers hold the outputs (GEMM), or the reverse (GEMV)."""
    scales, zeros = packed.beside.get(".scales"), packed.beside.get(".qzeros")
    if scales is None or zeros is None or not _matrices(packed.main, scales, zeros):
        return None
    (rows, columns), wide = packed.main.shape, zeros.shape[1] * _AWQ_VALUES
    if scales.shape != (zeros.shape[0], wide):
        return None
    if zeros.shape[1] == columns:
        return Logical((wide, rows), "int4")
    return Logical((rows, columns * _AWQ_VALUES), "int4") if scales.shape[0] == rows else None


def _compressed(packed: Packed) -> Logical | None:
    """Integers in int32, as `weight_shape` says; or FP4 and FP6 side by side in bytes, with a scale for each block."""
    main, scale = packed.main, packed.beside["_scale"]
    if main.dtype == "uint8":
        if scale.dtype.startswith("float8"):
            return _blocks(main, scale, 4, _NV_BLOCK, "NVFP4")
        return _blocks(main, scale, 4, _MX_BLOCK, "MXFP4") or _blocks(main, scale, 6, _MX_BLOCK, "MXFP6")
    return _integers(packed) if main.dtype == "int32" and main.shape else None


def _integers(packed: Packed) -> Logical | None:
    main, data, columns = packed.main, packed.values.get("_shape", b""), packed.main.shape[-1]
    shape = tuple(int.from_bytes(data[at : at + _SHAPE_ITEM], "little") for at in range(0, len(data), _SHAPE_ITEM))
    if not shape:  # the file is not at hand: only bits that leave no gaps in an integer tell the shape
        said = packed.bits if len(packed.bits) == 1 and min(packed.bits) in _WITHOUT_GAPS else ()
        return Logical((*main.shape[:-1], columns * (_INT32_BITS // min(said))), f"int{min(said)}") if said else None
    fitting = {bits for bits in range(1, _MOST_BITS + 1) if columns in _columns(shape[-1], bits)}
    if shape[:-1] != main.shape[:-1] or not fitting:
        return None
    bits = packed.bits & fitting or fitting
    return Logical(shape, f"int{min(bits)}" if len(bits) == 1 else "int")


def _columns(inputs: int, bits: int) -> tuple[int, int]:
    """Return how many integers hold a row: as many whole values in each as fit, or without gaps."""
    return -(-inputs // (_INT32_BITS // bits)), -(-inputs * bits // _INT32_BITS)


def _experts(packed: Packed) -> Logical | None:
    """Blocks of 32 values in 16 bytes, with a scale each: experts, outputs, blocks of inputs, bytes.

    transformers has these weights as experts, inputs, outputs.
    """
    if len(packed.main.shape) <= _MATRIX:
        return None
    *first, blocks, size = packed.main.shape
    scales = next(iter(packed.beside.values()))
    if packed.main.dtype != "uint8" or size != _MX_BLOCK // _NIBBLES or scales.shape != (*first, blocks):
        return None
    *experts, outputs = first
    return Logical((*experts, blocks * _MX_BLOCK, outputs), "MXFP4")


def _torchao(packed: Packed) -> Logical | None:
    """The tensors in a subclass of torchao; the file's metadata names the subclass."""
    main, scale = packed.main, packed.beside["_scale"]
    try:
        about = json.loads(packed.about) if packed.about else {}
        kind, data = about.get("_type", ""), about.get("_data", {})
        said = data.get("shape")
        target = (data.get("target_dtype") or {}).get("_data", "")
    except (ValueError, AttributeError, RecursionError):
        return None
    if isinstance(said, list) and all(is_size(size) for size in said) and prod(said) <= main.size_bytes * _MOST_BITS:
        return Logical(tuple(said), "int4" if "Int4" in kind else main.dtype)
    if main.dtype == "int8" or main.dtype.startswith("float8"):
        return Logical(main.shape, str(target) or main.dtype)
    return _blocks(main, scale, 4, _NV_BLOCK, "NVFP4") if kind == "NVFP4Tensor" else None


def _blocks(main: Stored, scale: Stored, bits: int, block: int, dtype: str) -> Logical | None:
    """Return the shape of values side by side in bytes, if there is a scale for each block of a row."""
    if not main.shape:
        return None
    shape = (*main.shape[:-1], main.shape[-1] * 8 // bits)
    return Logical(shape, dtype) if scale.shape == (*shape[:-1], -(-shape[-1] // block)) else None


def _matrices(*tensors: Stored | None) -> bool:
    return all(tensor is not None and len(tensor.shape) == _MATRIX for tensor in tensors)


_STATES = (".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4")
_ZEROS = (".qzeros", ".g_idx")
_BESIDE = ("_scale", "_scale_inv", "_scale_2", "_zero_point", "_g_idx", "_global_scale", "_shape")

FORMATS = (
    Format(
        "bitsandbytes 4-bit",
        ("bitsandbytes",),
        "",
        (".absmax",),
        (".quant_map", ".nested_absmax", ".nested_quant_map", *_STATES),
        "",
        _bitsandbytes_4bit,
    ),
    Format("bitsandbytes 8-bit", ("bitsandbytes",), ".weight", (".SCB",), (".weight_format",), ".weight", _as_it_is),
    Format("GPTQ", ("gptq", "auto-round"), ".qweight", (".scales",), _ZEROS, ".weight", _gptq),
    Format("AWQ", ("awq", "auto-round"), ".qweight", (".scales",), _ZEROS, ".weight", _awq),
    Format("compressed-tensors", ("compressed-tensors",), "_packed", ("_scale",), _BESIDE, "", _compressed),
    Format("MXFP4", ("mxfp4",), "_blocks", ("_scales",), (), "", _experts),
    Format("MXFP4", ("mxfp4",), ".blocks", (".scales",), (), "", _experts),
    Format("torchao", ("torchao",), "_qdata", ("_scale",), _BESIDE, "", _torchao),
    Format(
        "8-bit values with scales",
        ("fp8", "fbgemm_fp8", "compressed-tensors", "modelopt"),
        "",
        ("_scale_inv", "_scale"),
        _BESIDE,
        "",
        _as_it_is,
    ),
)
"""The first that takes a weight's tensors reads them.

Sources: `QuantState.as_dict` and `Linear8bitLt` of bitsandbytes; `qlinear_cuda.py` of AutoGPTQ; `WQLinear_GEMM` and
`WQLinear_GEMV` of AutoAWQ; `pack_quantized`, `nvfp4` and `mxfp4` compressors of compressed-tensors; transformers'
`integrations/mxfp4.py`, `finegrained_fp8.py`; torchao's `prototype/safetensors`; ModelOpt's unified checkpoint.
"""

OF_THE_MODULE = ("input_scale", "input_scale_ub", "input_zero_point", "input_global_scale", "output_scale")
"""Scales of what goes into a quantised layer or comes out of it."""

OF_THE_CACHE = ("q_scale", "k_scale", "v_scale", "k_zero_point", "v_zero_point", "prob_output_scale")
"""Scales of an attention's quantised cache, which lie beside no weight."""

SAY_A_SHAPE = ("_shape", ".shape", *_STATES)
"""Ends of the names of small tensors whose values are a shape."""
