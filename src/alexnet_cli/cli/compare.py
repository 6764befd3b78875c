"""`alexnet compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from alexnet_cli.analyses.compare import compare as compared
from alexnet_cli.analyses.compare import only_changes as changes_of
from alexnet_cli.cli import options
from alexnet_cli.cli.completion import complete_device, complete_target
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.compare import CompareResult
from alexnet_cli.cli.sides import SideOptions, finish_all, obtain_reports
from alexnet_cli.errors import UsageError
from alexnet_cli.report_json import generator
from alexnet_cli.views.compare import compare_document

EPILOG = """
\b
Examples:
  alexnet compare alexnet alexnet-paper                   what the paper's network has that this one has not
  alexnet compare last-month.json net.py:Net              what changed since; two saved reports need no torch
  alexnet compare alexnet alexnet -b 1 -b 8               two batches of one model
  alexnet compare net.py:Net net.py:Net -i 224 -i 256     two inputs of one model
  alexnet compare net.py:Net net.py:Net --arg 2:width=32  two widths of one model
"""

_ONCE_OR_EACH = "Once for all targets, or once for each in their order."

Targets = Annotated[
    list[str],
    typer.Argument(
        help="Two or more, each as in the other commands: a built-in model, file.py:NAME, package.module:NAME, "
        "a checkpoint, a saved report. The first is what the others are compared with.",
        autocompletion=complete_target,
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--arg",
        metavar="[N:]NAME=VALUE",
        help="Passed to the class or function of each target that is built, or of the N-th only; the value is JSON. "
        "Repeatable.",
    ),
]
InputSizes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-size",
        "-i",
        metavar="SHAPE[;SHAPE]",
        help=f"Shape without the batch, as in the other commands; a ; between several arguments of forward. "
        f"{_ONCE_OR_EACH}",
    ),
]
BatchSizes = Annotated[
    list[int] | None,
    typer.Option("--batch-size", "-b", min=1, metavar="N", help=f"Images in the batch. {_ONCE_OR_EACH}"),
]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help=f"meta (default), cpu, cuda, cuda:N, mps or xpu. {_ONCE_OR_EACH}",
        autocompletion=complete_device,
    ),
]
Dtypes = Annotated[
    list[str] | None,
    typer.Option("--dtype", metavar="DTYPE", help=f"float32, float16, bfloat16 or float64. {_ONCE_OR_EACH}"),
]
OnlyChanges = Annotated[bool, typer.Option("--only-changes", help="Leave out the layers that are the same.")]


def compare(
    targets: Targets,
    only_changes: OnlyChanges = False,
    arguments: Arguments = None,
    input_size: InputSizes = None,
    batch_size: BatchSizes = None,
    no_batch: options.NoBatch = False,
    device: Devices = None,
    dtype: Dtypes = None,
    train: options.Train = False,
    formulas: options.Formulas = None,
    traceback: options.Traceback = False,
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """Show models side by side: totals, and what changed from layer to layer."""
    if len(targets) == 1:
        raise UsageError("compare takes two targets or more", f"as in alexnet compare alexnet {targets[0]}")
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    given = SideOptions(arguments, input_size, batch_size, device, dtype, no_batch, train, formulas, traceback)
    reports = obtain_reports(targets, given)
    comparison = compared(reports)
    shown = changes_of(comparison) if only_changes else comparison
    hidden = len(comparison.layers) - len(shown.layers)
    result = CompareResult(
        generator=generator(),
        command="compare",
        error=next((report.error for report in reports if report.error), None),
        subjects=shown.subjects,
        layers=shown.layers,
    )
    out.write(result, lambda: compare_document(shown, hidden=hidden))
    raise typer.Exit(finish_all(reports))
