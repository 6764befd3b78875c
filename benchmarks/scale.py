"""Deep models in one process: what a trace adds to a bare forward on the CPU, and how it grows."""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from collections.abc import Callable

import torch
import torchinfo
import torchsummary
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from alexnet_cli.tracing.recorder import Recorder
from alexnet_cli.tracing.rows import RowBuilder

CHANNELS, SIDE = 8, 8


class Block(nn.Module):
    """A residual block of two convolutions with batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(CHANNELS)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(CHANNELS)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        hidden = torch.relu(self.norm1(self.conv1(maps)))
        return torch.relu(self.norm2(self.conv2(hidden)) + maps)


def bare(model: nn.Module, images: Tensor) -> None:
    """Run the model."""
    with torch.no_grad():
        model(images)


def ours(model: nn.Module, images: Tensor) -> None:
    """Trace the model and build its rows."""
    recorder = Recorder(torch.device("cpu"), model.parameters())
    with torch.no_grad(), recorder.recording():
        model(images)
    RowBuilder(model, recorder.touched).build(recorder.root)


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


def seconds(run: Callable[[nn.Module, Tensor], None], model: nn.Module, runs: int) -> float:
    """Return the median of several runs."""
    images = torch.rand(1, CHANNELS, SIDE, SIDE)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            run(model, images)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def table() -> str:
    """Return the results as a Markdown table."""
    small, large = (nn.Sequential(*[Block() for _ in range(count)]).eval() for count in (300, 3000))
    bare(large, torch.rand(1, CHANNELS, SIDE, SIDE))
    base = {model: seconds(bare, model, 5) for model in (small, large)}
    head = "| | 300 blocks | against bare | 3,000 blocks | against bare | ten times the blocks |"
    lines = [head, "|---|---|---|---|---|---|"]
    tools = {
        "bare forward": bare,
        "alexnet": ours,
        "torchinfo": by_torchinfo,
        "FlopCounterMode": by_torch,
        "torchsummary": by_torchsummary,
    }
    for name, run in tools.items():
        runs = 1 if run is by_torchsummary else 5
        few, many = seconds(run, small, runs), seconds(run, large, runs)
        cells = (name, f"{few:.2f} s", f"{few / base[small]:.1f}", f"{many:.2f} s", f"{many / base[large]:.1f}")
        lines.append(f"| {' | '.join(cells)} | {many / few:.1f} |")
    return "\n".join(lines)
