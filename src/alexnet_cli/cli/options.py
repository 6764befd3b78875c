"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet_cli.cli.completion import complete_device, complete_format, complete_target

Target = Annotated[
    str,
    typer.Argument(
        help="A built-in model (see `alexnet models`), file.py:NAME, package.module:NAME, "
        "a checkpoint (.safetensors, .pt), or a saved report: report.json, - for standard input.",
        autocompletion=complete_target,
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="NAME=VALUE", help="Passed to the class or function; the value is JSON. Repeatable."),
]
InputSize = Annotated[
    list[str] | None,
    typer.Option(
        "--input-size",
        "-i",
        metavar="SHAPE",
        help="Shape without the batch: 3,227,227 or 3x227x227, or 227 for a square image; :int64 sets the dtype. "
        "Repeat it for each argument of forward.",
    ),
]
BatchSize = Annotated[int, typer.Option("--batch-size", "-b", min=1, metavar="N", help="Images in the batch.")]
NoBatch = Annotated[bool, typer.Option("--no-batch", help="The shapes are whole: put no batch in front.")]
Device = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="meta computes shapes only and allocates nothing; cpu, cuda, cuda:N, mps and xpu build and run the model.",
        autocompletion=complete_device,
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(metavar="DTYPE", help="float32, float16, bfloat16 or float64; default: the model's own, float32."),
]
Train = Annotated[bool, typer.Option("--train/--eval", help="The mode that the forward runs in.")]
Formulas = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Python code with MAC formulas of your own; see the README."),
]
Traceback = Annotated[bool, typer.Option("--traceback", help="Show all frames of a failure, not only your own.")]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Answers about built-in models on meta are kept: --no-cache traces anew, --cache keeps those about "
        "your own code too, until one of its files changes.",
        show_default=False,
    ),
]
Depth = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Show the module tree to this depth; deeper rows are summed into theirs."),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help="table, json, csv, markdown, latex, html or svg; for summary also torchsummary.",
        autocompletion=complete_format,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write there; the suffix picks the format."),
]
Width = Annotated[int | None, typer.Option(min=20, metavar="N", help="Width of the table; default: the terminal's.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour, as with NO_COLOR in the environment.")]
