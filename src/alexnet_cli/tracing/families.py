"""The family of a module: by the class it is or derives from, never by its name."""

from __future__ import annotations

from torch import nn
from torch.nn.modules import activation, batchnorm, conv, dropout, padding, pooling, rnn

from alexnet_cli.report import Family

_SOFTMAX = (nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.AdaptiveLogSoftmaxWithLoss)
_NOT_ACTIVATIONS = (*_SOFTMAX, nn.MultiheadAttention)
_ACTIVATIONS = tuple(
    cls for name in activation.__all__ if not issubclass(cls := getattr(activation, name), _NOT_ACTIVATIONS)
)
_CLASSES: tuple[tuple[Family, tuple[type[nn.Module], ...]], ...] = (
    ("conv", (conv._ConvNd,)),
    ("linear", (nn.Linear, nn.Bilinear)),
    (
        "norm",
        (
            batchnorm._NormBase,
            nn.LayerNorm,
            nn.GroupNorm,
            nn.RMSNorm,
            nn.LocalResponseNorm,
            nn.CrossMapLRN2d,
        ),
    ),
    ("pool", tuple(getattr(pooling, name) for name in pooling.__all__)),
    ("softmax", _SOFTMAX),
    ("attention", (nn.MultiheadAttention,)),
    ("activation", _ACTIVATIONS),
    ("dropout", (dropout._DropoutNd,)),
    ("embedding", (nn.Embedding, nn.EmbeddingBag)),
    ("recurrent", (rnn.RNNBase, rnn.RNNCellBase)),
    (
        "reshape",
        (
            nn.Flatten,
            nn.Unflatten,
            nn.Fold,
            nn.Unfold,
            nn.PixelShuffle,
            nn.PixelUnshuffle,
            nn.ChannelShuffle,
            nn.Identity,
            *(getattr(padding, name) for name in padding.__all__),
        ),
    ),
)


def module_family(cls: type[nn.Module]) -> Family | None:
    """Return the family that a torch layer or a subclass of one belongs to, None for any other class."""
    for family, classes in _CLASSES:
        if issubclass(cls, classes):
            return family
    return None


def is_torchs_own(cls: type[nn.Module]) -> bool:
    """Tell whether a class is a layer that torch itself defines, not one derived from it."""
    return cls.__module__.startswith("torch.nn.") and module_family(cls) is not None
