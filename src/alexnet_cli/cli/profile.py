"""`alexnet profile`."""

from __future__ import annotations

from typing import Any

import typer

from alexnet_cli.answers.profile import profile as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups

EPILOG = """
\b
Examples:
  alexnet profile                          each layer's time on the CPU
  alexnet profile --calibrate              and the least time that this machine allows
  alexnet profile --device cuda -b 64      on a GPU
  alexnet profile --backward -b 8          a training step
  alexnet profile --compile                what torch.compile gains on this machine
  alexnet profile -b 1,8                   latency and throughput by batch size
  alexnet profile --trace trace.json       a time line for Perfetto
  alexnet profile --json | jq .whole.time.seconds
"""

Asked: Any = options_of(
    answer,
    seconds=typer.Option(metavar="S", help="Repeat the run for about so long; less if its time varies little."),
    backward=typer.Option("--backward", help="Measure a training step: the forward and its backward."),
    amp=options.Amp,
    compile=typer.Option("--compile", help="Measure the run compiled by torch.compile as well, as a whole."),
    cuda_graph=typer.Option("--cuda-graph", help="Measure the run by a CUDA graph as well, as a whole."),
    calibrate=typer.Option(
        "--calibrate", help="First measure the peak and the bandwidth of the device; they are kept for later runs."
    ),
    depth=options.Depth,
    trace=typer.Option(metavar="FILE", help="Write a run as a time line of layers and operators, for Perfetto."),
    flame=typer.Option(metavar="FILE", help="The same for speedscope."),
)


@with_groups(without=("batch_size",))
def profile(
    target: options.Target = "alexnet",
    *,
    asked: Asked,
    batch_sizes: options.BatchSizes = None,
    run: options.Run,
    page: options.Page,
) -> None:
    """Measure how long each layer takes, and hold it against the least time that the device allows."""
    out = page.out()
    session, sizes = run.by_batch(target, batch_sizes)
    out.answer(answer(session, **vars(asked), batch_size=sizes))
