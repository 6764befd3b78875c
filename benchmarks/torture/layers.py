"""The layers and functions that random graphs are made of."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name


def layer_for(shape: tuple[int, ...], chance: random.Random) -> nn.Module:
    """Draw a layer that may take a tensor of this shape."""
    wide = shape[1] if len(shape) > 1 else 1
    last, out = shape[-1] if shape else 1, chance.choice((1, 2, 4, 6))
    kernel, stride = chance.choice((1, 2, 3)), chance.choice((1, 1, 2))
    heads = next(n for n in (chance.choice((4, 2)), 2, 1) if last % n == 0)
    any_rank = [
        nn.ReLU,
        nn.ReLU6,
        nn.GELU,
        nn.SiLU,
        nn.Tanh,
        nn.Sigmoid,
        nn.ELU,
        nn.Hardswish,
        nn.Mish,
        nn.Softplus,
        nn.PReLU,
        nn.Identity,
        nn.Dropout,
        lambda: nn.ReLU(inplace=True),
        lambda: nn.Softmax(-1),
        nn.Flatten,
        lambda: nn.Linear(last, out, bias=chance.random() < 0.5),
        lambda: nn.LayerNorm(last),
        lambda: nn.Sequential(nn.Linear(last, out), nn.GELU(), nn.Linear(out, last)),
    ]
    by_rank: dict[int, list[Any]] = {
        2: [lambda: nn.BatchNorm1d(wide), lambda: nn.GLU() if last % 2 == 0 else nn.ReLU()],
        3: [
            lambda: nn.Conv1d(wide, out, kernel, stride),
            lambda: nn.BatchNorm1d(wide),
            lambda: nn.MaxPool1d(kernel),
            lambda: nn.LSTM(last, out, chance.choice((1, 2)), batch_first=True, bidirectional=chance.random() < 0.3),
            lambda: nn.GRU(last, out, batch_first=True),
            lambda: nn.RNN(last, out),
            lambda: nn.TransformerEncoderLayer(
                last, heads, out * 2, batch_first=True, norm_first=chance.random() < 0.5
            ),
            lambda: nn.AdaptiveAvgPool1d(kernel),
            lambda: nn.ConvTranspose1d(wide, out, kernel, stride),
        ],
        4: [
            lambda: nn.Conv2d(wide, out, kernel, stride, padding=chance.choice((0, 1, "same")) if stride == 1 else 0),
            lambda: nn.Conv2d(wide, wide * 2, kernel, groups=wide, dilation=stride),
            lambda: nn.BatchNorm2d(wide),
            lambda: nn.Conv2d(wide, out, (1, kernel), bias=False),
            lambda: nn.ConvTranspose2d(wide, out, kernel, stride),
            lambda: nn.InstanceNorm2d(wide, affine=True),
            lambda: nn.GroupNorm(1, wide),
            lambda: nn.MaxPool2d(kernel, stride),
            lambda: nn.AvgPool2d(kernel),
            lambda: nn.AdaptiveAvgPool2d(kernel),
            lambda: nn.Upsample(scale_factor=2),
            lambda: nn.PixelShuffle(2),
            lambda: nn.LocalResponseNorm(2),
            lambda: nn.ReflectionPad2d(1),
            nn.Dropout2d,
            lambda: nn.Upsample(size=5, mode="bilinear"),
            lambda: nn.PixelUnshuffle(2),
            lambda: nn.ZeroPad2d(1),
        ],
    }
    pool = by_rank.get(len(shape), [])
    made: nn.Module = chance.choice(pool if pool and chance.random() < 0.6 else any_rank)()
    return made


ONE: tuple[Callable[..., Any], ...] = (
    torch.relu,
    torch.sigmoid,
    F.gelu,
    lambda x: F.softmax(x, -1),
    lambda x: F.log_softmax(x, -1),
    lambda x: x.mean(-1),
    lambda x: x.flatten(1),
    lambda x: x.transpose(-1, -2),
    lambda x: x @ x.mT,
    lambda x: x.chunk(2, -1)[0],
    lambda x: x * 2 + 1,
    lambda x: x.unsqueeze(1),
    lambda x: x.reshape(x.shape[0], -1, 1),
    lambda x: x[:, :1],
    lambda x: x.clamp(0, 1).pow(2),
    lambda x: x.sum(1, keepdim=True),
    lambda x: torch.where(x > 0, x, -x),
    lambda x: F.pad(x, (1, 1)),
    lambda x: x.contiguous().clone(),
    lambda x: F.scaled_dot_product_attention(x, x, x),
    lambda x: F.interpolate(x, scale_factor=2),
    lambda x: F.avg_pool2d(x, 2),
    lambda x: torch.einsum("b...i,b...j->bij", x, x),
    lambda x: F.normalize(x, dim=1),
    lambda x: x.std(-1),
    lambda x: x.cumsum(-1),
    lambda x: x.sort(-1)[0],
    lambda x: x.topk(1, -1)[0],
    lambda x: F.max_pool2d(x, 2),
    lambda x: x.roll(1, -1),
    lambda x: x.exp().add_(1),
    lambda x: F.dropout(x, 0.5),
    lambda x: torch.fft.rfft(x).abs(),
    lambda x: x.permute(*range(x.ndim)[::-1]),
    lambda x: x.float(),
)
TWO: tuple[Callable[..., Any], ...] = (
    torch.add,
    torch.mul,
    lambda x, y: torch.cat([x, y], 1),
    lambda x, y: torch.stack([x, y], 1),
    lambda x, y: x @ y.mT,
    torch.maximum,
    lambda x, y: torch.bmm(x, y.mT),
    lambda x, y: x.masked_fill(y > 0, 0.0),
    F.cosine_similarity,
)
