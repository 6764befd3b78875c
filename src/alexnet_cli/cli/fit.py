"""`alexnet fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from alexnet_cli.analyses.fitting.tried import KINDS
from alexnet_cli.answers.fit import fit as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups

EPILOG = """
\b
Examples:
  alexnet fit -b 1024 --gpu gtx-580                     what makes a batch of 1,024 fit, the cheapest first
  alexnet fit -b 256 --optimizer adamw --budget 1.5GiB  for any memory; with --gpu too, the time is that GPU's
  alexnet fit -b 1024 --gpu gtx-580 --emit patch.py     the change as code, with a training step
  alexnet fit -b 1024 --gpu gtx-580 --without amp --without optimizer
  alexnet fit -b 64 --optimizer adamw --budget 300MiB --lora 8
  alexnet fit -b 64 --budget 700MiB --for cpu           as on this machine's CPU
  alexnet fit -b 1024 --gpu gtx-580 --json | jq .chosen.change
"""

Asked: Any = options_of(
    answer,
    gpu=typer.Option(
        metavar="NAME", help="The GPU: its memory is the budget, and its speed tells what a change costs."
    ),
    budget=typer.Option(metavar="SIZE", help="The memory that a step may take: 24GiB or 24GB; default: the GPU's."),
    optimizer=options.Optimizer,
    amp=options.Amp,
    foreach=typer.Option("--foreach/--no-foreach", help="Update all parameters at once, as torch does on CUDA."),
    loss=options.Loss,
    lora=typer.Option(
        metavar="RANK",
        help="Try LoRA and QLoRA of this rank too; by default of rank 16, and only where nothing else fits.",
        show_default=False,
    ),
    without=Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHANGE",
            help=f"Do not try changes of this kind: {', '.join(KINDS)}; repeatable.",
            autocompletion=lambda: list(KINDS),
        ),
    ],
    predict_for=options.PredictFor,
    emit=Annotated[
        Path | None,
        typer.Option(metavar="FILE.py", help="Write the chosen change as Python code: functions and a training step."),
    ],
)


@with_groups(without=("device", "train"))
def fit(target: options.Target = "alexnet", *, asked: Asked, run: options.Run, page: options.Page) -> None:
    """Find what makes a training step fit in memory, and write the code for it.

    Exit 1 if nothing that was tried fits.
    """
    page.out().answer(answer(run.session(target), **vars(asked)))
