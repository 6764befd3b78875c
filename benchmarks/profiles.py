"""Measured times of ten networks on the CPU: what layers add up to, which are slowest, and whether it is so again.

The slowest layers are held against torch.profiler with a range around each module that has no parts, which is opened
by hooks of our own: it knows nothing of the program's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median

import torch
from apart import apart
from effort import QUICK, runs
from memory_models import Residual
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from alexnet_cli import inspect
from alexnet_cli.models.alexnet import AlexNet

SECONDS = 0.5 if QUICK else 4.0
_RUNS = runs(15)
_TRACES = runs(3)
_SLOWEST = 5


class Last(nn.Module):
    """The last output of a recurrent layer."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Take samples × steps × 128."""
        return self.head(self.recurrent(x)[0][:, -1])


class Decoder(nn.Module):
    """A decoder of layers as torch has them."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(1000, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True) for _ in range(depth)
        )
        self.head = nn.Linear(width, 1000)

    def forward(self, ids: Tensor) -> Tensor:
        """Take samples × tokens."""
        x = self.tokens(ids)
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.head(x)


def _convolutions(dimensions: int, *widths: int) -> nn.Sequential:
    convolution, pool = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1], (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [convolution(before, after, 3, padding=1), nn.ReLU(), pool[dimensions - 1](2)]
    return nn.Sequential(*layers)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "AlexNet": (AlexNet, lambda: torch.rand(1, 3, 227, 227)),
    "residual": (
        lambda: nn.Sequential(Residual(16, 32, 2), Residual(32, 64, 2), Residual(64, 128, 2)),
        lambda: torch.rand(8, 16, 64, 64),
    ),
    "VGG-like": (lambda: _convolutions(2, 3, 64, 128, 256), lambda: torch.rand(2, 3, 128, 128)),
    "1-D convolutions": (lambda: _convolutions(1, 64, 128, 256, 256), lambda: torch.rand(4, 64, 4096)),
    "3-D convolutions": (lambda: _convolutions(3, 1, 16, 32, 64), lambda: torch.rand(1, 1, 32, 64, 64)),
    "MLP": (
        lambda: nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 1024), nn.GELU(), nn.Linear(1024, 256)),
        lambda: torch.rand(64, 512),
    ),
    "decoder": (lambda: Decoder(256, 3), lambda: torch.randint(1000, (2, 128))),
    "LSTM": (lambda: Last(nn.LSTM(128, 256, batch_first=True)), lambda: torch.rand(8, 32, 128)),
    "GRU": (lambda: Last(nn.GRU(128, 256, batch_first=True)), lambda: torch.rand(8, 32, 128)),
    "separable": (
        lambda: nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.Conv2d(32, 128, 1), nn.BatchNorm2d(128), nn.ReLU6(),
            nn.Conv2d(128, 128, 3, padding=1, groups=128), nn.Conv2d(128, 64, 1), nn.BatchNorm2d(64),
        ),
        lambda: torch.rand(4, 32, 56, 56),
    ),
}  # fmt: skip


@contextmanager
def _ranges(model: nn.Module) -> Iterator[None]:
    """Open a range around each module without parts, and run them one by one, as the program does."""
    opened: dict[str, record_function] = {}
    handles = []

    def begin(path: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            opened[path] = record_function(f"layer {path}")
            opened[path].__enter__()

        return hook

    def end(path: str) -> Callable[..., None]:
        return lambda *_: opened.pop(path).__exit__(None, None, None)

    for path, module in model.named_modules():
        if not any(module.children()):
            handles += [module.register_forward_pre_hook(begin(path)), module.register_forward_hook(end(path))]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()


def slowest_by_torch(model: nn.Module, given: Tensor) -> list[str]:
    """Return the paths of the modules without parts that take longest, by ranges in torch's profiler."""
    times: dict[str, list[float]] = {}
    with _ranges(model), torch.no_grad():
        model(given)
        with profile(activities=[ProfilerActivity.CPU]) as seen:  # what is first in a session takes longer
            for _ in range(_RUNS):
                model(given)
        for event in seen.events():
            if event.name.startswith("layer "):
                times.setdefault(event.name.removeprefix("layer "), []).append(event.cpu_time_total)
    return sorted(times, key=lambda path: -median(times[path]))[:_SLOWEST]


def slowest_by_torchlens(name: str) -> list[str]:
    """Return the paths of the modules without parts that take longest, by the times that TorchLens has of functions."""
    import torchlens  # changes torch for all that comes after it

    torch.set_num_threads(1)
    build, make = NETWORKS[name]
    model, given = build().eval(), make()
    parts = {path for path, module in model.named_modules() if not any(module.children())}
    seen: dict[str, list[float]] = {}
    torch.backends.mha.set_fastpath_enabled(False)  # as above
    with torch.no_grad():
        for _ in range(_TRACES):
            times: dict[str, float] = {}
            for function in torchlens.trace(model, given).layer_list:
                path = str(function.module or "").rpartition(":")[0]
                if path in parts:
                    times[path] = times.get(path, 0.0) + float(function.func_duration)
            for path, taken in times.items():
                seen.setdefault(path, []).append(taken)
    return sorted(seen, key=lambda path: -median(seen[path]))[:_SLOWEST]


def table() -> str:
    """Return the section of RESULTS.md."""
    torch.manual_seed(0)
    by_torchlens = {name: apart(slowest_by_torchlens, name) for name in NETWORKS}  # before this process has threads
    torch.set_num_threads(1)
    lines = [
        "`alexnet profile` on the CPU, one thread: the layers' times together against the whole run, the part of a run",
        "that the profiler added and that was taken off, the five slowest layers in their order against torch.profiler",
        "with a range around each module, and how far the whole run's median was off when measured again, beside the",
        f"width of the middle half of its runs. The last column: {_TRACES} traces of TorchLens against the profiler.",
        "",
        "| network | whole run | layers together | profiler added | five slowest equal | again | spread | TorchLens |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, (build, make) in NETWORKS.items():
        model, given = build().eval(), make()
        look = inspect(model, given)
        first, second = (look.profile(seconds=SECONDS) for _ in range(2))
        modules = {path for path, module in model.named_modules() if not any(module.children())}
        own = [layer for layer in sorted(first.layers, key=lambda each: -each.time.seconds) if layer.path in modules]
        by_us, by_torch = [layer.path for layer in own[:_SLOWEST]], slowest_by_torch(model, given)
        time = first.whole.time
        again = abs(second.whole.time.seconds - time.seconds) / time.seconds
        cells = [
            name,
            f"{1e3 * time.seconds:.2f} ms",
            f"{first.whole.layers_seconds / time.seconds:.1%}",
            f"{first.whole.profiler_seconds / time.seconds:.1%}",
            _compared(by_us, by_torch),
            f"{again:.1%}",
            f"{(time.high - time.low) / time.seconds:.1%}",
            _compared(by_torchlens[name], by_torch),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _compared(paths: list[str], by_torch: list[str]) -> str:
    return "yes" if paths == by_torch else f"no: {', '.join(paths)} / {', '.join(by_torch)}"


if __name__ == "__main__":
    print(table())
