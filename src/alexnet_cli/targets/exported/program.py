"""Decodes and checks the program in an archive. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.contents import LARGEST, damaged
from alexnet_cli.targets.exported.archive import KIND, Archive
from alexnet_cli.targets.exported.schema import MAJOR, Payloads, Program


def read_program(path: Path, archive: Archive) -> Program:
    """Decode a program.

    Raises:
        TargetError: it is not one, of another major version, or needs objects that only unpickling would give.
    """
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
