"""Small networks whose kernels on the CPU allocate much, each with the shape of one input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """A recurrent layer whose input needs a gradient."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.before = nn.PReLU()
        self.layer = layer

    def forward(self, given: Tensor) -> Tensor:
        return self.layer(self.before(given))[0]


def lstm() -> nn.Module:
    return Recurrent(nn.LSTM(30, 50, batch_first=True))


def bidirectional_lstm() -> nn.Module:
    return Recurrent(nn.LSTM(40, 64, 2, batch_first=True, bidirectional=True, dropout=0.2))


def lstm_without_biases() -> nn.Module:
    return Recurrent(nn.LSTM(64, 64, bias=False))


def gru() -> nn.Module:
    return Recurrent(nn.GRU(40, 64, 2, batch_first=True, bidirectional=True))


class Turned(nn.Module):
    """Depth and width in each other's place."""

    def forward(self, given: Tensor) -> Tensor:
        return given.transpose(2, 4)


class ChannelsLast(nn.Module):
    """A convolution of an input that has its channels last."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.before, self.layer = nn.PReLU(), layer

    def forward(self, given: Tensor) -> Tensor:
        return self.layer(self.before(given).contiguous(memory_format=torch.channels_last_3d))


def _after(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.PReLU(), layer)


def volumes() -> nn.Module:
    return nn.Sequential(nn.Conv3d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 16, 3, padding=1))


def padded() -> nn.Module:
    return _after(nn.Conv3d(24, 40, 3, padding=1, stride=2))


def few_channels() -> nn.Module:
    return _after(nn.Conv3d(8, 8, 3, padding=1))


def dilated() -> nn.Module:
    return _after(nn.Conv3d(16, 16, 3, dilation=2))


def transposed() -> nn.Module:
    return _after(nn.ConvTranspose3d(32, 16, 2, stride=2))


def one_place() -> nn.Module:
    return _after(nn.Conv3d(16, 2, 1))


def strided_volumes() -> nn.Module:
    """A width that is no multiple of the stride, and a convolution whose input is normalised."""
    strided = nn.Conv3d(16, 24, 3, stride=(2, 3, 2), padding=1, bias=False)
    return _after(nn.Sequential(nn.Conv3d(6, 16, 3), nn.BatchNorm3d(16), nn.ReLU(), strided))


def transposed_with_overlap() -> nn.Module:
    return _after(nn.ConvTranspose3d(5, 12, 3, stride=2, padding=1, output_padding=1))


def transposed_and_dilated() -> nn.Module:
    return _after(nn.ConvTranspose3d(20, 8, 3, stride=3, padding=1, dilation=2))


def transposed_without_stride() -> nn.Module:
    return _after(nn.ConvTranspose3d(7, 3, 2, padding=1))


def product_of_channels() -> nn.Module:
    return _after(nn.Sequential(nn.Conv2d(4, 24, 1), nn.Conv2d(24, 5, 1, stride=2)))


def turned() -> nn.Module:
    """A convolution of an input that is not contiguous."""
    return nn.Sequential(nn.PReLU(), Turned(), nn.Conv3d(16, 16, 3, padding=1))


def planes() -> nn.Module:
    return _after(nn.Conv2d(3, 64, 7, stride=2, padding=3))


def grouped() -> nn.Module:
    return _after(nn.Conv3d(32, 32, 3, padding=1, groups=32))


def patches() -> nn.Module:
    return _after(nn.Conv3d(1, 96, 16, stride=16))


def channels_last() -> nn.Module:
    return ChannelsLast(nn.Conv3d(16, 24, 3, padding=1))


def pairs() -> nn.Module:
    return _after(nn.Conv3d(20, 4, 5, padding=2, groups=2))


NETWORKS: dict[Callable[[], nn.Module], tuple[int, ...]] = {
    lstm: (20, 30),
    bidirectional_lstm: (12, 40),
    lstm_without_biases: (16, 64),
    gru: (12, 40),
    volumes: (1, 16, 16, 16),
    padded: (24, 16, 16, 16),
    few_channels: (8, 16, 16, 16),
    dilated: (16, 12, 12, 12),
    transposed: (32, 8, 8, 8),
    one_place: (16, 16, 16, 16),
    strided_volumes: (6, 13, 13, 13),
    transposed_with_overlap: (5, 9, 9, 9),
    transposed_and_dilated: (20, 6, 6, 6),
    transposed_without_stride: (7, 12, 12, 12),
    product_of_channels: (4, 32, 32),
    turned: (16, 12, 12, 12),
    planes: (3, 64, 64),
}
"""Those whose kernels' sizes are derived."""
BOUNDED: dict[Callable[[], nn.Module], tuple[int, ...]] = {
    grouped: (32, 8, 8, 8),
    pairs: (20, 10, 10, 10),
    channels_last: (16, 10, 10, 10),
    patches: (1, 32, 32, 32),
}
"""Those whose kernels' sizes are bounds."""
