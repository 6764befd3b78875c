"""The same run made faster: its model compiled by `torch.compile`, or all its kernels launched by a CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from alexnet_cli.errors import ForwardError, UsageError, first_line
from alexnet_cli.torch_insides import compiled_graphs, no_compiler
from alexnet_cli.tracing.devices import out_of_memory
from alexnet_cli.tracing.recording.runs import Forward, Step

BACKEND = "inductor"
"""What makes kernels of a graph."""
_WARM_UP = 3
"""How often a run is made before it is recorded: as many as torch's notes on CUDA graphs have."""


@dataclass
class CompiledRun:
    """A run whose model torch compiles when it first runs; `before` is how much it had compiled until then."""

    run: Forward | Step
    before: tuple[int, int]

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Let compiled code run as such inside, which a trace does not."""
        with torch.compiler.set_stance("default"), _without_torchs_warnings():
            yield

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Tell why what runs inside cannot be compiled.

        Raises:
            UsageError: a compiler is missing.
            ForwardError: torch cannot compile the model.
        """
        try:
            yield
        except Exception as error:  # whatever torch's compiler, or what it calls, raises
            missing = no_compiler(error)
            if missing is not None:
                raise UsageError(f"--compile needs {missing[0]}, and torch found none", missing[1]) from error
            hint = "without --compile it is timed as it is; torch says more with TORCH_LOGS=+dynamo in the environment"
            raise ForwardError(f"torch.compile fails on this model: {_first_sentence(error)}", hint) from error

    def graphs(self) -> tuple[int | None, int | None]:
        """Return how many graphs were compiled, and at how many places one ended; None if torch does not tell."""
        now = compiled_graphs()
        return (None, None) if now is None else (now[0] - self.before[0], now[1] - self.before[1])


@contextmanager
def _without_torchs_warnings() -> Iterator[None]:
    """Leave out what the compiler has to say about torch's own code: nobody who compiles a model can change that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _first_sentence(error: BaseException) -> str:
    """Return the first line of what was said, and the next where the first is only its heading."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first, *rest = lines or [type(error).__name__]
    return f"{first} {rest[0]}" if rest and first.endswith(":") else first


def compiled_run(run: Forward | Step) -> CompiledRun:
    """Return the run with its model compiled, for its own shapes alone.

    What this process compiled before is forgotten: else another batch of the same code would be compiled for all sizes.
    """
    with _without_torchs_warnings():
        torch.compiler.reset()
        compiled = cast("nn.Module", torch.compile(run.model, dynamic=False, backend=BACKEND))
    before = compiled_graphs() or (0, 0)
    if isinstance(run, Forward):
        return CompiledRun(replace(run, model=compiled), before)
    return CompiledRun(replace(run, forward=replace(run.forward, model=compiled)), before)


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
