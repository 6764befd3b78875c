"""ONNX files as targets: their graph is read, neither run nor handed to a runtime, and weights are not read at all."""

from __future__ import annotations

SUFFIX = ".onnx"


def is_onnx(target: str) -> bool:
    """Recognise an ONNX file by its suffix."""
    return target.endswith(SUFFIX)
