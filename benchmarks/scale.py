"""Deep models in one process: what a trace adds to a bare forward on the CPU, and how it grows."""

from __future__ import annotations

import contextlib
import gc
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torchinfo
import torchsummary
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from alexnet_cli.__main__ import RARELY
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.rows import RowBuilder

BLOCKS = (300, 3000)
RUNS = 5
SIZES = {
    (8, 8): "Blocks of 8 channels, 8×8: a bare forward is little more than torch's own calls",
    (32, 16): "Blocks of 32 channels, 16×16: the convolutions compute for about half of a bare forward",
}
"""Channels and sides of the maps. With the second, 3,000 blocks take about half a second bare on two slow cores."""


class Block(nn.Module):
    """A residual block of two convolutions with batch norms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        hidden = torch.relu(self.norm1(self.conv1(maps)))
        return torch.relu(self.norm2(self.conv2(hidden)) + maps)


def bare(model: nn.Module, images: Tensor) -> None:
    """Run the model."""
    with torch.no_grad():
        model(images)


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves the base untyped
    """Does nothing but let each operator run."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator."""
        del types
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    """Does nothing but let each function run."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function."""
        del types
        return func(*args, **(kwargs or {}))


def empty(model: nn.Module, images: Tensor) -> None:
    """Run the model in the two modes that a trace needs, empty: the least that seeing every operator can cost."""
    with torch.no_grad(), Functions(), Operators():
        model(images)


def ours(model: nn.Module, images: Tensor) -> None:
    """Trace the model and build its rows."""
    recorder = Recorder(torch.device("cpu"), model)
    with torch.no_grad(), recorder.recording():
        model(images)
    RowBuilder(model, recorder.touched, recorder.purposes).build(recorder.root)


def by_torchinfo(model: nn.Module, images: Tensor) -> None:
    """Summarise the model with torchinfo."""
    torchinfo.summary(model, input_data=images, verbose=0, device="cpu")


def by_torchsummary(model: nn.Module, images: Tensor) -> None:
    """Summarise the model with torchsummary."""
    torchsummary.summary(model, tuple(images.shape[1:]), device="cpu")


def by_torch(model: nn.Module, images: Tensor) -> None:
    """Count the model's FLOPs with torch's counter."""
    with torch.no_grad(), FlopCounterMode(display=False):
        model(images)


TOOLS: dict[str, Callable[[nn.Module, Tensor], None]] = {
    "bare forward": bare,
    "empty modes": empty,
    "alexnet": ours,
    "torchinfo": by_torchinfo,
    "FlopCounterMode": by_torch,
    "torchsummary": by_torchsummary,
}


def seconds(run: Callable[[nn.Module, Tensor], None], model: nn.Module, images: Tensor) -> float:
    """Return the seconds of one run, after collecting the garbage of earlier ones."""
    gc.collect()
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        run(model, images)
    return time.perf_counter() - start


def measured(channels: int, side: int) -> dict[str, list[float]]:
    """Return the median of each tool for the smaller and the larger model; the tools run in turns."""
    models = [nn.Sequential(*[Block(channels) for _ in range(count)]).eval() for count in BLOCKS]
    images = torch.rand(1, channels, side, side)
    times: dict[str, list[list[float]]] = {name: [[] for _ in models] for name in TOOLS}
    for turn in range(RUNS + 1):
        for name, run in TOOLS.items():
            for place, model in enumerate(models):
                taken = seconds(run, model, images)
                if turn:  # the first is to warm up
                    times[name][place].append(taken)
    return {name: [statistics.median(runs) for runs in found] for name, found in times.items()}


def table() -> str:
    """Return the results as Markdown tables."""
    gc.set_threshold(*RARELY)  # as in the program; it helps the others too
    few, many = (f"{count:,} blocks" for count in BLOCKS)
    lines = []
    for (channels, side), title in SIZES.items():
        found = measured(channels, side)
        base = found["bare forward"]
        lines += [f"{title}.", "", f"| | {few} | against bare | {many} | against bare | ten times the blocks |"]
        lines += ["|---|---|---|---|---|---|"]
        for name, (short, long) in found.items():
            cells = (name, f"{short:.3f} s", f"{short / base[0]:.1f}", f"{long:.2f} s", f"{long / base[1]:.1f}")
            lines.append(f"| {' | '.join(cells)} | {long / short:.1f} |")
        lines.append("")
    return "\n".join(lines).rstrip()
