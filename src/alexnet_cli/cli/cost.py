"""`alexnet cost`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from alexnet_cli.analyses.hardware import HARDWARE
from alexnet_cli.answers.cost import cost as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups
from alexnet_cli.errors import UsageError

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

LARGEST_BATCH = 2**31 - 1

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
BatchSizes = Annotated[
    str | None,
    typer.Option(
        "--batch-size",
        "-b",
        metavar="N[,N...]",
        help="Samples in the batch, several sizes to compare; default: 1, or those of --inputs.",
    ),
]


@with_groups(without=("device", "batch_size"))
def cost(
    target: options.Target = "alexnet",
    *,
    asked: Asked,
    batch_sizes: BatchSizes = None,
    run: options.Run,
    page: options.Page,
) -> None:
    """Show what each layer computes and moves, what bounds it, and the least time that it takes."""
    out = page.out()
    sizes = () if batch_sizes is None else read_batch_sizes(batch_sizes)
    if run.no_batch and len(sizes) > 1:
        raise UsageError("--no-batch and several batch sizes exclude each other")
    session = replace(run, batch_size=sizes[0] if sizes else None).session(target)
    out.answer(answer(session, **vars(asked), batch_size=sizes if len(sizes) > 1 else None))


def read_batch_sizes(text: str) -> tuple[int, ...]:
    """Read `1` or `1,8,64`.

    Raises:
        UsageError: it is no list of batch sizes.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) <= LARGEST_BATCH for part in parts):
        expected = f"write whole numbers from 1 to {LARGEST_BATCH:,}, as 8, or 1,8,64 to compare"
        raise UsageError(f"--batch-size {text!r} is no batch size", expected)
    return tuple(dict.fromkeys(map(int, parts)))
