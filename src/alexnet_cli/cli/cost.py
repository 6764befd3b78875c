"""`alexnet cost`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import typer
from msgspec import UNSET

from alexnet_cli.analyses.cost import Cost, Roof, backward_of
from alexnet_cli.analyses.cost import cost as analyse
from alexnet_cli.analyses.hardware import HARDWARE, find_hardware, given_hardware
from alexnet_cli.cli import options
from alexnet_cli.cli.obtain import finish, obtain_report, trace_options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.cost import CostResult
from alexnet_cli.cli.training import Amp, as_found, trained, training_step
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.views.cost import cost_document

EPILOG = """
\b
Examples:
  alexnet cost                                      FLOPs, bytes, FLOP per byte
  alexnet cost --gpu h100-sxm                       what bounds it there, and the least time
  alexnet cost --gpu h100-sxm --dtype bfloat16      on its tensor cores
  alexnet cost --gpu gtx-580 -b 128 --backward      a training step as in 2012
  alexnet cost --gpu t4 -b 1,8,64                   what a larger batch changes
  alexnet cost --peak-flops 312T --bandwidth 2.0TB  hardware that is not in the table
  alexnet cost --json | jq .totals.intensity
"""

LARGEST_BATCH = 2**31 - 1

Gpu = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help=f"One of {', '.join(HARDWARE)}.", autocompletion=lambda: list(HARDWARE), show_default=False
    ),
]
PeakFlops = Annotated[
    str | None, typer.Option(metavar="FLOPS", help="FLOP per second of other hardware, as 312T; with --bandwidth.")
]
Bandwidth = Annotated[
    str | None, typer.Option(metavar="BYTES", help="Bytes per second of its memory, as 2.0TB; with --peak-flops.")
]
Tf32 = Annotated[
    bool, typer.Option("--tf32", help="Hold float32 to the peak of tensor cores in TF32, where it has it.")
]
Backward = Annotated[
    bool, typer.Option("--backward", help="A training step: the forward and the backward that it has.")
]
BatchSizes = Annotated[
    str, typer.Option("--batch-size", "-b", metavar="N[,N...]", help="Images in the batch; several to compare.")
]


def cost(
    target: options.Target = "alexnet",
    gpu: Gpu = None,
    peak_flops: PeakFlops = None,
    bandwidth: Bandwidth = None,
    tf32: Tf32 = False,
    backward: Backward = False,
    amp: Amp = None,
    depth: options.Depth = None,
    arguments: options.Arguments = None,
    input_size: options.InputSize = None,
    batch_size: BatchSizes = "1",
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
    """Show what each layer computes and moves, what bounds it, and the least time that it takes."""
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    roof = _roof(gpu, peak_flops, bandwidth, tf32=tf32)
    sizes = _batch_sizes(batch_size)
    if no_batch and len(sizes) > 1:
        raise UsageError("--no-batch and several batch sizes exclude each other")
    how = trace_options(input_size, sizes[0], "meta", dtype, no_batch=no_batch, train=train)
    how = replace(how, formulas=formulas, traceback=traceback)
    if backward:
        how = trained(how, training_step("none", amp, foreach=False))
    elif amp is not None:
        raise UsageError("--amp goes with --backward", "--dtype bfloat16 runs a forward in bfloat16")
    reports = list(_reports(target, arguments, how, sizes, cache=cache))
    costs = [analyse(backward_of(report) if backward else report, roof, depth) for report in reports]
    result = _result(reports, costs, roof)
    out.write(result, lambda: cost_document(reports[0], costs, roof))
    raise typer.Exit(finish(reports[-1]))


def _reports(
    target: str, arguments: Sequence[str] | None, how: TraceOptions, sizes: Sequence[int], *, cache: bool | None
) -> Iterator[Report]:
    """Yield a report for each batch size; one that failed is the last."""
    for size in sizes:
        report = obtain_report(
            target, arguments, how if size == sizes[0] else replace(how, batch_size=size), cache=cache
        )
        if len(sizes) > 1 and (report.run is None or report.run.batch_size != size):
            raise UsageError("several batch sizes need a model to run", "a saved report was run with one batch")
        yield report
        if report.error is not None:
            return
        how = as_found(how, report)


def _result(reports: Sequence[Report], costs: Sequence[Cost], roof: Roof | None) -> CostResult:
    report, first = reports[0], costs[0]
    return CostResult(
        generator=report.generator,
        command="cost",
        model=report.model,
        run=report.run,
        error=reports[-1].error,
        layers=first.layers,
        outside=first.outside,
        totals=first.totals,
        by_type=first.by_type,
        hardware=None if roof is None else roof.hardware,
        tf32=roof is not None and roof.tf32,
        sweep=tuple(costs) if len(costs) > 1 else UNSET,
    )


def _roof(gpu: str | None, peak_flops: str | None, bandwidth: str | None, *, tf32: bool) -> Roof | None:
    """Read the options that say what hardware it is about; None for none.

    Raises:
        UsageError: one is not known, does not parse, is missing, or does not go with the others.
    """
    other = (peak_flops, bandwidth)
    if gpu is not None and other != (None, None):
        raise UsageError("--gpu and --peak-flops, --bandwidth exclude each other", "the latter describe other hardware")
    if gpu is not None:
        hardware = find_hardware(gpu, "for other hardware give --peak-flops and --bandwidth")
        if tf32 and "tf32" not in hardware.peak_flops_per_s:
            raise UsageError(f"the {hardware.name} has no TF32", "leave --tf32 out")
        return Roof(hardware, tf32)
    if tf32:
        raise UsageError("--tf32 goes with --gpu", "with --peak-flops the peak is what you say")
    if peak_flops is not None and bandwidth is not None:
        return Roof(given_hardware(peak_flops, bandwidth))
    if other != (None, None):
        raise UsageError("--peak-flops and --bandwidth go together", "as in --peak-flops 312T --bandwidth 2.0TB")
    return None


def _batch_sizes(text: str) -> tuple[int, ...]:
    """Read `1` or `1,8,64`.

    Raises:
        UsageError: it is not one or more positive whole numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    sizes = tuple(dict.fromkeys(int(part) for part in parts if part.isascii() and part.isdigit()))
    if not all(part.isascii() and part.isdigit() for part in parts) or not all(0 < n <= LARGEST_BATCH for n in sizes):
        expected = f"write whole numbers from 1 to {LARGEST_BATCH:,}, as 8, or 1,8,64 to compare"
        raise UsageError(f"--batch-size {text!r} is no batch size", expected)
    return sizes
