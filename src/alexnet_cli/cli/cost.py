"""`alexnet cost`."""

from __future__ import annotations

from typing import Any

import typer

from alexnet_cli.analyses.hardware import HARDWARE
from alexnet_cli.answers.cost import cost as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups

EPILOG = """
\b
Examples:
  alexnet cost                                      FLOPs, bytes, arithmetic intensity
  alexnet cost --gpu h100-sxm                       what bounds each layer, and its least time
  alexnet cost --gpu h100-sxm --dtype bfloat16      the same on tensor cores
  alexnet cost --gpu gtx-580 -b 128 --backward      a training step as in 2012
  alexnet cost --gpu t4 -b 1,8,64                   the effect of larger batches
  alexnet cost --peak-flops 312T --bandwidth 2.0TB  hardware not in the table
  alexnet cost ./Qwen3-8B --context 8192 --decode   one token of a language model and its cache
  alexnet cost --json | jq .totals.intensity
"""

Asked: Any = options_of(
    answer,
    gpu=typer.Option(
        metavar="NAME", help=f"One of {', '.join(HARDWARE)}.", autocompletion=lambda: list(HARDWARE), show_default=False
    ),
    peak_flops=typer.Option(
        metavar="FLOPS", help="Peak FLOP per second of other hardware, such as 312T; with --bandwidth."
    ),
    bandwidth=typer.Option(metavar="BYTES", help="Memory bandwidth per second, such as 2.0TB; with --peak-flops."),
    tf32=typer.Option("--tf32", help="Compare float32 with the TF32 peak of tensor cores."),
    backward=typer.Option("--backward", help="Count a training step: the forward and its backward."),
    amp=options.Amp,
    depth=options.Depth,
    context=typer.Option(
        metavar="N", help="Of a language model: how many tokens the text has; with --decode, --prefill."
    ),
    decode=typer.Option("--decode", help="Count one token: the last of the context, after a cache of those before it."),
    prefill=typer.Option(
        "--prefill", help="Count the prompt: all tokens of the context at once, and the cache they fill."
    ),
)


@with_groups(without=("device", "batch_size"))
def cost(
    target: options.Target = "alexnet",
    *,
    asked: Asked,
    batch_sizes: options.BatchSizes = None,
    run: options.Run,
    page: options.Page,
) -> None:
    """Show what each layer computes and moves, what bounds it, and the least time that it takes."""
    out = page.out()
    session, sizes = run.by_batch(target, batch_sizes)
    out.answer(answer(session, **vars(asked), batch_size=sizes))
