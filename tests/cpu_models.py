"""Small networks whose kernels on the CPU allocate much, each with the shape of one input."""

from __future__ import annotations

from collections.abc import Callable

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


def planes() -> nn.Module:
    return _after(nn.Conv2d(3, 64, 7, stride=2, padding=3))


def grouped() -> nn.Module:
    return _after(nn.Conv3d(32, 32, 3, padding=1, groups=32))


def patches() -> nn.Module:
    return _after(nn.Conv3d(1, 96, 16, stride=16))


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
    planes: (3, 64, 64),
}
"""Those whose kernels' sizes are derived."""
BOUNDED: dict[Callable[[], nn.Module], tuple[int, ...]] = {grouped: (32, 8, 8, 8), patches: (1, 32, 32, 32)}
"""Those whose kernels' sizes are bounds."""
