"""Lets the blocks of a rank's model run again in the backward: torch's own checkpoints, full or selective."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from alexnet_cli.tracing.recording.tensors import tensors_in
from alexnet_cli.tracing.sharding.recording import RankRecorder

_DEAR = ("mm", "addmm", "bmm", "baddbmm", "convolution", "_scaled_dot_product")
"""Operators whose results a selective checkpoint keeps: those that take long to run again."""
_SUMMED = ("all_reduce", "reduce_scatter_tensor")
"""Collectives that sum what tensor parallel ranks have: kept in place of the sums' parts, as in torchtitan."""


def checkpointed(block: nn.Module, how: str) -> None:
    """Let a block run again in the backward: all of it (`full`), or without what takes long (`selective`)."""
    forward = block.forward
    contexts: dict[str, Any] = (
        {} if how == "full" else {"context_fn": partial(create_selective_checkpoint_contexts, _policy)}
    )

    def again(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **contexts, **kwargs)

    block.forward = again


def _policy(context: Any, op: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    """Keep what takes long, and sums over tensor parallel ranks in place of the parts that a rank adds to them.

    A part is as large as whole sequences, a sum with sequence parallelism is a rank's part of those. What is gathered
    is gathered again. Torch before 2.13 does not show a policy what an operator made, so parts are kept there as well.
    """
    del args, kwargs
    made = tensors_in(getattr(context, "op_output", None))
    space, _, name = op.name().partition("::")
    name = name.partition(".")[0]
    if space == "_c10d_functional":
        keep = name in _SUMMED
    else:
        dear = name in _DEAR or name.startswith(_DEAR[-1])
        keep = dear and not any(map(_is_part, made))
    if keep and RankRecorder.watching is not None:
        for tensor in made:
            RankRecorder.watching.rank_tape.saved(tensor)
    return CheckpointPolicy.MUST_SAVE if keep else CheckpointPolicy.PREFER_RECOMPUTE


def _is_part(tensor: torch.Tensor) -> bool:
    """Tell whether a distributed tensor is yet to be summed over its ranks."""
    return any(placement.is_partial() for placement in getattr(tensor, "placements", ()))
