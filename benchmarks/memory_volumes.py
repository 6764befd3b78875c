"""Networks of 3-D convolutions whose memory is predicted and measured, the last two with the shapes of MONAI's own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class Volumes(nn.Module):
    """A small U-Net of 3-D convolutions, for one channel of 32x32x32."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv3d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 16, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(nn.MaxPool3d(2), nn.Conv3d(16, 32, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose3d(32, 16, 2, stride=2)
        self.head = nn.Sequential(nn.Conv3d(32, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 2, 1))

    def forward(self, volume: Tensor) -> Tensor:
        """Return two scores for each voxel."""
        wide = self.down(volume)
        return self.head(torch.cat((wide, self.up(self.deep(wide))), dim=1))


def _twice(before: int, after: int) -> nn.Sequential:
    """Return two convolutions with instance norms."""
    convolutions = (nn.Conv3d(before, after, 3, padding=1), nn.Conv3d(after, after, 3, padding=1))
    parts = ((each, nn.InstanceNorm3d(after, affine=True), nn.LeakyReLU(0.1, inplace=True)) for each in convolutions)
    return nn.Sequential(*(part for each in parts for part in each))


class _Up(nn.Module):
    """Maps made twice as wide beside those of a level, then two convolutions; MONAI pads also what has even sides."""

    def __init__(self, deep: int, wide: int, half: int) -> None:
        super().__init__()
        self.up, self.merge = nn.ConvTranspose3d(deep, half, 2, stride=2), _twice(wide + half, wide)

    def forward(self, deep: Tensor, wide: Tensor) -> Tensor:
        upper = functional.pad(self.up(deep), [0] * 6, "replicate")
        return self.merge(torch.cat((wide, upper), dim=1))


class BasicUNet(nn.Module):
    """MONAI's `BasicUNet()`, with 5,749,410 parameters: four levels down from 32 channels to 256, and up again.

    It gives two scores for each voxel of one channel; sides are multiples of 16.
    """

    def __init__(self, widths: Sequence[int] = (32, 32, 64, 128, 256)) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.first, self.pool = _twice(1, widths[0]), nn.MaxPool3d(2)
        self.downs = nn.ModuleList(_twice(*pair) for pair in pairs)
        halves = [(deep, wide, deep // 2) for wide, deep in pairs[:0:-1]] + [(widths[1], widths[0], widths[1])]
        self.ups = nn.ModuleList(_Up(*each) for each in halves)
        self.head = nn.Conv3d(widths[0], 2, 1)

    def forward(self, volume: Tensor) -> Tensor:
        """Return two scores for each voxel; like MONAI's it holds the maps of all levels until it returns."""
        maps = [self.first(volume)]
        for down in self.downs:
            maps.append(down(self.pool(maps[-1])))
        merged = [maps[-1]]
        for up, wide in zip(self.ups, maps[-2::-1], strict=True):
            merged.append(up(merged[-1], wide))
        return self.head(merged[-1])


class _Attention(nn.Module):
    """Attention written out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (torch.einsum("bhxd,bhyd->bhxy", query, key) * self.scale).softmax(dim=-1)
        mixed = torch.einsum("bhxy,bhyd->bhxd", weights, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


class _Encoder(nn.Module):
    """A transformer's layer, with norms first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before, self.attention = nn.LayerNorm(width), _Attention(width, heads)
        self.between = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.before(tokens))
        return tokens + self.mlp(self.between(tokens))


def _convolution(before: int, after: int, kernel: int) -> nn.Module:
    return nn.Conv3d(before, after, kernel, padding=kernel // 2, bias=False)


def _wider(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose3d(before, after, 2, stride=2, bias=False)


class _Residual(nn.Module):
    """Two convolutions with instance norms, beside a third where the channels change."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(before, after, 3), _convolution(after, after, 3)
        self.norm, self.act = nn.InstanceNorm3d(after), nn.LeakyReLU(0.01, inplace=True)
        self.beside = _convolution(before, after, 1) if before != after else None

    def forward(self, maps: Tensor) -> Tensor:
        hidden = self.norm(self.second(self.act(self.norm(self.first(maps)))))
        hidden += maps if self.beside is None else self.norm(self.beside(maps))
        return self.act(hidden)


class UNETR(nn.Module):
    """MONAI's `UNETR` (Hatamizadeh et al., 2021) with a ViT-Small, for one channel of 64x64x64: 26,240,098 parameters.

    `UNETR(1, 2, 64, feature_size=16, hidden_size=384, mlp_dim=1536, num_heads=6)` without the twelve norms that it has
    for cross attention and never calls: twelve layers over patches of 16x16x16, whose fourth, seventh and tenth
    results go to the decoder.
    """

    def __init__(self, side: int = 64, features: int = 16, width: int = 384, heads: int = 6) -> None:
        super().__init__()
        self.places = (side // 16,) * 3
        self.patches = nn.Conv3d(1, width, 16, stride=16)
        self.positions = nn.Parameter(torch.zeros(1, (side // 16) ** 3, width))
        self.layers, self.norm = nn.ModuleList(_Encoder(width, heads) for _ in range(12)), nn.LayerNorm(width)
        sizes = [features * each for each in (2, 4, 8)]
        self.skips = nn.ModuleList([_Residual(1, features)])
        for count, size in zip((2, 1, 0), sizes, strict=True):
            further = (part for _ in range(count) for part in (_wider(size, size), _Residual(size, size)))
            self.skips.append(nn.Sequential(_wider(width, size), *further))
        steps = [width, *sizes[::-1], features]
        pairs = list(pairwise(steps))
        self.ups = nn.ModuleList(_wider(*pair) for pair in pairs)
        self.merges = nn.ModuleList(_Residual(2 * after, after) for _, after in pairs)
        self.head = nn.Conv3d(features, 2, 1)

    def forward(self, volume: Tensor) -> Tensor:
        """Return two scores for each voxel; like MONAI's it holds all maps until it returns."""
        tokens, hidden = self.patches(volume).flatten(2).transpose(1, 2) + self.positions, []
        for layer in self.layers:
            tokens = layer(tokens)
            hidden.append(tokens)
        skips = [self.skips[0](volume)]
        for skip, at in zip(self.skips[1:], (3, 6, 9), strict=True):
            skips.append(skip(self._as_volume(hidden[at])))
        maps = [self._as_volume(self.norm(tokens))]
        for up, merge, skip in zip(self.ups, self.merges, skips[::-1], strict=True):
            maps.append(merge(torch.cat((up(maps[-1]), skip), dim=1)))
        return self.head(maps[-1])

    def _as_volume(self, tokens: Tensor) -> Tensor:
        return tokens.transpose(1, 2).unflatten(2, self.places).contiguous()
