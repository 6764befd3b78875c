"""Models written as people write them, each line of which has its truth behind it.

`# -> 1x4x8x8, 1x2 x3 sum`: the shapes that it makes, that it runs three times, and that it leads to other lines. The
truth is worked out by hand from what torch says about each layer.
"""

import functools
import warnings

import torch
import torch.nn.functional as F  # noqa: N812 - as people write it
from annotated.elsewhere import pooled
from torch import nn
from torch.utils.checkpoint import checkpoint


class Functional(nn.Module):
    takes = (3, 8, 8)

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 3, 3, 3))

    def forward(self, x):
        x = F.relu(F.conv2d(x, self.weight))  # -> 1x4x6x6
        x = x.flatten(1) * 2 + 1  # -> 1x144
        return F.log_softmax(x, dim=1)  # -> 1x144


class Residual(nn.Module):
    takes = (4, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)  # -> 1x4x8x8


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = F.relu(self.conv(x))  # -> 1x4x8x8 x3
        return x + y  # -> 1x4x8x8 x3


class Loop(nn.Module):
    takes = (4, 8, 8)

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)  # -> 1x4x8x8 x3 sum
        return x


class Comprehension(nn.Module):
    takes = (4, 8, 8)

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(nn.Conv2d(4, 2, 1) for _ in range(3))

    def forward(self, x):
        made = [head(x) for head in self.heads]  # -> 1x2x8x8 x3
        by_name = {at: torch.relu(each) for at, each in enumerate(made)}  # -> 1x2x8x8 x3
        return torch.cat([each.mean(3) for each in by_name.values()], 1)  # -> 1x6x8


class Elsewhere(nn.Module):
    takes = (3, 8, 8)

    def forward(self, x):
        y = pooled(x)  # -> 1x3x16 sum
        return y.relu()  # -> 1x3x16


def twice(function):
    @functools.wraps(function)
    def wrapper(self, x):
        return function(self, function(self, x))  # -> 1x4x8x8 sum

    return wrapper


class Decorated(nn.Module):
    takes = (4, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    @twice
    def forward(self, x):
        return self.conv(x)  # -> 1x4x8x8 x2


class Base(nn.Module):
    takes = (6,)

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(x)  # -> 1x5


class Super(Base):
    def forward(self, x):
        x = super().forward(x)  # -> 1x5 sum
        return x.softmax(1)  # -> 1x5


class Checkpointed(nn.Module):
    takes = (4, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 2, 3)

    def inner(self, x):
        return self.conv(x).relu()  # -> 1x2x6x6

    def forward(self, x):
        x = checkpoint(self.inner, x, use_reentrant=False)  # -> 1x2x6x6 sum
        return x.sum((2, 3))  # -> 1x2


def plain(x: torch.Tensor) -> torch.Tensor:
    x = torch.relu(x)
    return x.mean(1)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is deprecated, and still met
    scripted = torch.jit.script(plain)


class Scripted(nn.Module):
    takes = (4, 8)

    def forward(self, x):
        x = scripted(x)  # -> 1x8
        return x + 1  # -> 1x8


class Lambda(nn.Module):
    takes = (4, 8)

    def __init__(self):
        super().__init__()
        self.act = lambda x: x.relu()  # -> 1x4x8

    def forward(self, x):
        x = self.act(x)  # -> 1x4x8 sum
        return x.sum(1)  # -> 1x8


class Nested(nn.Module):
    takes = (4, 8)

    def forward(self, x):
        def scaled(y, by):
            return y * by  # -> 1x4x8 x2

        for by in (2, 3):
            x = scaled(x, by)  # -> 1x4x8 x2 sum
        return x.amax(1)  # -> 1x8


class MultiLine(nn.Module):
    takes = (4, 8)

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 3), nn.Linear(8, 5)

    def forward(self, x):
        return torch.cat(  # -> 1x4x8
            [
                self.a(x),  # -> 1x4x3
                self.b(x),  # -> 1x4x5
            ],
            2,
        )


class Recurrent(nn.Module):
    takes = (7, 6)

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 5, batch_first=True)

    def forward(self, x):
        out, (_h, _c) = self.lstm(x)  # -> 1x7x5, 1x1x5, 1x1x5
        return self.lstm(out @ torch.zeros(5, 6))[0][:, -1]  # -> 1x5


class Halving(nn.Module):
    takes = (2, 16)

    def forward(self, x):
        while x.shape[-1] > 2:
            x = F.max_pool1d(x, 2)  # -> 1x2x8; 1x2x4; 1x2x2 x3
        return x


class Summed(nn.Module):
    takes = (4, 8)

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(8, 3) for _ in range(4))

    def forward(self, x):
        return sum(part(x) for part in self.parts).relu()  # -> 1x4x3


class Attention(nn.Module):
    takes = (6, 8)

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)  # -> 1x6x8, 1x6x8, 1x6x8
        scores = q @ k.transpose(1, 2) / 8**0.5  # -> 1x6x6
        weights, kept = scores.softmax(-1), scores.amax(-1)  # -> 1x6x6, 1x6
        return weights @ v, kept  # -> 1x6x8


class Idle(nn.Module):
    takes = (6,)

    def __init__(self):
        super().__init__()
        self.drop, self.same = nn.Dropout(), nn.Identity()

    def forward(self, x):
        x = self.drop(x)  # -> 1x6
        x = self.same(x).contiguous()  # -> 1x6
        if x.dim() > 2:
            x = x.flatten(1)
        return x * x.shape[0]  # -> 1x6


class Item(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)  # -> 1x4 x3


class InSequential(nn.Module):
    takes = (4,)

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Item(), nn.ReLU(), Item(), Item())

    def forward(self, x):
        return self.body(x)  # -> 1x4 sum


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2  # -> 1x4

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


class OwnFunction(nn.Module):
    takes = (4,)

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return Doubled.apply(self.fc(x))  # -> 1x4 sum


class Recursive(nn.Module):
    takes = (4,)

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, depth: int = 2):
        x = self.fc(x)  # -> 1x4 x3
        return self.forward(x, depth - 1) if depth else x  # -> 1x4 x2 sum


def walk(x):
    for _ in range(3):
        x = x + 1  # -> 1x4 x6
    return x


class LoopInLoop(nn.Module):
    takes = (4,)

    def forward(self, x):
        for _ in range(2):
            x = walk(x)  # -> 1x4 x2 sum
        return x


class Tolerant(nn.Module):
    takes = (4,)

    def forward(self, x):
        try:
            x = x.view(3, 5)
        except RuntimeError:
            x = x.view(2, 2)  # -> 2x2
        with torch.no_grad():
            return x.t() if x.dim() else x.relu()  # -> 2x2


class Failing(nn.Module):
    takes = (3, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(100, 2)

    def head(self, x):
        x = x.flatten(1)  # -> 1x144
        return self.fc(x)

    def forward(self, x):
        x = self.conv(x)  # -> 1x4x6x6
        return self.head(x)
