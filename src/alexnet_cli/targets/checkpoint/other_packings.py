"""More ways to pack quantised or sparse weights, of libraries that fewer checkpoints are made with.

Sources: `HQQLinear.state_dict` of hqq; `QTensor.save_to_state_dict` and `PackedTensor` of optimum-quanto; `EetqLinear`
of transformers; `WQLinear_GEMVFast` of AutoAWQ; the `sparse_bitmask` compressors of older compressed-tensors.
"""

from __future__ import annotations

from math import prod

from alexnet_cli.targets.checkpoint.packed import Format, Logical, Packed

_BYTE = 8  # bits
_WHOLE = ("int64", "int32")
_SIZE = {"int64": 8, "int32": 4}
_FAST_ROWS = 4
"""Rows of outputs that AutoAWQ interleaves; an int16 has as many values of four bits."""


def _shape_beside(packed: Packed) -> tuple[int, ...]:
    """Return the shape that a tensor of whole numbers holds; empty if its values are not at hand."""
    held, data = packed.beside.get(".shape"), packed.values.get(".shape", b"")
    if held is None or held.dtype not in _WHOLE or len(data) != held.size_bytes:
        return ()
    size = _SIZE[held.dtype]
    return tuple(int.from_bytes(data[at : at + size], "little", signed=True) for at in range(0, len(data), size))


def _hqq(packed: Packed) -> Logical | None:
    """Values side by side in bytes, or ten of three bits in an integer, with the shape beside them."""
    shape = _shape_beside(packed)
    if not shape or min(shape) < 1 or not packed.main.size_bytes:
        return None
    bits = packed.main.size_bytes * _BYTE // prod(shape)
    return Logical(shape, f"int{bits}") if 0 < bits <= _BYTE else None


def _quanto(packed: Packed) -> Logical | None:
    """Values of eight bits, each in its own byte."""
    main = packed.main
    return Logical(main.shape, main.dtype) if main.dtype == "int8" or main.dtype.startswith("float8") else None


def _quanto_packed(packed: Packed) -> Logical | None:
    """Values of four or two bits: each group is a row with a scale, and rows lie over each other in the bytes.

    How many groups a row of the weight has is not said: a Linear of unknown features.
    """
    main, scale = packed.main, packed.beside["._scale"]
    if main.dtype != "uint8" or len(main.shape) != len("gv") or scale.shape[1:] != (1,):
        return None
    groups = scale.shape[0]
    bits = next((bits for bits in (2, 4) if main.shape[0] == -(-groups * bits // _BYTE)), None)
    return None if bits is None else Logical((groups * main.shape[1],), f"int{bits}")


def _eetq(packed: Packed) -> Logical | None:
    """Eight bits, inputs by outputs, with a scale for each output."""
    main, scales = packed.main, packed.beside[".weight_scales"]
    fits = main.dtype == "int8" and len(main.shape) == len("io") and scales.shape == main.shape[1:]
    return Logical(main.shape[::-1], "int8") if fits else None


def _awq_fast(packed: Packed) -> Logical | None:
    """Four bits in int16: a row is four outputs, interleaved; scales and zero points are groups by outputs."""
    main, scales = packed.main, packed.beside[".scales"]
    if main.dtype != "int16" or len(main.shape) != len("oi"):
        return None
    outputs, inputs = main.shape[0] * _FAST_ROWS, main.shape[1]
    return Logical((outputs, inputs), "int4") if scales.shape[1:] == (outputs,) else None


def _bitmask(packed: Packed) -> Logical | None:
    """The values that are not zero, and a bit for each that may be."""
    mask, shape = packed.beside[".bitmask"], _shape_beside(packed)
    if mask.dtype != "uint8" or not mask.shape:
        return None
    if not shape:  # its values are not at hand; rows are filled up to whole bytes
        shape = (*mask.shape[:-1], mask.shape[-1] * _BYTE)
    fits = shape[:-1] == mask.shape[:-1] and -(-shape[-1] // _BYTE) == mask.shape[-1]
    return Logical(shape, packed.main.dtype) if fits else None


_META_OF_HQQ = """
    .zero .nbits .group_size .axis .shape .packing .view_as_float .unpack_view_dtype .compute_dtype .quant_scale
    .quant_zero .optimize .round_zero .channel_wise .stores_quant_config .encoded_state_dict .offload_meta .meta
"""

_SPARSE = ("compressed-tensors", "sparse-bitmask", "sparse-24-bitmask")

OTHER_FORMATS = (
    Format("HQQ", ("hqq",), ".W_q", (".scale",), tuple(_META_OF_HQQ.split()), ".weight", _hqq),
    Format("quanto 8-bit", ("quanto",), "._data", ("._scale",), (), "", _quanto),
    Format("quanto", ("quanto",), "._data._data", ("._scale",), ("._shift",), "", _quanto_packed),
    Format("EETQ", ("eetq",), ".weight", (".weight_scales",), (), ".weight", _eetq),
    Format("AWQ GEMV fast", ("awq",), ".qweight", (".scales",), (".qzeros", ".scaled_zeros"), ".weight", _awq_fast),
    Format("sparse bitmask", _SPARSE, ".compressed", (".bitmask",), (".shape", ".row_offsets"), ".weight", _bitmask),
)
