"""`alexnet oom`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from alexnet_cli.answers.oom import oom as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups

EPILOG = """
\b
Examples:
  alexnet oom snapshot.pickle                     what was live, by line, and why the request failed
  alexnet oom snapshot.pickle net.py:Net -b 64 --optimizer adamw
                                                  which layers' tensors it was, and what nobody predicted
  alexnet oom snapshot.pickle --json | jq .failure.request

To get a snapshot, call torch.cuda.memory._record_memory_history() before the run, and where the error is caught
torch.cuda.memory._dump_snapshot("snapshot.pickle").
"""

Snapshot = Annotated[
    str, typer.Argument(metavar="SNAPSHOT", help="What torch.cuda.memory._dump_snapshot wrote. No code in it runs.")
]
Target = Annotated[
    str | None,
    typer.Argument(
        metavar="[TARGET]",
        help="The model that was trained: as for the other commands. Left out: only what the snapshot shows.",
        show_default=False,
    ),
]
Asked: Any = options_of(
    answer,
    optimizer=options.Optimizer,
    amp=options.Amp,
    foreach=typer.Option(
        "--foreach/--no-foreach",
        help="The optimizer updates all parameters at once, as torch does on CUDA, or one by one.",
        show_default=False,
    ),
)


@with_groups(without=("device", "train"))
def oom(snapshot: Snapshot, target: Target = None, *, asked: Asked, run: options.Run, page: options.Page) -> None:
    """Tell what filled a GPU when memory ran out, from a snapshot of it."""
    page.out().answer(answer(None if target is None else run.session(target), snapshot, **vars(asked)))
