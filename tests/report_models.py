"""Models to report on: very long ones, one of many blocks, names that are no names, one that holds nothing to train."""

import torch
from torch import nn


def unlike() -> nn.Module:
    """2,000 layers, no two of which are alike, each larger than the one before."""
    return nn.Sequential(*(nn.Linear(8 + step, 9 + step) for step in range(2000)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, x):
        return x + self.down(self.up(self.norm(x)).relu())


class Tower(nn.Module):
    """A dozen equal blocks between two layers: 38 layers with parameters."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(100, 16)
        self.blocks = nn.ModuleList(Block() for _ in range(12))
        self.head = nn.Linear(16, 100)

    def forward(self, ids):
        x = self.tokens(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


ODD_NAMES = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "quote\"and'apostrophe",
    "&amp;&lt;",
    "합성곱층",
    "слой",
    "תבנית",
    "]]> --> {x} |y|; end {{ 7 * 7 }}",
    "a very long name that no box on any page has the room for, and then a little more of it",
    "new\nline\ttab\x1b[31m",
)


class OddNames(nn.Module):
    """Names that some format or other takes for something else, with a skip connection around them."""

    def __init__(self):
        super().__init__()
        for name in ODD_NAMES:
            self.add_module(name, nn.Linear(4, 4))

    def forward(self, x):
        y = x
        for layer in self.children():
            y = layer(y)
        return x + y


class Encoder(nn.Module):
    """Gives the output of each of its layers, for 8 features 9 to 14."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8 + step, 9 + step) for step in range(6))

    def forward(self, x):
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found


class Decoder(nn.Module):
    """A joint of the six, then seventeen layers of which no two are alike."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(69 + step, 70 + step) for step in range(17))

    def forward(self, found):
        x = torch.cat(found, 1)
        for layer in self.layers:
            x = layer(x)
        return x


class Pyramid(nn.Module):
    """Two modules with more inside than is opened at first where there is more to see."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Fixed(nn.Module):
    """Runs, and has nothing to train."""

    def forward(self, x):
        return x * 2
