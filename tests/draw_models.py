"""Models to draw beside those of `docs/networks.py`: branches, many layers, names that are no names."""

import torch
from torch import nn


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def torch_encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True)
    return nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)


def alike() -> nn.Module:
    """A pair of layers repeated 1,000 times."""
    return nn.Sequential(*(layer for _ in range(1000) for layer in (nn.Linear(16, 16), nn.ReLU())))


def unlike() -> nn.Module:
    """2,000 layers, all different."""
    return nn.Sequential(*(nn.Linear(8 + step, 9 + step) for step in range(2000)))


def turns() -> nn.Module:
    """Two alternating layers, 15 times."""
    return nn.Sequential(*(layer for _ in range(15) for layer in (nn.Linear(8, 16), nn.Linear(16, 8))))


class Heads(nn.Module):
    """40 parallel layers, all different."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(8, 8 + size) for size in range(40))

    def forward(self, x):
        return torch.cat([head(x) for head in self.heads], 1)


class Steps(nn.Module):
    """One layer ten times in a row."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        for _ in range(10):
            x = self.layer(x)
        return x


class Inception(nn.Module):
    """Branches side by side, as in GoogLeNet."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2)
        self.one = nn.Conv2d(32, 16, 1)
        self.three = nn.Sequential(nn.Conv2d(32, 24, 1), nn.Conv2d(24, 32, 3, padding=1))
        self.five = nn.Sequential(nn.Conv2d(32, 8, 1), nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1))
        self.pool = nn.MaxPool2d(3, 1, 1)
        self.project = nn.Conv2d(32, 16, 1)
        self.head = nn.Linear(80, 10)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([self.one(x), self.three(x), self.five(x), self.project(self.pool(x))], dim=1)
        return self.head(x.mean((2, 3)))


class TwoInputs(nn.Module):
    """A shared encoder called twice, and two outputs."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(32, 64), nn.ReLU())
        self.near = nn.Linear(128, 1)
        self.kind = nn.Linear(128, 5)

    def forward(self, left, right):
        both = torch.cat([self.encoder(left), self.encoder(right)], dim=-1)
        return self.near(both), self.kind(both)


class Dense(nn.Module):
    """Every layer reads the outputs of all earlier layers."""

    def __init__(self, layers=8):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(8 + 8 * step, 8, 3, padding=1) for step in range(layers))

    def forward(self, x):
        made = [x]
        for layer in self.layers:
            made.append(torch.relu(layer(torch.cat(made, 1))))
        return torch.cat(made, 1)


ODD_NAMES = (
    "<script>alert(1)</script>",
    "quote\"and'apostrophe",
    "&amp;&lt;",
    "합성곱층",
    "слой",
    "תבנית",
    "]]> --> {x} |y|; end",
    "a very long name that no box on any page has the room for, and then a little more of it",
    "new\nline\ttab\x1b[31m",
)


class OddNames(nn.Module):
    """Names that have a meaning in some format, with a skip connection around them."""

    def __init__(self):
        super().__init__()
        for size, name in enumerate(ODD_NAMES, 4):
            self.add_module(name, nn.Linear(size, size + 1))

    def forward(self, x):
        y = x
        for layer in self.children():
            y = layer(y)
        return x.sum() + y


class Nothing(nn.Module):
    """No operator runs."""

    def forward(self, x):
        return x
