"""Llama 3 405B in published layouts, on shapes alone, beside the MFU or the memory that was measured: rows of a table.

The layouts, batches, and measured MFU of `8192` and `16384` are those of "The Llama 3 Herd of Models",
arXiv:2407.21783, table 4, the first two rows, with sequence parallelism as in Megatron. By its section 3.3.2 stages are
interleaved, and the first part embeds alone and the last predicts alone: so parts have one of the 126 blocks, and each
GPU has eight. `512` is torchtitan's (its benchmarks/llama3_h100_202412_torchtitan.md, table 5), with as many
micro-batches as stages, its default. Give `none`, `selective` or `full` for what blocks run again in the backward, and
rows and schedules by name:

    python published_layouts.py selective 8192:1f1b 8192:interleaved
"""

from __future__ import annotations

import sys
import time

import torch
from msgspec.structs import replace
from transformers import LlamaConfig, LlamaForCausalLM

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.sharding.links import links_of
from alexnet_cli.analyses.sharding.memory import rank_memory
from alexnet_cli.analyses.sharding.pipeline import staged
from alexnet_cli.rank import Layout
from alexnet_cli.session.ranks import traced_stages
from alexnet_cli.session.session import Example, Live, Session
from alexnet_cli.tracing.options import Parallel, TraceOptions, TrainingStep

ROWS = {
    "8192": (Layout(pp=16, fsdp=64, tp=8, sp=True, micro_batches=32), 32, "MFU 43 %"),
    "16384": (Layout(pp=16, fsdp=128, tp=8, sp=True, micro_batches=16), 16, "MFU 41 %"),
    "512": (Layout(pp=8, fsdp=8, tp=8, sp=True, micro_batches=8), 32, "82.5 GiB with 1F1B"),
}
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


def row(name: str, schedule: str, checkpoint: str, *, sp: bool) -> str:
    """Return a row: the fullest stage with its parts, the emptiest, the bubble and the MFU."""
    layout, samples, measured = ROWS[name]
    layout = replace(layout, sp=sp)
    if schedule == "interleaved":
        layout = replace(layout, schedule="interleaved", chunks=PARTS)
    example = Example((torch.zeros(samples, TOKENS, dtype=torch.long, device="meta"),), {})
    session = Session(Live(llama(), example), TraceOptions(batch_size=samples), cache=False)
    began = time.process_time()
    step = TrainingStep("adamw", "bf16", foreach=True)
    ranks = traced_stages(session, Parallel(layout, checkpoint=checkpoint), step)
    found = staged(ranks, Roof(GPU), links_of(GPU.name))
    took = time.process_time() - began
    memories = [rank_memory(rank) for rank in ranks]
    fullest = max(memories, key=lambda memory: memory.peak_bytes)
    parts = sorted(fullest.peak.live_bytes.items(), key=lambda part: -part[1])
    cells = [
        f"{layout.gpus:,}",
        f"TP {layout.tp}{' with SP' if sp else ''}, PP {layout.pp}, DP {layout.fsdp}",
        schedule,
        checkpoint,
        f"{fullest.peak_bytes / 2**30:.1f} GiB in stage {memories.index(fullest)}",
        ", ".join(f"{use} {size / 2**30:.1f}" for use, size in parts if size > 2**26),
        f"{min(memory.peak_bytes for memory in memories) / 2**30:.1f} GiB",
        f"{found.pipeline.bubble:.1%}",
        f"{found.floors.mfu:.1%}",
        measured,
        f"{took:.0f} s",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    given = [each for each in sys.argv[1:] if each != "--no-sp"]
    checkpoint, *chosen = given or ["full"]
    for each in chosen or [f"{name}:{schedule}" for name in ROWS for schedule in ("1f1b", "interleaved")]:
        name, _, schedule = each.partition(":")
        print(row(name, schedule or "1f1b", checkpoint, sp="--no-sp" not in sys.argv), flush=True)
