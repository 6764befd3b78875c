"""Models that take more than one image: a graph, a list, a dict, a dataclass, a string, a packed sequence, ..."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

WORDS, WIDTH, LENGTH = 100, 8, 6


class Graph(nn.Module):
    """A graph convolution: five nodes, twelve edges."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 4)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        source, target = edge_index
        messages = self.project(x)[source]
        return messages.new_zeros(len(x), 4).index_add(0, target, messages)


class Detector(nn.Module):
    """Takes a list of images of different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> dict[str, Tensor]:
        del targets
        return {str(place): self.body(image[None]) for place, image in enumerate(images)}


class Encoder(nn.Module):
    """Takes a dict with token ids and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.head(self.embed(batch["ids"]) * batch["mask"][..., None])


class Masked(Encoder):
    """Takes token ids and a mask, which says at least one token."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return super().forward({"ids": input_ids, "mask": attention_mask})


@dataclass(frozen=True)
class Batch:
    image: Tensor
    scale: float
    extra: dict[str, Any] = field(default_factory=dict)


class TakesBatch(nn.Module):
    """Takes a dataclass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, batch: Batch) -> Tensor:
        return self.conv(batch.image) * batch.scale


class Switch(nn.Module):
    """Does what a string says."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor, kind: str) -> Tensor:
        match kind:
            case "conv":
                return self.conv(x)
            case "pool":
                return self.pool(x)
            case _:
                raise ValueError(f"what is {kind!r}?")


class Packed(nn.Module):
    """Takes a packed sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, 2)

    def forward(self, sequence: PackedSequence) -> Tensor:
        output, _ = self.rnn(sequence)
        return self.head(output.data)


class Siamese(nn.Module):
    """Compares two images."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return (self.body(left) - self.body(right)).abs().mean()


class Patches(nn.Module):
    """Takes patches and, as plain numbers, how they lie."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(12, 4)

    def forward(self, patches: Tensor, grid_thw: list[list[int]]) -> Tensor:
        frames, height, width = grid_thw[0]
        return self.project(patches).view(frames, height, width, 4)


class Denoiser(nn.Module):
    """Takes a vector and a time step for each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.times = nn.Embedding(50, WIDTH)
        self.body = nn.Linear(WIDTH, 4)

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        return self.body(sample + self.times(timestep))


@dataclass
class Call:
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


graph = (torch.ones(5, 8), torch.zeros(2, 12, dtype=torch.int64))
detector = {"images": [torch.ones(3, 64, 64), torch.ones(3, 48, 48)]}
ids = torch.ones(1, LENGTH, dtype=torch.int64)


def encoder() -> dict[str, Tensor]:
    return {"ids": ids, "mask": ids.bool()}


def masked() -> dict[str, Tensor]:
    return {"input_ids": ids, "attention_mask": ids.bool()}


def takes_batch() -> Batch:
    return Batch(torch.ones(1, 3, 8, 8), 0.5)


def switch() -> Call:
    return Call((torch.ones(1, 3, 8, 8),), {"kind": "conv"})


def packed() -> PackedSequence:
    return pack_sequence([torch.ones(4, WIDTH), torch.ones(2, WIDTH)])


def siamese() -> list[Tensor]:
    return [torch.ones(1, 3, 8, 8), torch.ones(1, 3, 8, 8)]


def patches() -> dict[str, Any]:
    return {"patches": torch.ones(16, 12), "grid_thw": [[1, 4, 4]]}


def denoiser() -> tuple[Tensor, Tensor]:
    return torch.ones(1, WIDTH), torch.tensor([49])


def nothing() -> None:
    pass


def needs_an_argument(size: int) -> Tensor:
    return torch.ones(size)


def fails() -> None:
    raise OSError("no such data")


def unknown_argument() -> Call:
    return Call((ids,), {"mask": ids})


class Particular(nn.Module):
    """Takes ordinary values only: no padding (1), no end (3), no token past its table, everything attended."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(pad_token_id=1, text_config=SimpleNamespace(eos_token_id=[3]))
        self.embed = nn.Embedding(6, WIDTH)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, key_padding_mask: Tensor) -> Tensor:
        if not set(input_ids.flatten().tolist()) <= {2, 4, 5} or not attention_mask.all() or key_padding_mask.any():
            raise ValueError("not ordinary")
        return self.embed(input_ids)
