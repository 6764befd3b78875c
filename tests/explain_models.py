"""Models that the claims hold for, and models that they do not."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it


class Block(nn.Module):
    def __init__(self, into, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Identity() if into == out else nn.Conv2d(into, out, 1, stride, bias=False)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNetLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1)
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.blocks(self.pool(F.relu(self.stem(x))))
        return self.fc(x.mean((2, 3)))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 32)
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")
        self.head = nn.Linear(32, 1000)

    def forward(self, x):
        return self.head(self.encoder(self.embedding(x)))


class PoolsByHand(nn.Module):
    """Its only operator without a MAC formula is a matrix inverse."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(16, 8)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(F.relu(self.conv(x)), 2).flatten(1)
        x = self.linear(x)
        return torch.linalg.inv(x.unsqueeze(1) * x.unsqueeze(2))


def tidy(mid=8, out=16):
    """3×18×18 → 16 → pooled 8 → 6 → pooled 3; every layer ends in a ReLU."""
    return nn.Sequential(
        nn.Conv2d(3, mid, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(mid, out, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(out * 9, 10),
        nn.ReLU(),
    )


def mlp():
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4))


def group_norm():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 4)
    )


def decoder():
    return nn.Sequential(nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1))


def one_place():
    return nn.Sequential(nn.Conv2d(3, 8, 16), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))


def one_place_at_the_end():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 14))


def grouped():
    return nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.ReLU(), nn.Conv2d(8, 16, 3, groups=4))


def normed_embedding():
    return nn.Sequential(nn.Embedding(100, 8), nn.LayerNorm(8), nn.Linear(8, 4))


def alike():
    return nn.Sequential(*[nn.Linear(16, 16) for _ in range(8)])


def nothing():
    return nn.Sequential(nn.Flatten())


def linear_first():
    return nn.Sequential(nn.Linear(8, 8), nn.Conv2d(3, 4, 3), nn.AvgPool2d(2))


def normed(mid=8, last=12):
    """Grouped convolution, batch norm, group norm: a chain in which norms have parameters."""
    return nn.Sequential(
        nn.Conv2d(4, mid, 3, groups=2, bias=False),
        nn.BatchNorm2d(mid),
        nn.ReLU(),
        nn.Conv2d(mid, last, 3),
        nn.GroupNorm(3, last),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(last * 16, 5),
    )


def normed_half():
    return normed(mid=4)


def alexnet(conv1=96, conv2=256, hidden=4096):
    """The notebook's layers, three of their widths free."""
    return nn.Sequential(
        nn.Conv2d(3, conv1, 11, 4),
        nn.ReLU(True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(conv1, conv2, 5, padding=2),
        nn.ReLU(True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(conv2, 384, 3, padding=1),
        nn.ReLU(True),
        nn.Conv2d(384, 384, 3, padding=1),
        nn.ReLU(True),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(True),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(9216, hidden),
        nn.ReLU(True),
        nn.Linear(hidden, 4096),
        nn.ReLU(True),
        nn.Linear(4096, 1000),
        nn.LogSoftmax(dim=1),
    )
