"""The loss of a training step: the sum of the outputs, the model's own, or a cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli.errors import NothingToTrainError, UsageError
from alexnet_cli.tracing.recording.tensors import tensors_in

_TOKENS = 3
"""Scores of up to so many dimensions, (tokens, classes) or (samples, tokens, classes), have the classes last."""


def own_loss(output: object) -> Tensor | None:
    """Return the number that a model returns, alone or among other outputs; None if it returns none."""
    return next((tensor for tensor in tensors_in(output) if tensor.requires_grad and tensor.dim() == 0), None)


def scores_of(output: object) -> Tensor:
    """Return the first output that depends on what is trained, and could be scores of classes.

    Raises:
        UsageError: there is none.
    """
    for tensor in tensors_in(output):
        if tensor.requires_grad and tensor.dim() > 1:
            return tensor
    raise UsageError("cross-entropy needs scores of classes, and no output has them", "leave out --loss")


def labels_of(scores: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Return a class for each position of a whole batch, cut into the parts of which `scores` are those of one."""
    batch, *rest = scores.shape[:-1] if scores.dim() <= _TOKENS else (scores.shape[0], *scores.shape[2:])
    return torch.zeros(batch * parts, *rest, dtype=torch.long, device=scores.device).chunk(parts)


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, in float32 at least."""
    scores = scores if scores.dtype == torch.float64 else scores.float()
    if scores.dim() > _TOKENS:
        return F.cross_entropy(scores, labels)
    return F.cross_entropy(scores.flatten(0, -2), labels.flatten())


def loss_of(output: object) -> Tensor:
    """Return a model's output if it is one number, otherwise the sum of its outputs.

    Raises:
        NothingToTrainError: none depends on a parameter that is trained.
    """
    trained = [tensor for tensor in tensors_in(output) if tensor.requires_grad]
    if not trained:
        raise NothingToTrainError("there is nothing to train: no output depends on a parameter that requires_grad")
    if len(trained) == 1 and trained[0].dim() == 0:
        return trained[0]
    return sum((tensor.sum() for tensor in trained[1:]), trained[0].sum())
