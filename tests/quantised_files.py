"""Quantised checkpoints as the descriptions of their formats have them, without the libraries that need a GPU."""

from __future__ import annotations

import json
import os
from math import ceil, prod

BITS = {"F32": 32, "F16": 16, "BF16": 16, "U8": 8, "I8": 8, "I16": 16, "I32": 32, "I64": 64, "F8_E4M3": 8}


def store(path, tensors):
    """Write a safetensors file: to each key a dtype and a shape, and the values where they matter."""
    header, data, end = {}, {}, 0
    for key, (dtype, shape, *values) in tensors.items():
        begin, end = end, end + prod(shape) * BITS[dtype] // 8
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
        if values:
            data[begin] = values[0]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + end)
    with path.open("r+b") as file:
        for begin, value in data.items():
            file.seek(8 + len(text) + begin)
            file.write(value)
    return path


def size_of(tensors):
    return sum(prod(shape) * BITS[dtype] // 8 for dtype, shape, *_ in tensors.values())


def quant_state(shape, kind="nf4"):
    """`QuantState.as_dict(packed=True)` in bitsandbytes/functional.py: JSON as bytes."""
    said = {"quant_type": kind, "blocksize": 64, "dtype": "bfloat16", "shape": list(shape)}
    data = json.dumps(said).encode()
    return "U8", (len(data),), data


def nf4(name, outputs, inputs, *, nested=True):
    """`Linear4bit` of bitsandbytes: two values in a byte, a scale for 64 of them, which is quantised again."""
    count = outputs * inputs
    blocks = ceil(count / 64)
    again = {
        f"{name}.weight.nested_absmax": ("F32", (ceil(blocks / 256),)),
        f"{name}.weight.nested_quant_map": ("F32", (256,)),
    }
    return {
        f"{name}.weight": ("U8", (ceil(count / 2), 1)),
        f"{name}.weight.absmax": ("U8" if nested else "F32", (blocks,)),
        f"{name}.weight.quant_map": ("F32", (16,)),
        **(again if nested else {}),
        f"{name}.weight.quant_state.bitsandbytes__nf4": quant_state((outputs, inputs)),
    }


def int8(name, outputs, inputs):
    """`Linear8bitLt` of bitsandbytes: a scale for each output."""
    return {
        f"{name}.weight": ("I8", (outputs, inputs)),
        f"{name}.SCB": ("F32", (outputs,)),
        f"{name}.weight_format": ("U8", ()),
    }


def gptq(name, outputs, inputs, bits, group=32, *, ordered=True):
    """`QuantLinear` of AutoGPTQ (nn_modules/qlinear/qlinear_cuda.py)."""
    groups = ceil(inputs / group)
    order = {f"{name}.g_idx": ("I32", (inputs,))} if ordered else {}
    return {
        f"{name}.qweight": ("I32", (inputs * bits // 32, outputs)),
        f"{name}.qzeros": ("I32", (groups, outputs * bits // 32)),
        f"{name}.scales": ("F16", (groups, outputs)),
        **order,
    }


def awq(name, outputs, inputs, group=32):
    """`WQLinear_GEMM` of AutoAWQ (modules/linear/gemm.py)."""
    return {
        f"{name}.qweight": ("I32", (inputs, outputs // 8)),
        f"{name}.qzeros": ("I32", (inputs // group, outputs // 8)),
        f"{name}.scales": ("F16", (inputs // group, outputs)),
    }


def awq_gemv(name, outputs, inputs, group=128):
    """`WQLinear_GEMV` of AutoAWQ (modules/linear/gemv.py): the zeros' width for groups of 128 is rounded up to one."""
    width = ceil(inputs // group / 8)
    return {
        f"{name}.qweight": ("I32", (outputs, inputs // 8)),
        f"{name}.qzeros": ("I32", (outputs, width)),
        f"{name}.scales": ("F16", (outputs, width * 8)),
    }


def fp8(name, outputs, inputs, block=128):
    """DeepSeek-V3 and transformers' `FP8Linear`: a scale for each block of 128 by 128."""
    return {
        f"{name}.weight": ("F8_E4M3", (outputs, inputs)),
        f"{name}.weight_scale_inv": ("F32", (ceil(outputs / block), ceil(inputs / block))),
    }


def nvfp4(name, outputs, inputs):
    """ModelOpt's unified checkpoint: a float8 scale for each 16 values, a global one, one of the inputs."""
    return {
        f"{name}.weight": ("U8", (outputs, inputs // 2)),
        f"{name}.weight_scale": ("F8_E4M3", (outputs, inputs // 16)),
        f"{name}.weight_scale_2": ("F32", ()),
        f"{name}.input_scale": ("F32", ()),
    }


def mxfp4(name, experts, outputs, inputs, dot="_"):
    """gpt-oss: blocks of 32 values in 16 bytes, with a scale each."""
    return {
        f"{name}{dot}blocks": ("U8", (experts, outputs, inputs // 32, 16)),
        f"{name}{dot}scales": ("U8", (experts, outputs, inputs // 32)),
    }


def hqq(name, outputs, inputs, bits=4, group=64):
    """`HQQLinear.state_dict` of hqq: settings as small tensors, the shape as two int64."""
    groups = outputs * inputs // group
    shape = b"".join(size.to_bytes(8, "little") for size in (outputs, inputs))
    return {
        f"{name}.W_q": ("U8", (groups * bits // 8, group)),
        f"{name}.scale": ("F16", (groups, 1)),
        f"{name}.zero": ("F16", (groups, 1)),
        f"{name}.shape": ("I64", (2,), shape),
        f"{name}.nbits": ("I32", ()),
        f"{name}.packing": ("U8", (7,)),
    }


def quanto_int8(name, outputs, inputs):
    """`QLinear` of optimum-quanto: a scale for each output, and one of what goes in and what comes out."""
    return {
        f"{name}.weight._data": ("I8", (outputs, inputs)),
        f"{name}.weight._scale": ("F16", (outputs, 1)),
        f"{name}.input_scale": ("F32", ()),
        f"{name}.output_scale": ("F32", ()),
    }


def quanto(name, outputs, inputs, bits, group=128):
    """The same with values in groups, each group a row, and rows over each other in the bytes."""
    groups = outputs * inputs // group
    return {
        f"{name}.weight._data._data": ("U8", (ceil(groups * bits / 8), group)),
        f"{name}.weight._scale": ("F16", (groups, 1)),
        f"{name}.weight._shift": ("F16", (groups, 1)),
    }


def eetq(name, outputs, inputs):
    """`EetqLinear` of transformers (integrations/eetq.py)."""
    return {f"{name}.weight": ("I8", (inputs, outputs)), f"{name}.weight_scales": ("F16", (outputs,))}


def awq_fast(name, outputs, inputs, group=128):
    """`WQLinear_GEMVFast` of AutoAWQ (modules/linear/gemv_fast.py): rows of scales are rounded up to eight."""
    rows = ceil(inputs // group / 8) * 8
    return {
        f"{name}.qweight": ("I16", (outputs // 4, inputs // 4 * 4)),
        f"{name}.scales": ("F16", (rows, outputs)),
        f"{name}.qzeros": ("F16", (rows, outputs)),
    }


def sparse(name, outputs, inputs):
    """`BitmaskCompressor` of compressed-tensors: of each row half the values are kept."""
    shape = b"".join(size.to_bytes(8, "little") for size in (outputs, inputs))
    return {
        f"{name}.compressed": ("BF16", (outputs * inputs // 2,)),
        f"{name}.bitmask": ("U8", (outputs, ceil(inputs / 8))),
        f"{name}.shape": ("I64", (2,), shape),
        f"{name}.row_offsets": ("I64", (outputs,)),
    }
