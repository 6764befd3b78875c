"""Decodes and checks the program in a `.pt2` file, and lists its weights, whose values are not read. No torch."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import msgspec

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.contents import LARGEST, Contents, Stored, damaged
from alexnet_cli.targets.checkpoint.safetensors import BITS
from alexnet_cli.targets.exported.archive import KIND, read_archive
from alexnet_cli.targets.exported.schema import DTYPES, MAJOR, Buffer, Payloads, Program


def read_program(path: Path) -> Program:
    """Read the program in a file.

    Raises:
        TargetError: the file cannot be read or is damaged, the program is of another major version, or it needs
            objects that only unpickling would give.
    """
    archive = read_archive(path)
    program: Program = _decoded(path, archive.program, Program, "program")
    major = program.schema_version.major
    if major != MAJOR:
        age = "older" if major < MAJOR else "newer"
        raise TargetError(
            f"{path} is of schema version {major}, {age} than {MAJOR}, which torch 2.6 and later write",
            "export it again",
        )
    program.shared = None if archive.weights is None else {}
    for data in (archive.weights, archive.constants):
        payloads = {} if data is None else _decoded(path, data, Payloads, "list of tensors").config
        for name, payload in payloads.items():
            if payload.use_pickle or payload.path_name.startswith(("custom_obj", "opaque_obj")):
                raise TargetError(
                    f"{path} contains a pickled object ({name}); loading it would run code, so it is never loaded",
                    "export a model whose weights are plain tensors",
                )
            if program.shared is not None and payload.path_name not in archive.empty:  # empty: all tensors' entry
                program.shared[name] = f"{payload.path_name} {payload.tensor_meta}"
    if any(spec.custom_obj is not None for spec in program.graph_module.signature.input_specs):
        raise TargetError(f"{path} needs a custom object, which only code of its own can make")
    _check(path, program)
    return program


def read_weights(path: Path) -> Contents:
    """Read which parameters and persistent buffers a program has: the names of its state_dict.

    Raises:
        TargetError: as for `read_program`.
    """
    program = read_program(path)
    values = program.graph_module.graph.tensor_values
    tensors: dict[str, Stored] = {}
    first: dict[str, str] = {}
    for held in (spec.held for spec in program.graph_module.signature.input_specs):
        if held is None or held.arg.name not in values or (isinstance(held, Buffer) and not held.persistent):
            continue
        name, meta = held.name, values[held.arg.name]
        dtype = DTYPES.get(meta.dtype, "unknown")
        same = None if program.shared is None else first.setdefault(program.shared.get(name, name), name)
        size = prod(meta.usual) * BITS.get(dtype, 8) // 8
        tied_to = None if same == name else same
        tensors[name] = Stored(meta.usual, dtype, size, tied_to, buffer=isinstance(held, Buffer))
    return Contents(tensors, f"the weights of a program exported by torch {program.torch_version}")


def _decoded(path: Path, data: bytes, kind: type[Any], what: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(path, f"its {what} is not what torch writes ({error})", KIND) from error
    except RecursionError as error:
        raise damaged(path, f"its {what} is nested too deeply", KIND) from error


def _check(path: Path, program: Program) -> None:
    """Refuse sizes that no tensor can have: all are multiplied."""
    for name, meta in program.graph_module.graph.tensor_values.items():
        elements = 1
        for size in meta.usual:
            elements *= size
            if size < 0 or elements > LARGEST // 16:
                raise damaged(path, f"its tensor {name!r} is larger than any memory", KIND)
