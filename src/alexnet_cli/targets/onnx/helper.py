"""Asks the `onnx` package's C++ code about a model in a process of its own: a malformed graph can make it abort."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from onnx import ModelProto

_SECONDS = 120
_SCRIPT = """
import sys
task, *sys.path[:] = sys.argv[1:]
import onnx
model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
if task == "inline":
    from onnx.inliner import inline_local_functions
    model = inline_local_functions(model)
else:
    from onnx.shape_inference import infer_shapes
    model = infer_shapes(model, data_prop=True)
sys.stdout.buffer.write(model.SerializeToString())
"""


def asked(task: Literal["inline", "infer"], model: ModelProto) -> ModelProto | None:
    """Return the model with local functions put in their places, or with inferred shapes; None if that fails.

    The other process imports from where this one does, and never from the current folder or by the environment.
    """
    command = [sys.executable, "-I", "-c", _SCRIPT, task, *filter(None, sys.path)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and script
            command, input=model.SerializeToString(), capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return type(model).FromString(done.stdout) if done.returncode == 0 else None
