"""How to run a model. No torch here: the command line fills this in before it knows whether torch is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alexnet_cli.targets.inputs import InputSpec

META = "meta"
DEVICES = (META, "cpu", "cuda", "mps", "xpu")
PARAMETER_DTYPES = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True)
class TraceOptions:
    """How to run a model; None for `inputs` and `dtype` means the model's own, for `batch_size` whole shapes.

    `formulas` is a file of the user's own MAC formulas, `traceback` shows all frames of a failure.
    """

    inputs: tuple[InputSpec, ...] | None = None
    batch_size: int | None = 1
    device: str = META
    dtype: str | None = None
    mode: Literal["eval", "train"] = "eval"
    formulas: Path | None = None
    traceback: bool = False
