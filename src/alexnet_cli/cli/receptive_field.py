"""`alexnet receptive-field`."""

from __future__ import annotations

from typing import Any

import typer

from alexnet_cli.answers.receptive_field import receptive_field as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups

EPILOG = """
\b
Examples:
  alexnet receptive-field                       how much of the image each layer sees
  alexnet receptive-field -i 3,256,256          of another image
  alexnet receptive-field net.py:Net --depth 1  of the blocks of your own model
  alexnet receptive-field report.json           from a saved report
  alexnet receptive-field --json | jq '.layers[] | {path, size, jump, start, status}'
"""

Asked: Any = options_of(
    answer,
    of=typer.Option(
        min=1, metavar="N", help="See the Nth argument of forward; default: the first with a spatial or time axis."
    ),
    depth=options.Depth,
)


@with_groups(without=("device",))
def receptive_field(target: options.Target = "alexnet", *, asked: Asked, run: options.Run, page: options.Page) -> None:
    """Show how much of the input each layer sees: size, jump and start of its receptive field."""
    page.out().answer(answer(run.session(target), **vars(asked)))
