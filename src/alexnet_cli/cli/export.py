"""`alexnet export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet_cli.answers.export import check_file
from alexnet_cli.answers.export import export as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import with_groups
from alexnet_cli.errors import UsageError
from alexnet_cli.session.session import EXPORTED

EPILOG = """
\b
Examples:
  alexnet export -o alexnet.pt2                       the notebook's AlexNet, for torch.export.load
  alexnet export net.py:Net -o net.pt2                your own model, with inputs that are found by trying
  alexnet export net.py:Net -i 3,64,64 -b 8 -o a.pt2  with inputs of this shape, in batches of 8
  alexnet export net.py:Net -i 3,32,32 -o net.onnx    as ONNX; pip install 'alexnet-cli[onnx]'
  alexnet compare net.py:Net net.pt2                  what the export changed
"""

Into = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help=f"The file to write; its suffix names the format: {', '.join(EXPORTED)}."
    ),
]


@with_groups(without=("device", "output"))
def export(target: options.Target = "alexnet", *, into: Into = None, run: options.Run, page: options.Page) -> None:
    """Write a model to a file that other programs run, and check the file by reading it again.

    The weights are those that the model is built with; a model without trained weights is exported with random ones.
    Exit 1 if the file has other parameters or MACs than the model for a reason that is not known.
    """
    if into is None:
        raise UsageError("no file was given", "as in -o net.pt2")
    check_file(into)
    page.out().answer(answer(run.session(target), into))
