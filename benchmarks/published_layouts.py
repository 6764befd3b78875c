"""Llama 3 405B in the layouts of its report, on shapes alone, beside the MFU that was measured: rows of a table.

The layouts, batches, and measured MFU are those of "The Llama 3 Herd of Models", arXiv:2407.21783, table 4, the first
two rows, with sequence parallelism as in Megatron. Give `none` or `full` for what blocks run again in the backward,
numbers of GPUs for some rows only, and `--no-sp` for tensor parallelism alone:

    python published_layouts.py none 8192
"""

from __future__ import annotations

import sys
import time
from itertools import accumulate

import torch
from msgspec.structs import replace
from transformers import LlamaConfig, LlamaForCausalLM

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.sharding.floors import passes_seconds
from alexnet_cli.analyses.sharding.links import links_of
from alexnet_cli.analyses.sharding.pipeline import bubble, staged
from alexnet_cli.rank import Layout
from alexnet_cli.session.session import Example, Live, Session
from alexnet_cli.tracing.options import Parallel, TraceOptions, TrainingStep

ROWS = {8192: (Layout(pp=16, fsdp=64, tp=8, sp=True, micro_batches=32), 0.43)}
ROWS[16384] = (Layout(pp=16, fsdp=128, tp=8, sp=True, micro_batches=16), 0.41)
TOKENS, PARTS = 8192, 8
GPU = find_hardware("h100-sxm")


def llama() -> torch.nn.Module:
    """Build the model on `meta`."""
    config = LlamaConfig(
        hidden_size=16384,
        intermediate_size=53248,
        num_hidden_layers=126,
        num_attention_heads=128,
        num_key_value_heads=8,
        vocab_size=128256,
        max_position_embeddings=131072,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def row(gpus: int, checkpoint: str, *, sp: bool) -> str:
    """Return a row: peaks of the fullest and the emptiest stage, bubble and MFU with 1F1B and with interleaved parts.

    The latter is that of the same stages, which fill as much sooner as a part is smaller.
    """
    layout, measured = ROWS[gpus]
    layout = replace(layout, sp=sp)
    samples = layout.micro_batches
    example = Example((torch.zeros(samples, TOKENS, dtype=torch.long, device="meta"),), {})
    session = Session(Live(llama(), example), TraceOptions(batch_size=samples), cache=False)
    began = time.process_time()
    step = TrainingStep("adamw", "bf16", foreach=True)
    ranks = session.stages(Parallel(layout, checkpoint=checkpoint), step)
    roof, links = Roof(GPU), links_of(GPU.name)
    found = staged(ranks, roof, links)
    took = time.process_time() - began
    peaks = [memory.peak_bytes for memory in found.memories]
    mfu, seconds = found.floors.mfu, found.floors.step_seconds
    busy = [stage.busy_seconds for stage in found.pipeline.stages]
    passes = [passes_seconds(rank, roof) / samples / PARTS for rank in ranks[:-1]]
    sooner = max(map(sum, zip(busy, accumulate(passes, initial=0.0), strict=True)))
    bubbles = bubble(layout), bubble(replace(layout, chunks=PARTS))
    cells = [
        f"{gpus:,}",
        f"TP {layout.tp}{' with SP' if sp else ''}, PP {layout.pp}, DP {layout.fsdp}",
        checkpoint,
        f"{max(peaks) / 2**30:.1f} GiB",
        f"{min(peaks) / 2**30:.1f} GiB",
        f"{bubbles[0]:.1%} / {bubbles[1]:.1%}",
        f"{mfu:.1%} / {mfu * seconds / sooner:.1%}",
        f"{measured:.0%}",
        f"{took:.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    given = [each for each in sys.argv[1:] if each != "--no-sp"]
    checkpoint, *chosen = given or ["full"]
    for gpus in map(int, chosen or ROWS):
        print(row(gpus, checkpoint, sp="--no-sp" not in sys.argv), flush=True)
