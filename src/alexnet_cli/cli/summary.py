"""`alexnet summary`."""

from __future__ import annotations

from dataclasses import replace

import typer

from alexnet_cli.analyses.fold import fold
from alexnet_cli.analyses.shares import by_family, by_type
from alexnet_cli.cli import options
from alexnet_cli.cli.output import TORCHSUMMARY, choose_output
from alexnet_cli.cli.results import SummaryResult
from alexnet_cli.cli.session import finish, obtain_report, trace_options
from alexnet_cli.report import Report
from alexnet_cli.views.summary import summary_document

EPILOG = """
Examples:

    alexnet summary                              the notebook's AlexNet at 3x227x227

    alexnet summary -b 32 --dtype float16        a larger batch in half precision

    alexnet summary --device cuda                built and run on the GPU

    alexnet summary --format torchsummary        torchsummary's own table

    alexnet summary --json | jq .totals.params   for other programs

    alexnet summary -o alexnet.svg               the table as a picture
"""


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
    depth: options.Depth = None,
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
    report = obtain_report(target, arguments, how)
    out.write(summary_result(report, depth), lambda: summary_document(report, depth))
    raise typer.Exit(finish(report))


def summary_result(report: Report, depth: int | None = None) -> SummaryResult:
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
    )
