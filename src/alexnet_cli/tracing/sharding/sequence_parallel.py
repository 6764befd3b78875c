"""Sequence parallelism along with tensor parallelism: what is outside of matrix products is split along the sequence.

Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", arXiv:2205.05198: norms, residuals
and what is saved for them are parts of 1/ranks. In place of each all-reduce sequences are gathered before attention and
MLP, and their results are reduced and scattered. torch's own styles do it, in the places where torchtitan's plan for
Llama has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature

from torch import nn
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
)

from alexnet_cli.errors import UsageError
from alexnet_cli.torch_insides import own_parameters

_GIVEN = "hidden_states"
"""What transformers' blocks call the attention's input."""


def sequence_parallel(model: nn.Module, plan: Mapping[str, str]) -> dict[str, ParallelStyle]:
    """Return a plan that splits layers as `plan` does, and all else along the sequence.

    `plan` has transformers' names of styles by the paths of layers. A layer split by rows ends a part of a block, such
    as attention; a block consists of such parts and norms. Between blocks each rank has a plain tensor, its part of the
    sequences (batch × tokens/ranks × width), so that pipeline stages can send it. The embedding's result is one of
    torch's distributed tensors, which has the length of the whole sequence: models make positions of it.

    Raises:
        UsageError: the model has layers of another kind.
    """
    modules = dict(model.named_modules())
    rows = [path for path, style in plan.items() if style.startswith("rowwise") and "." in path]
    parts = dict.fromkeys(_parent(path) for path in rows)
    first = next((_parent(part) for part in parts), None)
    embeddings = [path for path in plan if isinstance(modules[path], nn.Embedding)]
    if first is None or not embeddings:
        raise _unknown("its tp_plan splits no blocks by rows and no embedding")
    found: dict[str, ParallelStyle] = {path: _embedding() for path in embeddings}
    found |= {path: _layer(style, inside=_parent(path) in parts) for path, style in plan.items() if path not in found}
    found |= {path: _gathered(path, modules[path]) for path in parts}
    found[first] = PrepareModuleInput(  # no longer a distributed tensor
        input_layouts=(Shard(1),), desired_input_layouts=(Shard(1),), use_local_output=True
    )
    order = list(modules)
    for path in order[order.index(first) :]:
        if "norm" in type(modules[path]).__name__.lower() and own_parameters(modules[path]) and not _in(path, parts):
            found.setdefault(path, SequenceParallel(use_local_output=True))
    for path, module in modules.items():
        if own_parameters(module) and path not in found and not _in(path, parts):
            raise _unknown(
                f"{path or 'the model itself'} ({type(module).__name__}) is no norm, and its tp_plan is without it"
            )
    return found


def _unknown(why: str) -> UsageError:
    return UsageError(
        f"not supported yet: --sp with this model: {why}", "a plan of your own can split it: --plan file.py:plan"
    )


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _in(path: str, parts: Mapping[str, None]) -> bool:
    return any(path.startswith(f"{part}.") for part in parts)


def _embedding() -> ParallelStyle:
    return RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1), use_local_output=False)


def _layer(style: str, *, inside: bool) -> ParallelStyle:
    """Return how a layer is split: parts of blocks gather what they are given themselves, other layers do it alone."""
    if style == "replicated_with_grad_allreduce":  # a norm of each head, of which a rank has some
        return SequenceParallel(sequence_dim=2, use_local_output=True)
    if style.startswith("rowwise"):
        given = None if style == "rowwise" else Replicate()
        return RowwiseParallel(input_layouts=given, output_layouts=Shard(1))
    made = None if style == "colwise" else Replicate()
    return ColwiseParallel(input_layouts=None if inside else Shard(1), output_layouts=made)


def _gathered(path: str, part: nn.Module) -> ParallelStyle:
    """Gather the sequences before a part: before the layers of one input it is one gather, and one sum of gradients."""
    names = list(signature(part.forward).parameters)
    if len(names) == 1:
        return PrepareModuleInput(input_layouts=(Shard(1),), desired_input_layouts=(Replicate(),))
    if _GIVEN not in names:
        raise _unknown(f"{path} ({type(part).__name__}) takes several arguments and none is named {_GIVEN}")
    return PrepareModuleInput(input_kwarg_layouts={_GIVEN: Shard(1)}, desired_input_kwarg_layouts={_GIVEN: Replicate()})
