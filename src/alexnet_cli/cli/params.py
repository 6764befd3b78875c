"""`alexnet params`."""

from __future__ import annotations

from typing import Annotated

import typer

from alexnet_cli.answers.params import By
from alexnet_cli.answers.params import params as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import with_groups

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
ByModule = Annotated[bool, typer.Option("--by-module", help="Sum up by module; --depth limits the tree.")]
Top = Annotated[int | None, typer.Option(min=1, metavar="N", help="With --by-layer: only the N largest.")]


@with_groups()
def params(
    target: options.Target = "alexnet",
    by_type: ByType = False,
    by_layer: ByLayer = False,
    by_module: ByModule = False,
    top: Top = None,
    depth: options.Depth = None,
    *,
    run: options.Run,
    page: options.Page,
) -> None:
    """Show where the parameters sit: totals, by type, by layer, by module."""
    out = page.out()
    groupings: dict[By, bool] = {"type": by_type, "layer": by_layer, "module": by_module}
    by = [name for name, wanted in groupings.items() if wanted]
    out.answer(answer(run.session(target), by=by, top=top, depth=depth))
