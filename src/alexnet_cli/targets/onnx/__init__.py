"""ONNX files as targets: their graph is read, neither run nor handed to a runtime, and weights are not read at all."""

from __future__ import annotations

import os
from pathlib import Path

from alexnet_cli.errors import TargetError

SUFFIX = ".onnx"
WRITTEN_BY = "alexnet-cli"
"""The key, in a model's metadata, of the version that exported it."""


def weights_beside(path: Path) -> Path | None:
    """Return the file with the weights of an ONNX file, if `export` wrote both; no other file is its."""
    place = Path(os.path.realpath(path))
    if path.suffix != SUFFIX or not place.is_file():
        return None
    from alexnet_cli.targets.onnx.read import graphs_in, read_model  # only where an ONNX file is replaced

    try:
        model = read_model(place)
    except TargetError:
        return None
    named = {pair.value for graph in graphs_in(model.graph) for tensor in graph.initializer
             for pair in tensor.external_data if pair.key == "location"}  # fmt: skip
    beside = place.with_name(f"{path.name}.data")
    ours = any(pair.key == WRITTEN_BY for pair in model.metadata_props) and beside.name in named
    return beside if ours and beside.is_file() and not beside.is_symlink() else None
