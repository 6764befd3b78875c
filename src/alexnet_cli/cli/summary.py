"""`alexnet summary`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from msgspec import UNSET
from msgspec.structs import replace as replace_struct

from alexnet_cli.analyses.columns import COLUMNS
from alexnet_cli.analyses.fold import fold
from alexnet_cli.analyses.shares import by_family, by_type
from alexnet_cli.analyses.weights import WeightsMatch
from alexnet_cli.cli import options
from alexnet_cli.cli.chosen import chosen_columns
from alexnet_cli.cli.obtain import finish, match_weights, obtain_report, trace_options
from alexnet_cli.cli.output import TORCHSUMMARY, choose_output
from alexnet_cli.cli.results.summary import SummaryResult
from alexnet_cli.cli.training import Tracer, as_found
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.tracing.options import META, TraceOptions, TrainingStep
from alexnet_cli.views.columns import columns_table
from alexnet_cli.views.summary import summary_document

EPILOG = """
\b
Examples:
  alexnet summary                              the notebook's AlexNet at 3x227x227
  alexnet summary -b 32 --dtype float16        a larger batch in half precision
  alexnet summary --device cuda                built and run on the GPU
  alexnet summary net.py:Net --weights net.pt  does the checkpoint fit?
  alexnet summary --format torchsummary        torchsummary's own table
  alexnet summary --json | jq .totals.params   for other programs
  alexnet summary -o alexnet.svg               the table as a picture
  alexnet summary --columns output_shapes,receptive_field,intensity,saved_bytes
  alexnet summary --columns params,macs --sort macs --top 5
"""


Weights = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A checkpoint: tell which keys are missing, unexpected or of another shape."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAMES",
        help=f"The table's columns, with commas: {', '.join(COLUMNS)}.",
        autocompletion=lambda: list(COLUMNS),
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The layers by this column, largest first.", autocompletion=lambda: list(COLUMNS)
    ),
]
Top = Annotated[int | None, typer.Option(min=1, metavar="N", help="With --sort: the N largest only.")]
Strict = Annotated[bool, typer.Option("--strict", help="With --weights: exit 1 if the checkpoint does not fit.")]


def summary(
    target: options.Target = "alexnet",
    arguments: options.Arguments = None,
    input_size: options.InputSize = None,
    batch_size: options.BatchSize = 1,
    no_batch: options.NoBatch = False,
    device: options.Device = "meta",
    dtype: options.Dtype = None,
    train: options.Train = False,
    formulas: options.Formulas = None,
    traceback: options.Traceback = False,
    cache: options.Cache = None,
    depth: options.Depth = None,
    columns: Columns = None,
    sort: Sort = None,
    top: Top = None,
    weights: Weights = None,
    strict: Strict = False,
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """Show the layers: output shapes, parameters, MACs, and who holds what."""
    out = choose_output(format_name, output, width, json=json, no_color=no_color, extra=(TORCHSUMMARY,))
    how = trace_options(input_size, batch_size, device, dtype, no_batch=no_batch, train=train)
    how = replace(how, formulas=formulas, traceback=traceback)
    if out.format == TORCHSUMMARY:
        from alexnet_cli.cli.notebook import notebook_table  # imports torch

        out.write_text(notebook_table(target, arguments, how))
        return
    if strict and weights is None:
        raise UsageError("--strict goes with --weights")
    chosen = chosen_columns(columns, sort, top)
    report = obtain_report(target, arguments, how, cache=cache)
    match = match_weights(target, arguments, how, weights) if weights else None
    if chosen is None:
        out.write(summary_result(report, depth, match), lambda: summary_document(report, depth, match))
    else:
        rows = chosen.rows(report, lambda: _step(target, arguments, how, report, cache=cache), depth)
        result = replace_struct(summary_result(report, depth, match), columns=rows)
        table = columns_table(report, rows, chosen.names, tree=sort is None)
        out.write(result, lambda: summary_document(report, depth, match, table))
    raise typer.Exit(finish(report) or int(strict and match is not None and not match.holds))


def _step(
    target: str, arguments: Sequence[str] | None, how: TraceOptions, report: Report, *, cache: bool | None
) -> Report | None:
    """Return the report of a training step, for the columns that are about one."""
    on_meta = as_found(replace(how, device=META), report)
    return Tracer(target, arguments, cache=cache).training(on_meta, TrainingStep("none"))


def summary_result(report: Report, depth: int | None = None, match: WeightsMatch | None = None) -> SummaryResult:
    """Return the JSON of a report."""
    return SummaryResult(
        generator=report.generator,
        command="summary",
        model=report.model,
        run=report.run,
        error=report.error,
        layers=fold(report, depth).layers,
        totals=report.totals,
        by_type=by_type(report),
        by_family=by_family(report),
        tape=UNSET if report.tape is None or depth is not None else report.tape,
        weights=UNSET if match is None else match,
    )
