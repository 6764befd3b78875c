"""`alexnet summary`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from alexnet_cli.analyses.columns import COLUMNS
from alexnet_cli.answers.summary import summary as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups
from alexnet_cli.cli.output import TORCHSUMMARY
from alexnet_cli.errors import UsageError

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
  alexnet summary --columns output_shapes,receptive_field,intensity,saved_bytes
  alexnet summary --columns params,macs --sort macs --top 5
  alexnet summary alexnet-owt --all-rows       with the flatten between its two halves
"""

Asked: Any = options_of(
    answer,
    depth=options.Depth,
    columns=Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help=f"The table's columns, separated by commas: {', '.join(COLUMNS)}.",
            autocompletion=lambda: list(COLUMNS),
        ),
    ],
    sort=typer.Option(
        metavar="NAME", help="Sort the layers by this column, largest first.", autocompletion=lambda: list(COLUMNS)
    ),
    top=typer.Option(min=1, metavar="N", help="With --sort: only the N largest."),
    all_rows=typer.Option("--all-rows", help="Show the functions that only reshape or select, too."),
    lines=typer.Option("--lines", help="Save which lines of your own source ran, for annotate."),
    weights=Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A checkpoint: list its keys that are missing, unexpected or of another shape."
        ),
    ],
)
Strict = Annotated[bool, typer.Option("--strict", help="With --weights: exit 1 if the checkpoint does not fit.")]


@with_groups()
def summary(
    target: options.Target = "alexnet", *, asked: Asked, strict: Strict = False, run: options.Run, page: options.Page
) -> None:
    """Show the layers: output shapes, parameters, MACs, and who holds what."""
    out = page.out(extra=(TORCHSUMMARY,))
    session = run.session(target)
    if out.format == TORCHSUMMARY:
        out.write(session.torchsummary())
        return
    if strict and asked.weights is None:
        raise UsageError("--strict goes with --weights")
    answered = answer(session, **vars(asked))
    out.answer(answered if strict else replace(answered, held=True))
