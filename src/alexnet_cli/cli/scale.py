"""`alexnet scale`."""

from __future__ import annotations

from typing import Any

import typer

from alexnet_cli.answers.scale import scale as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups

EPILOG = """
\b
Examples:
  alexnet scale                                    how work and memory grow with the batch
  alexnet scale alexnet-owt --over image           with the image, step by step
  alexnet scale alexnet-owt --over batch,image     with both
  alexnet scale --until 24GiB --optimizer adam     the largest batch that fits, by the law and by a run
  alexnet scale alexnet-owt --over x.2             with the third dimension of the input alone: its height
  alexnet scale -f latex                           the polynomials, typeset
  alexnet scale --json | jq .laws
"""

Asked: Any = options_of(
    answer,
    over=typer.Option(
        metavar="NAME[,NAME...]",
        help="The dimensions: batch, image (height and width), sequence, context (tokens in the cache when the next is "
        "made), or INPUT.AXIS as in x.2, counted from 0 with the batch; + joins those that change together.",
    ),
    until=typer.Option(metavar="SIZE", help="Find the largest size of each dimension that fits: 24GiB or 24GB."),
    optimizer=options.Optimizer,
    amp=options.Amp,
    foreach=typer.Option(
        "--foreach/--no-foreach",
        help="Update all parameters at once, as torch does on CUDA, or one by one, as on the CPU; "
        "default: at once with --until.",
        show_default=False,
    ),
)


@with_groups(without=("device", "train"))
def scale(target: options.Target = "alexnet", *, asked: Asked, run: options.Run, page: options.Page) -> None:
    """Find exact laws of how MACs and memory grow with batch, image, sequence, and prove them."""
    page.out().answer(answer(run.session(target), **vars(asked)))
