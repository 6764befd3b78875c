"""`alexnet shard`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from alexnet_cli.answers.shard import shard as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups
from alexnet_cli.rank import SCHEDULES
from alexnet_cli.session.how import CHECKPOINTS

EPILOG = """
\b
Examples:
  alexnet shard --gpus 8                                    FSDP over 8 GPUs
  alexnet shard --gpus 8 --gpu h100-sxm -b 64               whether it fits, and the least time of a step
  alexnet shard --ddp 8 --gpu a100-80gb -b 64               replicas, with DDP
  alexnet shard --ddp 4 --fsdp 8 --gpu h100-sxm             HSDP: 4 replicas, each sharded among 8
  alexnet shard Qwen3-8B --fsdp 8 --amp bf16 --checkpoint full
  alexnet shard Qwen3-8B --pp 2 --micro-batches 16 -b 16    pipeline stages, with 1F1B
  alexnet shard ./Mixtral-8x7B --fsdp 16 --ep 8 --amp bf16  experts among 8 of 16 GPUs
  alexnet shard Qwen3-8B --fsdp 4 --cp 2 -i 32768:int64     sequences in two parts
  alexnet shard Llama-3.1-8B --tp 2 --sp --gpu h100-sxm     tensor and sequence parallel
  alexnet shard networks.py:Encoder --tp 4 --plan networks.py:plan   tensor parallel by your own plan
  alexnet shard Qwen3-8B --fit --gpu h100-sxm --amp bf16    the fewest GPUs that it fits
  alexnet shard Qwen3-8B --fit --gpus 64 --gpu h100-sxm     the layouts of 64 GPUs, the fastest first
  alexnet shard --gpus 8 --json | jq .memory.peak_bytes
"""


def _size(text: str) -> Any:
    return typer.Option(min=1, metavar="N", help=text, show_default=False)


Asked: Any = options_of(
    answer,
    gpus=_size("The number of GPUs; what the other sizes leave over is for --fsdp."),
    fsdp=_size("Shards of weights, gradients and optimiser state: torch's fully_shard."),
    tp=_size("Shards of each layer: torch's parallelize_module, by the model's own tp_plan or --plan."),
    ddp=_size("Replicas: DDP, or with --fsdp replicas of the shards (HSDP)."),
    pp=_size("Pipeline stages, cut between blocks; torch's own schedules run them."),
    schedule=typer.Option(
        metavar="NAME",
        help=f"How the micro-batches of a pipeline run: {', '.join(SCHEDULES)} (two parts of the model on each GPU, or "
        "interleaved:N); default: 1f1b.",
        autocompletion=lambda: list(SCHEDULES),
    ),
    micro_batches=_size("How many micro-batches the batch of a pipeline is split into; default: one for each stage."),
    ep=_size("Shards of the experts of each mixture, among the GPUs of --fsdp; tokens travel to their experts."),
    cp=_size(
        "Parts of each sequence, by torch's ring attention; these GPUs shard the state too, with those of --fsdp."
    ),
    sp=typer.Option(
        "--sp",
        help="With --tp, sequence parallelism: what is outside of matrix products, such as norms, is split along the "
        "sequence. By the model's own tp_plan.",
    ),
    reshard=typer.Option(
        metavar="yes|no|N",
        help="Whether FSDP frees gathered weights after each forward (ZeRO-3), keeps them until the backward (ZeRO-2), "
        "or keeps them sharded among N GPUs.",
    ),
    gpu=typer.Option(metavar="NAME", help="Check whether it fits this GPU, and how long a step takes at least."),
    link=typer.Option(metavar="BYTES", help="Bandwidth within a node, for each GPU and direction: 450GB/s."),
    network=typer.Option(metavar="BYTES", help="Bandwidth between nodes, for each GPU and direction: 50GB/s."),
    node=_size("GPUs in a node; default: 8."),
    optimizer=options.Optimizer,
    amp=options.Amp,
    checkpoint=typer.Option(
        metavar="HOW",
        help=f"What the blocks run again in the backward: {', '.join(CHECKPOINTS)}; selective keeps the results of "
        "matrix products, convolutions and attention.",
        autocompletion=lambda: list(CHECKPOINTS),
    ),
    inference=typer.Option("--inference", help="A forward without gradients instead of a training step."),
    wrap=Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="The class of the blocks that are sharded and checkpointed one by one; repeatable. Default: those "
            "that repeat, or that a transformers model names.",
        ),
    ],
    plan=typer.Option(
        metavar="FILE:NAME",
        help="A tensor parallel plan: a dict of paths and styles as parallelize_module takes it, or a function of the "
        "model that returns one.",
    ),
    foreach=typer.Option("--foreach/--no-foreach", help="Update all parameters at once, as torch does on CUDA."),
    fit=typer.Option(
        "--fit", help="Search: the fewest GPUs that the model fits, or with --gpus the layouts from the fastest on."
    ),
    timeline=typer.Option("--timeline", help="Add to the JSON what is live while each operator runs."),
)


@with_groups(without=("device", "train"))
def shard(target: options.Target = "alexnet", *, asked: Asked, run: options.Run, page: options.Page) -> None:
    """Show what one GPU of many holds and sends, and the least time of a step."""
    page.out().answer(answer(run.session(target), **vars(asked)))
