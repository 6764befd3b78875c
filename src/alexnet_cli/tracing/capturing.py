"""The same run recorded into a CUDA graph, which launches all its kernels at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from alexnet_cli.errors import ForwardError, first_line
from alexnet_cli.tracing.devices import out_of_memory

_WARM_UP = 3
"""How often a run is made before it is recorded: as many as torch's notes on CUDA graphs have."""


def captured(work: Callable[[], None], model: nn.Module, device: torch.device) -> Callable[[], None]:
    """Record what `work` runs on a CUDA device, and return what runs it again, on the same memory.

    As torch's notes say, it is warmed up on another stream, and gradients are let go of, so that a backward makes them
    in the graph's own memory.

    Raises:
        ForwardError: it cannot be recorded, as it waits for a value or copies one from the CPU.
    """
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.device(device):
            aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch leaves it untyped
            current = torch.cuda.current_stream()
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UP):
                    model.zero_grad(set_to_none=True)
                    work()
            current.wait_stream(aside)
            model.zero_grad(set_to_none=True)
            with torch.cuda.graph(graph):
                work()
    except Exception as error:  # whatever torch or the model's code raises while it is recorded
        if out_of_memory(error):
            raise
        hint = "it can neither wait for values nor copy them from the CPU; without --cuda-graph it is timed as it is"
        raise ForwardError(f"this run cannot be recorded into a CUDA graph: {first_line(error)}", hint) from error
    replay: Callable[[], None] = graph.replay
    return replay
