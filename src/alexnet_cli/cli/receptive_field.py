"""`alexnet receptive-field`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from alexnet_cli.analyses.receptive_field.fields import receptive_fields
from alexnet_cli.cli import options
from alexnet_cli.cli.obtain import finish, obtain_report, trace_options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.receptive_field import ReceptiveFieldResult
from alexnet_cli.views.receptive_field import receptive_field_document

EPILOG = """
\b
Examples:
  alexnet receptive-field                       how much of the image each layer sees
  alexnet receptive-field -i 3,256,256          of another image
  alexnet receptive-field net.py:Net --depth 1  of the blocks of your own model
  alexnet receptive-field report.json           from a saved report
  alexnet receptive-field --json | jq '.layers[] | {path, size, jump, start, status}'
"""

Of = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Of the Nth argument of forward; default: the first with an axis of space or time."
    ),
]


def receptive_field(
    target: options.Target = "alexnet",
    of: Of = None,
    depth: options.Depth = None,
    arguments: options.Arguments = None,
    input_size: options.InputSize = None,
    batch_size: options.BatchSize = 1,
    no_batch: options.NoBatch = False,
    dtype: options.Dtype = None,
    train: options.Train = False,
    formulas: options.Formulas = None,
    traceback: options.Traceback = False,
    cache: options.Cache = None,
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """Show how much of the input each layer sees: size, jump and start of its receptive field."""
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    how = trace_options(input_size, batch_size, "meta", dtype, no_batch=no_batch, train=train)
    how = replace(how, formulas=formulas, traceback=traceback)
    report = obtain_report(target, arguments, how, cache=cache)
    fields = receptive_fields(report, argument=None if of is None else of - 1, depth=depth)
    result = ReceptiveFieldResult(
        generator=report.generator,
        command="receptive-field",
        model=report.model,
        run=report.run,
        error=report.error,
        input=fields.input,
        input_shape=fields.input_shape,
        axes=fields.axes,
        layers=fields.layers,
    )
    out.write(result, lambda: receptive_field_document(report, fields))
    raise typer.Exit(finish(report))
