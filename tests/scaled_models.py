"""Models whose laws are derived by hand in `test_scale_command.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def encoder() -> nn.Module:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256, batch_first=True), 2)


class Decoder(nn.Module):
    """One causal layer of width 32 over 100 tokens, at most 512 of them."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(100, 32), nn.Embedding(512, 32)
        self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)
        self.mlp = nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 32))
        self.head = nn.Linear(32, 100, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        length = input_ids.shape[1]
        x = self.tokens(input_ids) + self.places(torch.arange(length, device=input_ids.device))
        q, k, v = self.qkv(x).chunk(3, -1)
        scores = q @ k.transpose(1, 2) + torch.full((length, length), float("-inf"), device=x.device).triu(1)
        x = x + self.out(scores.softmax(-1) @ v)
        return self.head(x + self.mlp(x))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.LSTM(32, 48, 2, batch_first=True), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0])


class Windowed(nn.Module):
    """Looks back at most 40 places, by other operators once there are more."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        keys = x if x.shape[1] <= 40 else x[:, -40:].contiguous()
        return self.project(x) @ keys.transpose(1, 2)


class TwoWindows(nn.Module):
    """Looks back at most 12 and at most 50 places."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        queries = self.project(x)
        near, far = (x if x.shape[1] <= most else x[:, -most:].contiguous() for most in (12, 50))
        return (queries @ near.transpose(1, 2)).sum() + (queries @ far.transpose(1, 2)).sum()


class Clamped(nn.Module):
    """Has a table of at most 40 places, by the same operators however many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        table = x.new_ones(x.shape[0], min(x.shape[1], 40), 8)
        return self.project(x) @ table.transpose(1, 2)


class Even(nn.Module):
    """Takes only images whose sides are multiples of 4, as it adds what it scaled down and up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 2, 4, stride=4), nn.ConvTranspose2d(2, 1, 4, stride=4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.down(x))


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.out = nn.Embedding(50, 8), nn.Linear(8, 8)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.out(self.tokens(input_ids) * attention_mask.unsqueeze(-1))


class TwoLengths(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.out = nn.Embedding(50, 8), nn.Linear(8, 8)

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        return self.out(self.tokens(target_ids)) @ self.tokens(source_ids).transpose(1, 2)


def edges() -> nn.Module:
    """AlexNet's windows with one channel, and means in place of maxima, so that every pixel read has a gradient."""
    windows = [
        nn.Conv2d(1, 1, 11, stride=4),
        nn.AvgPool2d(3, 2),
        nn.Conv2d(1, 1, 5, padding=2),
        nn.AvgPool2d(3, 2),
        *(nn.Conv2d(1, 1, 3, padding=1) for _ in range(3)),
        nn.AvgPool2d(3, 2),
    ]
    for window in windows:
        for parameter in window.parameters():
            nn.init.ones_(parameter)
    return nn.Sequential(*windows)
