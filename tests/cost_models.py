"""Models whose FLOPs and bytes can be written down by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Convolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, given):
        return self.conv(given)


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(10, 7)

    def forward(self, given):
        return self.linear(given)


class InPlace(nn.Module):
    def forward(self, given):
        return functional.relu(given, inplace=True)


class Views(nn.Module):
    def forward(self, given):
        return given.transpose(1, 2).unsqueeze(0)[:, 1:].expand(3, -1, -1, -1)


class Concatenation(nn.Module):
    def forward(self, given):
        return torch.cat([given, given, given[:, :1]], 1)


class Embedding(nn.Module):
    def __init__(self, rows: int = 1000) -> None:
        super().__init__()
        self.embedding = nn.Embedding(rows, 16)

    def forward(self, given):
        return self.embedding(given)


def small_embedding():
    return Embedding(3)


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(1000, 16, mode="sum")

    def forward(self, given):
        return self.bag(given)


class Gather(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(1000, 16))

    def forward(self, given):
        return self.table[given]


class Attention(nn.Module):
    def forward(self, query, key, value):
        return functional.scaled_dot_product_attention(query, key, value)


class AttentionOfOne(nn.Module):
    """Query, key and value are slices of one tensor."""

    def forward(self, given):
        query, key, value = given.unbind(1)
        return functional.scaled_dot_product_attention(query, key, value)


class Fill(nn.Module):
    def forward(self, given):
        new = torch.empty_like(given)
        new[:, :2] = 0
        return new


class Assign(nn.Module):
    def forward(self, given):
        new = torch.empty_like(given)
        new[:, :2] = given[:, 1:3]
        return new


class Scatter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("memory", torch.zeros(100, 5))

    def forward(self, given):
        self.memory[self.places] = given
        return self.memory


class AddInto(Scatter):
    def forward(self, given):
        return self.memory.index_add_(0, self.places, given)


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)

    def forward(self, given):
        return self.norm(given)


class LayerNormalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)

    def forward(self, given):
        return self.norm(given)


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.pool = nn.MaxPool2d(2)

    def forward(self, given):
        return self.pool(self.conv(given))


class Expanded(nn.Module):
    """A row that stands for many is read once."""

    def __init__(self) -> None:
        super().__init__()
        self.row = nn.Parameter(torch.empty(1, 8))

    def forward(self, given):
        return given + self.row.expand(given.shape[0], 8)


class Square(nn.Module):
    """One value read twice by one function."""

    def forward(self, given):
        return torch.mul(given, given)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)

    def forward(self, given):
        return self.lstm(given)[0]


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, given):
        return self.attention(given, given, given, need_weights=False)[0]


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(10, 20)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Linear(20, 5)

    def forward(self, given):
        return self.second(self.relu(self.first(given)))


def wide():
    return nn.Sequential(nn.Linear(20, 2**20, bias=False), nn.Linear(2**20, 492, bias=False))


class Residual(nn.Module):
    """What goes both ways gets its gradient from both."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6, bias=False)
        self.second = nn.Linear(6, 6, bias=False)

    def forward(self, given):
        hidden = self.first(given)
        return hidden + self.second(hidden)


class Convolutions(nn.Module):
    """The kinds of convolution: plain, grouped, transposed, one-dimensional."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 12, 3, stride=2, groups=4)
        self.transposed = nn.ConvTranspose2d(12, 6, 3, stride=2, groups=2)
        self.last = nn.Conv1d(6, 5, 3)

    def forward(self, given):
        return self.last(self.transposed(self.grouped(self.first(given))).flatten(2))


class Trilinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.bilinear = nn.Bilinear(4, 4, 6)

    def forward(self, given):
        hidden = self.body(given)
        return self.bilinear(hidden, hidden.tanh())


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = nn.Linear(16, 100)

    def forward(self, given):
        return self.head(self.layer(self.embedding(given)))


class Distance(nn.Module):
    """Work without a formula beside work with one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, given):
        hidden = self.linear(given)
        return torch.cdist(hidden, hidden, p=1)


class NeedsValues(nn.Module):
    def forward(self, given):
        return given * float(given.sum())


class Breaks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(10, 20)
        self.second = nn.Linear(21, 5)

    def forward(self, given):
        return self.second(self.first(given))
