"""Odd little models, each with its parameters and MACs worked out by hand beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Case:
    """A model, its inputs (batch of 1 in front), and the truth; `types` are those of the leaf rows and functions."""

    make: Callable[[], nn.Module]
    inputs: tuple[str, ...]
    params: int
    macs: int
    types: tuple[str, ...]
    outputs: tuple[tuple[int, ...], ...]
    unused: dict[str, int] = field(default_factory=dict)
    buffers: int = 0


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(32, 32))
        self.mixing = nn.Parameter(torch.zeros(32, 32))

    def forward(self, x):
        return F.linear(x, self.weight) @ self.mixing


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(32, 32, bias=False)
        self.decode = nn.Linear(32, 32, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x):
        return self.decode(self.encode(x))


class Repeated(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(5):
            x = self.layer(x)
        return x


class OwnParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.weights = nn.ParameterList([nn.Parameter(torch.zeros(8, 8)) for _ in range(2)])
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        for weight in self.weights:
            x = x @ weight
        return self.norm(x)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)


class Sdpa(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(32, 96, bias=False)

    def forward(self, x):
        query, key, value = self.qkv(x).unflatten(-1, (3, 4, 8)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class Recurrent(nn.Module):
    def __init__(self, cls, size=16, **options):
        super().__init__()
        self.rnn = cls(size, 32, batch_first=True, **options)

    def forward(self, x):
        return self.rnn(x)[0]


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


@dataclass
class Outcome:
    score: Tensor
    parts: Pair


class Structured(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 6)

    def forward(self, x):
        y = self.layer(x)
        return {"outcome": Outcome(y, Pair(y[:, :2], y[:, 2:])), "list": [y * 2, None, "text"]}


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.bilinear = nn.Bilinear(3, 4, 5)

    def forward(self, left, right):
        return self.bilinear(left, right)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.output = nn.Linear(16, 100, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, ids):
        return self.output(self.embedding(ids))


class Dead(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Linear(4, 4)
        self.dead = nn.Sequential(nn.Linear(4, 3), nn.ReLU())

    def forward(self, x):
        return self.used(x)


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 4).requires_grad_(requires_grad=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.body(x))


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.layer.register_forward_hook(lambda module, args, output: output + 1)
        self.layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))

    def forward(self, x):
        return self.layer(x)


MADE_BY_CHECKPOINT = ("empty",) * (2 if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13) else 0)
"""Older versions of torch make empty tensors for their own bookkeeping."""


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x):
        return checkpoint(self.block, x, use_reentrant=False)


class LooksAtShapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.small = nn.Linear(4, 2)
        self.large = nn.Linear(8, 2)

    def forward(self, x):
        return self.small(x) if x.shape[-1] == 4 else self.large(x)


class MyConv(nn.Conv2d):
    """A subclass is what its base is."""


class Rms(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale


class Einsum(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 8, 16))

    def forward(self, x):
        return torch.einsum("bhi,hio->bho", x, self.weight)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)) + x)


class GrowsInForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = None

    def forward(self, x):
        if self.head is None:
            self.head = nn.Linear(x.shape[-1], 3)
        return self.head(x)


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 8, dtype=torch.complex64))

    def forward(self, x):
        return (x.to(torch.complex64) @ self.weight).abs()


class MakesTensors(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        mask = torch.tril(torch.ones(x.shape[1], x.shape[1]))
        return self.layer(mask @ x)


ENCODER_LAYER = 4 * 32 * 32 + 4 * 32 + 2 * 32 * 64 + 64 + 32 + 4 * 32  # attention, two linear layers, two norms

CASES: dict[str, Case] = {
    "functional": Case(
        Functional, ("2,32",), 2 * 32 * 32, 2 * (2 * 32 * 32), ("Functional", "linear", "matmul"), ((1, 2, 32),)
    ),
    "tied": Case(Tied, ("1,32",), 32 * 32, 2 * 32 * 32, ("Linear", "Linear"), ((1, 1, 32),)),
    "called five times": Case(Repeated, ("8",), 8 * 8 + 8, 5 * 8 * 8, ("Linear",) * 5, ((1, 8),)),
    "parameters of containers": Case(
        OwnParameters,
        ("5,8",),
        8 + 2 * 64 + 16,
        2 * 6 * 8 * 8,
        ("expand", "cat", "matmul", "matmul", "LayerNorm"),
        ((1, 6, 8),),
    ),
    "transposed convolution": Case(
        lambda: nn.ConvTranspose2d(4, 8, 3, stride=2, bias=False),
        ("4,8,8",),
        4 * 8 * 9,
        4 * 8 * 9 * 8 * 8,  # each input pixel meets each weight
        ("ConvTranspose2d",),
        ((1, 8, 17, 17),),
    ),
    "grouped convolution": Case(
        lambda: nn.Conv2d(8, 12, 3, groups=4, padding=1),
        ("8,6,6",),
        12 * (2 * 9 + 1),
        12 * 6 * 6 * 2 * 9,
        ("Conv2d",),
        ((1, 12, 6, 6),),
    ),
    "depthwise convolution": Case(
        lambda: nn.Conv2d(8, 8, 3, groups=8, bias=False), ("8,6,6",), 8 * 9, 8 * 4 * 4 * 9, ("Conv2d",), ((1, 8, 4, 4),)
    ),
    "dilated convolution": Case(
        lambda: nn.Conv1d(2, 3, 3, dilation=4), ("2,20",), 3 * (2 * 3 + 1), 3 * 12 * 2 * 3, ("Conv1d",), ((1, 3, 12),)
    ),
    "three dimensions": Case(
        lambda: nn.Conv3d(1, 2, 3), ("1,5,5,5",), 2 * (27 + 1), 2 * 27 * 27, ("Conv3d",), ((1, 2, 3, 3, 3),)
    ),
    "multi-head attention": Case(
        SelfAttention,
        ("16,32",),
        4 * 32 * 32 + 4 * 32,
        4 * 16 * 32 * 32 + 2 * 16 * 16 * 32,  # four projections; scores and their product with the values
        ("MultiheadAttention",),
        ((1, 16, 32), (1, 16, 16)),
    ),
    "scaled dot product": Case(
        Sdpa,
        ("16,32",),
        3 * 32 * 32,
        3 * 16 * 32 * 32 + 2 * 16 * 16 * 32,
        ("Linear", "unflatten", "permute", "unbind", "scaled_dot_product_attention", "transpose", "flatten"),
        ((1, 16, 32),),
    ),
    "transformer encoder layer": Case(
        lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
        ("16,32",),
        ENCODER_LAYER,
        4 * 16 * 32 * 32 + 2 * 16 * 16 * 32 + 2 * 16 * 32 * 64,
        (
            "MultiheadAttention",
            "Dropout",
            "add",
            "LayerNorm",
            "Linear",
            "relu",
            "Dropout",
            "Linear",
            "Dropout",
            "add",
            "LayerNorm",
        ),
        ((1, 16, 32),),
    ),
    "lstm": Case(
        lambda: Recurrent(nn.LSTM),
        ("16,16",),
        4 * 32 * (16 + 32 + 2),
        16 * 4 * 32 * (16 + 32),
        ("LSTM",),
        ((1, 16, 32),),
    ),
    "lstm as wide as its input": Case(
        lambda: Recurrent(nn.LSTM, 32), ("16,32",), 4 * 32 * (32 + 32 + 2), 16 * 4 * 32 * 64, ("LSTM",), ((1, 16, 32),)
    ),
    "two-layer bidirectional gru": Case(
        lambda: Recurrent(nn.GRU, num_layers=2, bidirectional=True),
        ("10,16",),
        2 * 3 * 32 * (16 + 32 + 2) + 2 * 3 * 32 * (64 + 32 + 2),
        10 * 2 * 3 * 32 * ((16 + 32) + (64 + 32)),
        ("GRU",),
        ((1, 10, 64),),
    ),
    "rnn": Case(lambda: Recurrent(nn.RNN), ("7,16",), 32 * (16 + 32 + 2), 7 * 32 * (16 + 32), ("RNN",), ((1, 7, 32),)),
    "bilinear": Case(TwoInputs, ("3", "4"), 5 * (3 * 4 + 1), 5 * 3 * 4, ("Bilinear",), ((1, 5),)),
    "tied embedding": Case(Tokens, ("6:int64",), 100 * 16, 6 * 16 * 100, ("Embedding", "Linear"), ((1, 6, 100),)),
    "structured output": Case(
        Structured, ("4",), 4 * 6 + 6, 4 * 6, ("Linear", "getitem", "getitem", "mul"), ((1, 6), (1, 2), (1, 4), (1, 6))
    ),
    "modules never called": Case(Dead, ("4",), 20 + 15, 16, ("Linear",), ((1, 4),), unused={"dead.0": 15, "dead.1": 0}),
    "frozen": Case(Frozen, ("4",), 20 + 10, 16 + 8, ("Linear", "Linear"), ((1, 2),)),
    "hooks": Case(Hooked, ("4",), 20, 16, ("Linear",), ((1, 4),)),
    "checkpointed": Case(
        Checkpointed,
        ("8",),
        8 * 16 + 16 + 16 * 8 + 8,
        2 * 8 * 16,
        (*MADE_BY_CHECKPOINT, "Linear", "ReLU", "Linear"),
        ((1, 8),),
    ),
    "control flow on shapes": Case(LooksAtShapes, ("8",), 10 + 18, 16, ("Linear",), ((1, 2),), unused={"small": 10}),
    "lazy": Case(
        lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(5)),
        ("2,6,6",),
        4 * (2 * 9 + 1) + 5 * (4 * 16 + 1),
        4 * 16 * 2 * 9 + 5 * 64,
        ("Conv2d", "Flatten", "Linear"),
        ((1, 5),),
    ),
    "subclassed convolution": Case(
        lambda: MyConv(3, 2, 1), ("3,4,4",), 2 * 4, 2 * 16 * 3, ("MyConv",), ((1, 2, 4, 4),)
    ),
    "norm of one's own": Case(Rms, ("3,8",), 8, 0, ("Rms", "pow", "mean", "add", "rsqrt", "mul", "mul"), ((1, 3, 8),)),
    "einsum": Case(Einsum, ("4,8",), 4 * 8 * 16, 4 * 8 * 16, ("Einsum", "einsum"), ((1, 4, 16),)),
    "residual": Case(
        Residual,
        ("4,6,6",),
        4 * 4 * 9 + 8,
        4 * 36 * 4 * 9,
        ("Conv2d", "BatchNorm2d", "add", "relu"),
        ((1, 4, 6, 6),),
        buffers=4 + 4 + 1,
    ),
    "grows in forward": Case(
        GrowsInForward, ("4",), 4 * 3 + 3, 12, ("empty", "empty", "kaiming_uniform_", "uniform_", "Linear"), ((1, 3),)
    ),
    "complex": Case(Complex, ("3,8",), 64, 3 * 64, ("Complex", "to", "matmul", "abs"), ((1, 3, 8),)),
    "makes tensors": Case(
        MakesTensors, ("5,8",), 72, 5 * 5 * 8 + 5 * 64, ("ones", "tril", "matmul", "Linear"), ((1, 5, 8),)
    ),
    "no parameters": Case(
        lambda: nn.Sequential(nn.ReLU(), nn.Flatten()), ("2,3",), 0, 0, ("ReLU", "Flatten"), ((1, 6),)
    ),
    "embedding bag": Case(lambda: nn.EmbeddingBag(10, 3), ("4:int64",), 30, 0, ("EmbeddingBag",), ((1, 3),)),
    "deep": Case(
        lambda: nn.Sequential(*[nn.Linear(2, 2, bias=False) for _ in range(200)]),
        ("2",),
        200 * 4,
        200 * 4,
        ("Linear",) * 200,
        ((1, 2),),
    ),
}
