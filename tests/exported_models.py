"""Networks that are exported, each with its input's shape as the command line takes it."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        down = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.down = down if stride > 1 else None

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.down is None else self.down(x)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Residual(16, 16, 1), Residual(16, 32, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


class ViT(nn.Module):
    def __init__(self, dim: int = 32):
        super().__init__()
        layer = nn.TransformerEncoderLayer(dim, 4, 64, batch_first=True, norm_first=True, activation="gelu")
        self.patch = nn.Conv2d(3, dim, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(torch.zeros(1, 17, dim))
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1) + self.pos
        return self.head(self.norm(self.encoder(x))[:, 0])


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 16, padding_idx=0)
        self.lstm = nn.LSTM(16, 24, 2, bidirectional=True, batch_first=True, dropout=0.1)
        self.gru = nn.GRU(48, 8, batch_first=True)
        self.out = nn.Linear(8, 5)

    def forward(self, ids):
        y, _ = self.lstm(self.embedding(ids))
        y, _ = self.gru(y)
        return torch.log_softmax(self.out(y), dim=-1)


class Layers(nn.Module):
    """One of many kinds of layers, among them one that leaves no operator and one that is never called."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 8, 4, 2, 1)
        self.group = nn.GroupNorm(2, 8)
        self.leaky = nn.LeakyReLU(0.2)
        self.identity = nn.Identity()
        self.pool = nn.MaxPool2d((2, 3), ceil_mode=True)
        self.instance = nn.InstanceNorm2d(8)
        self.softmax = nn.Softmax(1)
        self.dropout = nn.Dropout2d(0.3)
        self.batch = nn.BatchNorm2d(8, affine=False)
        self.prelu = nn.PReLU()
        self.conv = nn.Conv1d(8, 4, 3)
        self.rms = nn.RMSNorm(4)
        self.bilinear = nn.Bilinear(4, 4, 2)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        x = self.dropout(self.identity(self.leaky(self.group(self.up(x)))))
        x = self.prelu(self.batch(self.softmax(self.instance(self.pool(x)))))
        x = self.rms(self.conv(x.flatten(2)).transpose(1, 2))
        return self.bilinear(x, x * 2).sum()


class Tied(nn.Module):
    """A shared weight, a module that is called twice, a buffer, a constant, and a part without gradients."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.twice = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("shift", torch.ones(4), persistent=False)
        self.scale = torch.ones(4)

    def forward(self, ids):
        x = self.twice(self.twice(self.embedding(ids) + self.shift)) * self.scale
        with torch.no_grad():
            mean = x.mean(-1, keepdim=True)
        return self.head((x - mean) * torch.tensor(2.0))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x, *, mask=None, more=None):
        y = self.linear(x) * mask
        return {"y": y.reshape(x.shape[0] * 3), "more": torch.zeros(x.shape[0], 2) + more["shift"]}


def branching():
    class Branching(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x - 1

    return Branching()


INPUTS = {"ResNet": "3,32,32", "ViT": "3,32,32", "Tagger": "7:int64", "Layers": "3,16,16", "Tied": "5:int64"}
