"""Models that the claims hold for, and models that they do not."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it


class Block(nn.Module):
    def __init__(self, into, out, stride, mid=None):
        super().__init__()
        mid = mid or out
        self.conv1 = nn.Conv2d(into, mid, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(mid)
        self.conv2 = nn.Conv2d(mid, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Identity() if into == out else nn.Conv2d(into, out, 1, stride, bias=False)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNetLike(nn.Module):
    def __init__(self, mid=32):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1)
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2, mid))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.blocks(self.pool(F.relu(self.stem(x))))
        return self.fc(x.mean((2, 3)))


class Transformer(nn.Module):
    def __init__(self, inner=64):
        super().__init__()
        self.embedding = nn.Embedding(1000, 32)
        self.encoder = nn.TransformerEncoderLayer(32, 4, inner, batch_first=True, activation="gelu")
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


class UNet(nn.Module):
    """What goes down is concatenated with what comes up."""

    def __init__(self, first=16, deep=32, up=16):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, first, 3, padding=1), nn.BatchNorm2d(first), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(first, deep, 3, padding=1), nn.GroupNorm(4, deep), nn.ReLU())
        self.up = nn.ConvTranspose2d(deep, up, 2, 2, groups=2)
        self.last = nn.Conv2d(first + up, 8, 3, padding=1)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        across = self.first(x)
        up = self.up(self.deep(F.max_pool2d(across, 2)))
        return self.out(F.relu(self.last(torch.cat([across, up], 1))))


class Views(nn.Module):
    """Two images of half the channels look like one to its `view`."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 4 * 4, 4)

    def forward(self, x):
        return self.fc(F.max_pool2d(self.conv(x), 2).view(-1, 16 * 4 * 4))


class Rounds(nn.Module):
    """Takes in what it has put out."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(8, 16)
        self.again = nn.Linear(16, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, x):
        x = self.into(x)
        for _ in range(3):
            x = self.again(x)
        return self.out(x)


class Language(nn.Module):
    """Tokens in and out; the table of the embedding is that of the head too, where tied."""

    def __init__(self, width=16, tied=False):
        super().__init__()
        self.table = nn.Embedding(100, width)
        self.norms = nn.Sequential(nn.LayerNorm(width), nn.RMSNorm(width))
        self.head = nn.Linear(width, 100, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(self.norms(self.table(x)))


class Hides(nn.Module):
    """Goes on where a layer fails."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(8, 16)
        self.norm = nn.GroupNorm(16, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, x):
        x = self.into(x)
        try:
            return self.out(self.norm(x.unsqueeze(2).expand(-1, -1, 2))[..., 0])
        except RuntimeError:
            return self.out(x)


class Looks(nn.Module):
    """Runs only where there are values."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(8, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, x):
        x = self.into(x)
        return self.out(x if x.sum() > 0 else -x)


class TwoAnswers(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Linear(8, 16)
        self.classes = nn.Linear(16, 4)

    def forward(self, x):
        features = self.features(x)
        return features, self.classes(features)


def normed_in_every_way(width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.GroupNorm(2, width),
        nn.InstanceNorm2d(width, affine=True, track_running_stats=True),
        nn.PReLU(width),
        nn.LocalResponseNorm(2),
        nn.LayerNorm((width, 8, 8)),
        nn.Conv2d(width, width, 3, groups=width),  # depthwise
        nn.Conv2d(width, 2 * width, 3, groups=width),  # two filters for each channel
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * 16, 5),
    )


def three_dimensions(width=8):
    return nn.Sequential(nn.Conv3d(1, width, 3), nn.BatchNorm3d(width), nn.ConvTranspose3d(width, 2, 2))


def lazy(width=8):
    return nn.Sequential(nn.LazyConv2d(width, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))


def narrow_already():
    return nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 4))


def weight_normed():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Linear(16, 4)))


def odd_groups():
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.GroupNorm(8, 8), nn.Conv2d(8, 12, 3, groups=4))


def frozen():
    return mlp().requires_grad_(False)


def pooled(widths=(20, 30, 4)):
    """A training step wants more than one image: the norm has one value of each."""
    into, mid, out = widths
    return nn.Sequential(nn.Linear(into, mid), nn.BatchNorm1d(mid), nn.Linear(mid, out))


_MADE = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 4))


def made_before():
    """Hands out the same module every time."""
    return _MADE


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


def mlp(hidden=30):
    return nn.Sequential(nn.Linear(20, hidden), nn.ReLU(), nn.Linear(hidden, 4))


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
