"""Ten networks that are to fit, each small enough for a real step on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))
from networks import BasicBlock, UNet


class Attention(nn.Module):
    """Causal attention of `heads` queries over groups of `kv` keys and values."""

    def __init__(self, width: int, heads: int, kv: int) -> None:
        super().__init__()
        self.heads, self.kv, self.size = heads, kv, width // heads
        self.q, self.o = nn.Linear(width, width), nn.Linear(width, width)
        self.k, self.v = nn.Linear(width, kv * self.size), nn.Linear(width, kv * self.size)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).unflatten(-1, (self.heads, self.size)).transpose(1, 2)
        k, v = (each(x).unflatten(-1, (self.kv, self.size)).transpose(1, 2) for each in (self.k, self.v))
        k, v = (each.repeat_interleave(self.heads // self.kv, 1) for each in (k, v))
        scores = q @ k.transpose(-1, -2) / self.size**0.5
        return self.o((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A transformer block with an MLP `times` as wide."""

    def __init__(self, width: int, heads: int, kv: int, times: int = 4) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, kv)
        self.mlp = nn.Sequential(nn.Linear(width, times * width), nn.GELU(), nn.Linear(times * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Language(nn.Module):
    """A decoder of `len(times)` blocks, whose MLPs may differ in width."""

    def __init__(self, times: tuple[int, ...] = (4, 4, 4, 4), kv: int = 4, width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(200, width)
        self.blocks = nn.ModuleList(Block(width, 4, kv, each) for each in times)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 200, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def llama() -> nn.Module:
    """Two queries share a key: grouped-query attention."""
    return Language(kv=2)


def uneven() -> nn.Module:
    """Blocks that differ in what they keep and in what it takes to run them again."""
    return Language(times=(1, 8, 2, 6, 3))


class Vision(nn.Module):
    """A ViT: patches of 8, four blocks, the mean of the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 96, 8, 8)
        self.blocks = nn.Sequential(*(Block(96, 4, 4) for _ in range(4)))
        self.head = nn.Linear(96, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.patch(images).flatten(2).transpose(1, 2)).mean(1))


class Scan(nn.Module):
    """A block as Mamba's: a gate, a convolution over time, and a state that is carried from step to step."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.norm, self.into = nn.LayerNorm(width), nn.Linear(width, 4 * width)
        self.conv = nn.Conv1d(2 * width, 2 * width, 4, padding=3, groups=2 * width)
        self.rate, self.out = nn.Linear(2 * width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.into(self.norm(x)).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        decay, state, states = torch.sigmoid(self.rate(u)), torch.zeros_like(u[:, 0]), []
        for step in range(x.shape[1]):
            state = decay[:, step] * state + u[:, step]
            states.append(state)
        return x + self.out(torch.stack(states, 1) * F.silu(gate))


def mamba() -> nn.Module:
    """Three blocks over a sequence."""
    return nn.Sequential(nn.Linear(16, 32), *(Scan() for _ in range(3)), nn.Linear(32, 8))


class Cell(nn.Module):
    """An LSTM written out, as each backend's own kernel keeps other things."""

    def __init__(self, into: int, width: int) -> None:
        super().__init__()
        self.width, self.x, self.h = width, nn.Linear(into, 4 * width), nn.Linear(width, 4 * width, bias=False)

    def forward(self, steps: Tensor) -> Tensor:
        h = c = steps.new_zeros(len(steps), self.width)
        out = []
        for x in self.x(steps).unbind(1):
            i, f, g, o = (x + self.h(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            out.append(h)
        return torch.stack(out, 1)


def lstm() -> nn.Module:
    """Two layers and a head."""
    return nn.Sequential(Cell(32, 64), Cell(64, 64), nn.Linear(64, 10))


class Detector(nn.Module):
    """A backbone of three scales and a head on each, whose results are joined."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 32, 64, 64)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, 1, 1),
                nn.ReLU(),
                nn.Conv2d(after, after, 3, 1, 1),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            )
            for before, after in pairwise(sizes)
        )
        self.heads = nn.ModuleList(nn.Conv2d(size, 6, 1) for size in sizes[1:])

    def forward(self, images: Tensor) -> Tensor:
        found = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            images = stage(images)
            found.append(head(images).flatten(2))
        return torch.cat(found, 2)


class Speech(nn.Module):
    """As DeepSpeech: convolutions over a spectrogram, then layers over time, then letters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 16, (11, 5), (2, 1), (5, 2)), nn.BatchNorm2d(16), nn.Hardtanh(0, 20, inplace=True),
            nn.Conv2d(16, 16, (11, 5), (2, 1), (5, 2)), nn.BatchNorm2d(16), nn.Hardtanh(0, 20, inplace=True),
        )  # fmt: skip
        self.recurrent = nn.Sequential(Cell(16 * 8, 64), Cell(64, 64))
        self.letters = nn.Linear(64, 29)

    def forward(self, sound: Tensor) -> Tensor:
        heard = self.conv(sound).flatten(1, 2).transpose(1, 2)
        return self.letters(self.recurrent(heard)).log_softmax(-1)


def resnet() -> nn.Module:
    """Three stages of two blocks, narrow, so that its weights are small beside what it keeps."""

    def stage(into: int, out: int, stride: int) -> nn.Module:
        return nn.Sequential(BasicBlock(into, out, stride), BasicBlock(out, out, 1))

    stem = (nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True))
    stages = (stage(32, 32, 1), stage(32, 64, 2), stage(64, 64, 1))
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def unet() -> nn.Module:
    """With skip connections from the way down to the way up."""
    return UNet()


def alexnet() -> nn.Module:
    """The notebook's."""
    from alexnet_cli.models.alexnet import AlexNet

    return AlexNet()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "alexnet": (alexnet, "3,227,227", 16),
    "resnet": (resnet, "3,48,48", 16),
    "unet": (unet, "3,64,64", 4),
    "vision": (Vision, "3,64,64", 16),
    "language": (Language, "64:int64", 16),
    "llama": (llama, "64:int64", 16),
    "mamba": (mamba, "10,16", 96),
    "lstm": (lstm, "8,32", 128),
    "detector": (Detector, "3,64,64", 8),
    "speech": (Speech, "1,32,12", 32),
}
"""Each with the shape of an input and a batch."""
