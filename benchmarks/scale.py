"""Deep models in one process: what a trace adds to a bare forward on the CPU, and how it grows."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchinfo
import torchsummary
import vram_check
from apart import apart
from effort import QUICK, runs
from kitsune.predict import predict_memory
from torch import Tensor, nn
from torch.distributed._tools.mem_tracker import MemTracker
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from alexnet_cli.__main__ import RARELY
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.rows import RowBuilder
from alexnet_cli.tracing.recording.runs import Forward

BLOCKS = (30, 300) if QUICK else (300, 3000)
RUNS = runs(3)
SLOW = 1.5
"""Seconds from which a run is not repeated; a tool that takes them for the smaller model does not get the larger."""
SIZES = {
    (8, 8): "Blocks of 8 channels, 8×8: a bare forward is little more than torch's own calls",
    (32, 16): "Blocks of 32 channels, 16×16: the convolutions compute for about half of a bare forward",
}
"""Channels and sides of the maps. With the second, 3,000 blocks take about half a second bare on two slow cores."""
AGAIN = ("bare forward", "empty modes", "alexnet", "torchinfo", "FlopCounterMode", "torchsummary")
"""What is run with the second as well: the others compute nothing, or take seconds for a few hundred blocks."""


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
    """Trace the model and build its rows; on `meta` also the tape, as in the program."""
    recorder = Recorder(images.device, model, taping=images.is_meta)
    recorder.feed(model, [images], {})
    Forward(model, [images], {}).record(recorder)
    rows = RowBuilder(model, recorder.touched, recorder.purposes)
    rows.build(recorder.root)
    if recorder.tape is not None:
        recorder.tape.finish(rows.row_of)


def by_torchinfo(model: nn.Module, images: Tensor) -> None:
    """Summarise the model with torchinfo."""
    torchinfo.summary(model, input_data=images, verbose=0, device=images.device)


def by_torchsummary(model: nn.Module, images: Tensor) -> None:
    """Summarise the model with torchsummary."""
    torchsummary.summary(model, tuple(images.shape[1:]), device="cpu")


def by_torch(model: nn.Module, images: Tensor) -> None:
    """Count the model's FLOPs with torch's counter."""
    with torch.no_grad(), FlopCounterMode(display=False):
        model(images)


def by_kitsune(model: nn.Module, images: Tensor) -> None:
    """Predict the model's memory with kitsune."""
    predict_memory(model, tuple(images.shape[1:]), training=False)


def by_vram_check(model: nn.Module, images: Tensor) -> None:
    """Predict the model's memory with vram-check, which runs nothing."""
    del images
    vram_check.analyze(model, training=False)


def by_mem_tracker(model: nn.Module, images: Tensor) -> None:
    """Track the model's memory with torch's MemTracker."""
    tracker = MemTracker()
    tracker.track_external(model, images)
    with torch.no_grad(), tracker:
        model(images)


def by_torchlens(model: nn.Module, images: Tensor) -> None:
    """Trace the model with TorchLens."""
    import torchlens  # changes torch for all that comes after it

    torchlens.trace(model, images)


Tool = Callable[[nn.Module, Tensor], None]
TOOLS: dict[str, Tool] = {
    "bare forward": bare,
    "empty modes": empty,
    "alexnet": ours,
    "torchinfo": by_torchinfo,
    "FlopCounterMode": by_torch,
    "torchsummary": by_torchsummary,
    "MemTracker": by_mem_tracker,
    "kitsune": by_kitsune,
    "vram-check": by_vram_check,
    "bare forward, meta": bare,
    "alexnet, meta": ours,
    "torchinfo, meta": by_torchinfo,
    "FlopCounterMode, meta": by_torch,
}
ALONE: dict[str, Tool] = {"TorchLens": by_torchlens}
"""Tools that change torch: each runs in a process of its own."""


def seconds(run: Tool, model: nn.Module, images: Tensor) -> float:
    """Return the seconds of CPU time of one run, after collecting the garbage of earlier ones."""
    gc.collect()
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        run(model, images)
    return time.process_time() - start


def material(channels: int, side: int) -> tuple[list[nn.Module], Tensor]:
    """Return the smaller and the larger model, and an input."""
    models = [nn.Sequential(*[Block(channels) for _ in range(count)]).eval() for count in BLOCKS]
    return models, torch.rand(1, channels, side, side)


def alone(name: str, channels: int, side: int) -> list[list[float]]:
    """Return the seconds of a tool that changes torch for both models, none for the larger if the smaller is slow."""
    torch.set_num_threads(1)
    models, images = material(channels, side)
    times: list[list[float]] = []
    for model in models:
        times.append([seconds(ALONE[name], model, images)])
        if times[-1][0] > SLOW:
            break
        times[-1] = [seconds(ALONE[name], model, images) for _ in range(RUNS)]  # the first was to warm up
    return times


def measured(names: Sequence[str], channels: int, side: int) -> dict[str, list[float]]:
    """Return the median of each of these tools for the smaller and, unless that is slow, the larger model.

    The tools run in turns.
    """
    times = {name: apart(alone, name, channels, side) for name in names if name in ALONE}  # before there are threads
    tools = {name: run for name, run in TOOLS.items() if name in names}
    models, images = material(channels, side)
    on_meta = [copy.deepcopy(model).to("meta") for model in models], images.to("meta")
    for turn in range(RUNS + 1):
        for name, run in tools.items():
            found = times.setdefault(name, [[] for _ in models])
            where, given = on_meta if name.endswith("meta") else (models, images)
            for place, model in enumerate(where):
                if found[place] and found[place][0] > SLOW:
                    break
                taken = seconds(run, model, given)
                if turn or taken > SLOW:  # the first is to warm up
                    found[place].append(taken)
                if taken > SLOW:
                    break
    return {name: [statistics.median(each) for each in times[name] if each] for name in names}


def table() -> str:
    """Return the results as Markdown tables."""
    gc.set_threshold(*RARELY)  # as in the program; it helps the others too
    torch.set_num_threads(1)
    few, many = (f"{count:,} blocks" for count in BLOCKS)
    lines = [
        "CPU time, one thread, on the CPU or, where it says so, on `meta`, where `alexnet` runs by default; all is",
        f"compared with the bare forward on the CPU. What takes over {SLOW} s is run once, and a tool that takes as",
        f"long for {few} is not run for more. The second table has those whose time depends on what is computed.",
        "",
    ]
    for ((channels, side), title), names in zip(SIZES.items(), ((*TOOLS, *ALONE), AGAIN), strict=True):
        found = measured(names, channels, side)
        base = found["bare forward"]
        lines += [f"{title}.", "", f"| | {few} | against bare | {many} | against bare | ten times the blocks |"]
        lines += ["|---|---|---|---|---|---|"]
        for name, (short, *long) in found.items():
            cells = [name, f"{short:.3f} s", f"{short / base[0]:.1f}"]
            more = [f"{each:.2f} s | {each / base[1]:.1f} | {each / short:.1f}" for each in long]
            cells += more or ["not run", "", ""]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip()
