"""`alexnet compare`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from alexnet_cli.answers.compare import compare as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import with_groups
from alexnet_cli.cli.sides import Sides
from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import check_seconds

EPILOG = """
\b
Examples:
  alexnet compare alexnet alexnet-paper                   what the paper's network has that this one has not
  alexnet compare last-month.json net.py:Net              what changed since; two saved reports need no torch
  alexnet compare alexnet alexnet -b 1 -b 8               two batches of one model
  alexnet compare net.py:Net net.py:Net -i 224 -i 256     two inputs of one model
  alexnet compare net.py:Net net.py:Net --arg 2:width=32  two widths of one model
  alexnet compare alexnet alexnet-owt --profile           which is faster here, and how sure that is
"""

Targets = Annotated[
    list[str],
    typer.Argument(
        help="Two or more, each as in the other commands: a built-in model, file.py:NAME, package.module:NAME, "
        "a checkpoint, an ONNX file, a saved report. The first is what the others are compared with.",
        autocompletion=options.complete_target,
    ),
]
OnlyChanges = Annotated[bool, typer.Option("--only-changes", help="Leave out the layers that are the same.")]

Profile = Annotated[bool, typer.Option("--profile", help="Run the models in turns and compare their times.")]
Seconds = Annotated[float, typer.Option(metavar="S", help="With --profile: run for about so long in all.")]


@with_groups(without=("cache",))
def compare(
    targets: Targets,
    only_changes: OnlyChanges = False,
    profile: Profile = False,
    seconds: Seconds = 10.0,
    *,
    sides: Sides,
    page: options.Page,
) -> None:
    """Show models side by side: totals, and what changed from layer to layer."""
    if len(targets) == 1:
        raise UsageError(
            "compare takes two targets or more", f"as in alexnet compare alexnet {shlex.quote(targets[0])}"
        )
    out = page.out()
    check_seconds(seconds, 10)
    out.answer(answer(sides.sessions(targets), only_changes=only_changes, profile=profile, seconds=seconds))
