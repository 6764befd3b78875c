"""`alexnet summary`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from msgspec import UNSET

from alexnet_cli.analyses.fold import fold
from alexnet_cli.analyses.shares import by_family, by_type
from alexnet_cli.analyses.weights import WeightsMatch
from alexnet_cli.cli import options
from alexnet_cli.cli.obtain import finish, match_weights, obtain_report, trace_options
from alexnet_cli.cli.output import TORCHSUMMARY, choose_output
from alexnet_cli.cli.results.summary import SummaryResult
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
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
"""


Weights = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A checkpoint: tell which keys are missing, unexpected or of another shape."),
]
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
    report = obtain_report(target, arguments, how, cache=cache)
    match = match_weights(target, arguments, how, weights) if weights else None
    out.write(summary_result(report, depth, match), lambda: summary_document(report, depth, match))
    raise typer.Exit(finish(report) or int(strict and match is not None and not match.holds))


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
