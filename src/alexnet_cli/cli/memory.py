"""`alexnet memory`."""

from __future__ import annotations

from typing import Any

import typer

from alexnet_cli.analyses.serving.assumed import FORMATS
from alexnet_cli.answers.memory import memory as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups

EPILOG = """
\b
Examples:
  alexnet memory                                 a forward and a step of SGD, batch 1
  alexnet memory -b 128 --optimizer adam         with Adam's state
  alexnet memory -b 128 --amp bf16               in mixed precision
  alexnet memory --loss cross-entropy            with the scores of a loss over classes
  alexnet memory --gpu t4                        whether it fits, and the largest batch that does
  alexnet memory --capacity 24GiB                the same for any device
  alexnet memory --for cpu                       as on this machine's CPU
  alexnet memory --json | jq .training.peak_bytes
  alexnet memory ./Qwen3-8B --context 8192 -b 8  a language model at work: cache, prompt and token
"""

Asked: Any = options_of(
    answer,
    optimizer=options.Optimizer,
    amp=options.Amp,
    loss=options.Loss,
    gpu=typer.Option(metavar="NAME", help="Check whether it fits this GPU, and find the largest batch that does."),
    capacity=typer.Option(metavar="SIZE", help="The same for any device, by its memory: 24GiB or 24GB."),
    foreach=typer.Option(
        "--foreach/--no-foreach",
        help="Update all parameters at once, as torch does on CUDA, or one by one, as on the CPU; "
        "default: at once with --gpu or --capacity.",
        show_default=False,
    ),
    context=typer.Option(
        min=1,
        metavar="TOKENS",
        help="Show what a language model holds while it is used: weights, cache, a prompt of so many tokens, and the "
        "token at that place; with --gpu or --capacity, the longest context and the largest batch that fit.",
        show_default=False,
    ),
    kv_dtype=typer.Option(
        metavar="FORMAT",
        help=f"With --context: assume keys and values in this format: {', '.join(FORMATS)}.",
        autocompletion=lambda: list(FORMATS),
    ),
    weights_dtype=typer.Option(
        metavar="FORMAT",
        help="With --context: assume the weights of linear layers in this format, scales included.",
        autocompletion=lambda: list(FORMATS),
    ),
    last_logits=typer.Option(
        "--last-logits", help="With --context: ask the model for the logits of the prompt's last token alone."
    ),
    predict_for=options.PredictFor,
    timeline=typer.Option("--timeline", help="Add to the JSON what is live while each operator runs."),
)


@with_groups(without=("device", "train"))
def memory(target: options.Target = "alexnet", *, asked: Asked, run: options.Run, page: options.Page) -> None:
    """Show what a forward and a training step hold in memory, and whether it fits."""
    page.out().answer(answer(run.session(target), **vars(asked)))
