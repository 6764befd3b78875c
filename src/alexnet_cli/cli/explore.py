"""`alexnet explore`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from alexnet_cli import explorer
from alexnet_cli.analyses.columns import COLUMNS
from alexnet_cli.answers.explore import explore as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups
from alexnet_cli.cli.output import Output, finish

EPILOG = """
\b
Examples:
  alexnet explore                               the notebook's AlexNet
  alexnet explore net.py:Net                    your own model, with the lines where it calls its layers
  alexnet explore net.py:Net --sort macs        what computes most comes first
  alexnet explore model.safetensors             a checkpoint: names, shapes, dtypes, bytes
  alexnet explore report.json                   a saved report
  alexnet explore --columns params,intensity,receptive_field
"""

Asked: Any = options_of(
    answer,
    columns=Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="The columns to begin with, separated by commas, as of summary; of a checkpoint shape, dtype, bytes, "
            "params, params_share, buffers.",
            autocompletion=lambda: list(COLUMNS),
        ),
    ],
    sort=typer.Option(metavar="NAME", help="Sort by this column to begin with.", autocompletion=lambda: list(COLUMNS)),
)
Ascii = Annotated[bool, typer.Option("--ascii", help="Draw with ASCII characters only.")]


@with_groups()
def explore(
    target: options.Target = "alexnet",
    *,
    asked: Asked,
    ascii_only: Ascii = False,
    no_color: options.NoColor = False,
    run: options.Run,
) -> None:
    """Walk through a model in the terminal: fold, sort and search its layers, see each one's costs, and a treemap."""
    explorer.need_terminal()
    exploration = answer(run.session(target), **vars(asked))
    explorer.run(exploration, Output("table", no_color=no_color).style(ascii_only=ascii_only))
    finish(exploration)
