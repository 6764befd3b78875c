"""`alexnet params`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from msgspec import UNSET

from alexnet_cli.analyses import modules, shares
from alexnet_cli.cli import options
from alexnet_cli.cli.obtain import finish, obtain_report, trace_options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.params import ParamsResult
from alexnet_cli.errors import UsageError
from alexnet_cli.views.params import params_document

EPILOG = """
\b
Examples:
  alexnet params                        the totals
  alexnet params --by-type              convolutions against linear layers
  alexnet params --by-layer --top 3     the three largest layers
  alexnet params --by-module --depth 1  the tree, summed up
"""

ByType = Annotated[bool, typer.Option("--by-type", help="Sum up by layer type.")]
ByLayer = Annotated[bool, typer.Option("--by-layer", help="List the layers that have parameters, largest first.")]
ByModule = Annotated[bool, typer.Option("--by-module", help="Sum up by module; see --depth.")]
Top = Annotated[int | None, typer.Option(min=1, metavar="N", help="With --by-layer: the N largest only.")]


def params(
    target: options.Target = "alexnet",
    by_type: ByType = False,
    by_layer: ByLayer = False,
    by_module: ByModule = False,
    top: Top = None,
    depth: options.Depth = None,
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
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """Show where the parameters sit: totals, by type, by layer, by module."""
    if top is not None and not by_layer:
        raise UsageError("--top goes with --by-layer")
    if depth is not None and not by_module:
        raise UsageError("--depth goes with --by-module")
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    how = trace_options(input_size, batch_size, device, dtype, no_batch=no_batch, train=train)
    how = replace(how, formulas=formulas, traceback=traceback)
    report = obtain_report(target, arguments, how, cache=cache)
    types = shares.by_type(report) if by_type else None
    layers = modules.by_layer(report, top) if by_layer else None
    tree = modules.by_module(report, depth) if by_module else None
    result = ParamsResult(
        generator=report.generator,
        command="params",
        model=report.model,
        run=report.run,
        error=report.error,
        totals=report.totals,
        by_type=UNSET if types is None else types,
        by_family=shares.by_family(report) if by_type else UNSET,
        layers=UNSET if layers is None else layers,
        modules=UNSET if tree is None else tree,
    )
    out.write(result, lambda: params_document(report, types=types, layers=layers, modules=tree))
    raise typer.Exit(finish(report))
