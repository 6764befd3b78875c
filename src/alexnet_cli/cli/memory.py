"""`alexnet memory`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from msgspec import UNSET

from alexnet_cli.analyses import memory as analysis
from alexnet_cli.analyses.capacity import Fit, Room, fit, room_of
from alexnet_cli.cli import options
from alexnet_cli.cli.cached import tracing
from alexnet_cli.cli.obtain import finish, obtain_report, trace_options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.memory import MemoryResult
from alexnet_cli.cli.training import Amp, Optimizer, Tracer, as_found, training_step
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.views.memory import memory_document

EPILOG = """
\b
Examples:
  alexnet memory                                 a forward and a step of SGD, batch 1
  alexnet memory -b 128 --optimizer adam         what Adam adds
  alexnet memory -b 128 --amp bf16               in mixed precision
  alexnet memory --gpu t4                        does it fit, and the largest batch that does
  alexnet memory --capacity 24GiB                the same for any device
  alexnet memory --json | jq .training.peak_bytes
"""

Gpu = Annotated[str | None, typer.Option(metavar="NAME", help="Does it fit this GPU, and with which batch at most?")]
Capacity = Annotated[
    str | None, typer.Option(metavar="SIZE", help="The same for any device: 24GiB or 24GB, with its unit.")
]
Foreach = Annotated[
    bool | None,
    typer.Option(
        "--foreach/--no-foreach",
        help="Whether the optimiser works on all parameters at once, as on CUDA, or one by one, as on the CPU; "
        "default: at once with --gpu or --capacity.",
        show_default=False,
    ),
]
Timeline = Annotated[bool, typer.Option("--timeline", help="In JSON: what is live while each operator runs.")]


def memory(
    target: options.Target = "alexnet",
    optimizer: Optimizer = "sgd",
    amp: Amp = None,
    gpu: Gpu = None,
    capacity: Capacity = None,
    foreach: Foreach = None,
    timeline: Timeline = False,
    arguments: options.Arguments = None,
    input_size: options.InputSize = None,
    batch_size: options.BatchSize = 1,
    no_batch: options.NoBatch = False,
    dtype: options.Dtype = None,
    formulas: options.Formulas = None,
    traceback: options.Traceback = False,
    cache: options.Cache = None,
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """Show what a forward and a training step hold in memory, and whether it fits."""
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    room = room_of(gpu, capacity)
    step = training_step(optimizer, amp, foreach=room is not None if foreach is None else foreach)
    how = trace_options(input_size, batch_size, "meta", dtype, no_batch=no_batch, train=False)
    how = replace(how, formulas=formulas, traceback=traceback)
    report = obtain_report(target, arguments, how, cache=cache)
    tracer = Tracer(target, arguments, cache=cache)
    how = as_found(how, report)
    trained = tracer.training(how, step) if report.error is None else None
    held = analysis.memory(report, trained, analysis.Recipe(step.optimizer, step.amp, step.foreach))
    fits = None if room is None else _fit(room, held, tracer, how, step)
    result = MemoryResult(
        generator=report.generator,
        command="memory",
        model=report.model,
        run=report.run,
        error=report.error or (trained.error if trained is not None else None),
        inference=held.inference,
        training=held.training,
        layers=held.layers,
        timeline=held.timeline if timeline else UNSET,
        fit=UNSET if fits is None else fits,
    )
    out.write(result, lambda: memory_document(report, held, fits))
    raise typer.Exit(finish(report) or (finish(trained) if trained is not None else 0))


def _fit(room: Room, held: analysis.Memory, tracer: Tracer, how: TraceOptions, step: TrainingStep) -> Fit | None:
    if held.inference is None:
        return None
    peaks = held.inference.peak_bytes, None if held.training is None else held.training.peak_bytes
    batched = how.batch_size is not None and tracer.can_run
    of_batch = (tracer.peak_of_batch(how, None), tracer.peak_of_batch(how, step)) if batched else None
    with tracing("looking for the largest batch"):
        return fit(room, peaks, of_batch)
