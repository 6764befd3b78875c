"""Models whose memory is predicted and measured, and how a real run on the CPU is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import accumulate
from pathlib import Path

import torch
from memory_volumes import UNETR, BasicUNet, Volumes
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from alexnet_cli.models.alexnet import AlexNet

BATCH = 8
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "adam": torch.optim.Adam,
}


class Residual(nn.Module):
    """A basic residual block: two 3x3 convolutions with batch norms."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        projection = (nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.shortcut = nn.Identity() if before == after else nn.Sequential(*projection)

    def forward(self, maps: Tensor) -> Tensor:
        """Halve the maps where the stride is 2."""
        hidden = self.relu(self.norm1(self.conv1(maps)))
        hidden = self.norm2(self.conv2(hidden))
        hidden += self.shortcut(maps)
        return self.relu(hidden)


def resnet18() -> nn.Module:
    """ResNet-18 (He et al., 2015), for 3x224x224."""
    widths = ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2))
    stem = (nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
    blocks = (Residual(*width) for width in (*widths, (512, 512, 1)))
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def encoder() -> nn.Module:
    """Return four transformer encoder layers of width 256, for 128 positions."""
    layer = nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)


class Tagger(nn.Module):
    """Two LSTM layers of width 256 and a linear layer, for 64 steps of width 128."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(128, 256, 2, batch_first=True)
        self.head = nn.Linear(256, 10)

    def forward(self, steps: Tensor) -> Tensor:
        """Return scores from the last step."""
        return self.head(self.lstm(steps)[0][:, -1])


class Gated(nn.Module):
    """Two bidirectional GRU layers of width 128 and a linear layer, for 64 steps of width 128."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(128, 128, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(256, 10)

    def forward(self, steps: Tensor) -> Tensor:
        """Return scores from the last step."""
        return self.head(self.gru(steps)[0][:, -1])


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "AlexNet": (AlexNet, (3, 227, 227)),
    "ResNet-18": (resnet18, (3, 224, 224)),
    "transformer encoder": (encoder, (128, 256)),
    "LSTM": (Tagger, (64, 128)),
    "GRU": (Gated, (64, 128)),
    "3-D U-Net": (Volumes, (1, 32, 32, 32)),
    "BasicUNet": (BasicUNet, (1, 64, 64, 64)),
    "UNETR": (UNETR, (1, 64, 64, 64)),
}
"""Each with the shape of one input."""
BATCHES = {"BasicUNet": 1, "UNETR": 1}
"""Where it is not `BATCH`."""


def measured_forward(model: nn.Module, given: Tensor) -> int:
    """Return the bytes at the peak of a forward without gradients, weights and input included."""

    def forward() -> None:
        with torch.no_grad():
            model(given)

    model.eval()
    return bytes_of([*model.parameters(), *model.buffers(), given]) + most_allocated(forward)


def measured_step(model: nn.Module, given: Tensor, optimizer: torch.optim.Optimizer, amp: str | None = None) -> int:
    """Return the bytes at the peak of a training step that is not the first, on the sum of the outputs."""
    model.train()

    def step() -> None:
        with nullcontext() if amp is None else torch.autocast(given.device.type, getattr(torch, amp)):
            output = model(given)
        output.sum().backward()
        optimizer.step()

    step()
    optimizer.zero_grad(set_to_none=True)
    state = [value for entry in optimizer.state.values() for value in entry.values() if isinstance(value, Tensor)]
    resident = bytes_of([*model.parameters(), *model.buffers(), given, *state])
    return resident + most_allocated(step)


def most_allocated(run: Callable[[], None]) -> int:
    """Return the most bytes that torch's CPU allocator had given out at once, by the profiler's events."""
    return max(accumulate(allocations(run), initial=0))


def allocations(run: Callable[[], None]) -> list[int]:
    """Return the bytes that torch's CPU allocator gave out, and took back where it had given them out meanwhile."""
    with _silent_stderr(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    recorded = profiler.profiler.kineto_results.events()  # type: ignore[union-attr] # there after the block
    events = sorted((event.start_ns(), event.nbytes()) for event in recorded if event.name() == "[memory]")
    return [change for _, change in events]


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of the storages of tensors, each counted once."""
    distinct = {tensor.data_ptr(): tensor for tensor in tensors if tensor.numel()}
    return sum(tensor.untyped_storage().nbytes() for tensor in distinct.values())


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep the profiler's log lines, written by C++, off stderr."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
