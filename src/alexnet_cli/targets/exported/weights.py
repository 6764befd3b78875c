"""The weights in a `.pt2` file by name and shape, as the program describes them; their values are not read."""

from __future__ import annotations

from math import prod
from pathlib import Path

from alexnet_cli.targets.checkpoint.contents import Contents, Stored
from alexnet_cli.targets.exported.archive import read_archive
from alexnet_cli.targets.exported.program import read_program
from alexnet_cli.targets.exported.schema import DTYPES

_BYTES = {
    **dict.fromkeys(("bool", "uint8", "int8"), 1),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("int32", "uint32", "float32", "complex32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 8),
    "complex128": 16,
}


def read_weights(path: Path) -> Contents:
    """Read which parameters and persistent buffers a program has: the names of its state_dict.

    Raises:
        TargetError: the file cannot be read, is damaged, or holds what only running code could load.
    """
    program = read_program(path, read_archive(path))
    values = program.graph_module.graph.tensor_values
    tensors: dict[str, Stored] = {}
    first: dict[str, str] = {}
    for spec in program.graph_module.signature.input_specs:
        if spec.parameter is not None:
            name, arg = spec.parameter.parameter_name, spec.parameter.arg.name
        elif spec.buffer is not None and spec.buffer.persistent:
            name, arg = spec.buffer.buffer_name, spec.buffer.arg.name
        else:
            continue
        if arg in values:
            shape, dtype = tuple(values[arg].usual), DTYPES.get(values[arg].dtype, "unknown")
            same = None if program.shared is None else first.setdefault(program.shared.get(name, name), name)
            size = prod(shape) * _BYTES.get(dtype, 1)
            tensors[name] = Stored(shape, dtype, size, same if same != name else None, buffer=spec.buffer is not None)
    return Contents(tensors, f"the weights of a program exported by torch {program.torch_version}")
