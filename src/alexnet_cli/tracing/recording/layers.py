"""How layers of a model run in a step: activations in place, scores made in the loss."""

from __future__ import annotations

from torch import nn

from alexnet_cli.errors import UsageError
from alexnet_cli.torch_insides import without_values
from alexnet_cli.tracing.options import TrainingStep
from alexnet_cli.tracing.recording.adapters import module_of
from alexnet_cli.tracing.recording.chunked_loss import Scores, make_scores_in_loss


class WatchedScores(Scores):
    """Scores that the recorder can look at without their being made."""

    told = Scores.told | frozenset(
        ("untyped_storage", "itemsize", "element_size", "layout", "stride", "is_contiguous", "is_meta", "_version")
    )


def as_run(model: nn.Module, step: TrainingStep) -> None:
    """Change layers of a model in place as a step says.

    Raises:
        UsageError: the model has no such layer, or one that cannot run like that.
    """
    for path in step.in_place:
        layer = module_of(model, path)
        if not isinstance(getattr(layer, "inplace", None), bool):
            raise UsageError(f"{path} is no activation that could write over what it is given")
        layer.inplace = True  # type: ignore[assignment] # torch types what a module holds
    if step.chunked is not None:
        layer = module_of(model, step.chunked)
        if type(layer).forward is not nn.Linear.forward:
            raise UsageError(f"{step.chunked} is no linear layer")
        make_scores_in_loss(layer, without_values(WatchedScores, layer.weight))  # type: ignore[arg-type] # as just seen
