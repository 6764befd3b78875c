"""Which layers tensor parallelism splits, and how: the user's plan, or the one that a model brings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, SequenceParallel

from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.targets.python_code import python_plan
from alexnet_cli.tracing.options import Parallel
from alexnet_cli.tracing.sharding.sequence_parallel import sequence_parallel
from alexnet_cli.tracing.sharding.tensor_experts import SplitExperts

_STYLES: dict[str, Callable[[], ParallelStyle]] = {
    "colwise": ColwiseParallel,
    "rowwise": RowwiseParallel,
    "colwise_rep": lambda: ColwiseParallel(output_layouts=Replicate()),
    "colwise_gather_output": lambda: ColwiseParallel(output_layouts=Replicate()),
    "rowwise_rep": lambda: RowwiseParallel(input_layouts=Replicate()),
    "rowwise_split_input": lambda: RowwiseParallel(input_layouts=Replicate()),
    "embedding_rowwise": lambda: RowwiseParallel(input_layouts=Replicate()),
    "embedding_colwise": lambda: ColwiseParallel(output_layouts=Replicate()),
    "packed_colwise": ColwiseParallel,  # which rows of the packed layers a rank has does not change shapes
    "replicated_with_grad_allreduce": lambda: SequenceParallel(sequence_dim=2, use_local_output=True),
}
"""transformers' names for what torch calls parallel styles. Norms of each head, which a rank has some of, are as in
torchtitan's plan for Qwen3: heads lie where sequences do elsewhere."""

_EXPERTS = "moe_tp_experts"
_AXES = {"packed_colwise": -2, "colwise": -2, "rowwise": -1}
"""Along which axis of an expert's matrix its rows or columns are split."""

_STACKED = 3

_WHOLE = {"replicate", "replicated", "keep_full_weight"}
"""Their names for layers that each rank has whole."""


def plan_for(model: nn.Module, how: Parallel) -> Mapping[str, Any]:
    """Return a plan for `parallelize_module`: the paths of layers and how each is split.

    Raises:
        UsageError: there is no plan, it is not one, heads do not divide among the ranks, or the model has layers that
            sequence parallelism does not know.
    """
    _check_heads(model, how.layout.tp)
    if how.plan is not None:
        return _users(how.plan, model)
    own = _own_plan(model)
    if not own:
        raise UsageError(
            "this model brings no plan for tensor parallelism",
            "give one with --plan file.py:plan, a dict of paths and parallel styles as parallelize_module takes it",
        )
    unknown = sorted(set(own.values()) - set(_STYLES) - _WHOLE - {_EXPERTS})
    if unknown:
        raise UsageError(
            f"not supported yet: tensor parallelism by {', '.join(map(repr, unknown))} of the model's tp_plan",
            "give a plan with --plan file.py:plan",
        )
    matched = _matched(model, {path: style for path, style in own.items() if style in _STYLES})
    if how.layout.sp:
        return sequence_parallel(model, matched)
    plan = {path: _STYLES[style]() for path, style in matched.items()}
    mixtures = [name for path, style in own.items() if style == _EXPERTS for name in _matches(model, path)]
    return {**plan, **{path: SplitExperts(_split(model, path, own)) for path in mixtures}}


def _split(model: nn.Module, path: str, plan: Mapping[str, str]) -> dict[str, int]:
    """Return along which dimension each parameter of stacked experts is split.

    Raises:
        UsageError: the plan does not say how, or they are no matrices.
    """
    found = {}
    for name, parameter in model.get_submodule(path).named_parameters():
        style = next((style for each, style in plan.items() if _pattern(each).fullmatch(f"{path}.{name}")), "none")
        if style not in _AXES or parameter.dim() < _STACKED:
            raise UsageError(
                f"not supported yet: tensor parallelism of {path}.{name} by {style!r} of the model's tp_plan",
                "give a plan with --plan file.py:plan",
            )
        found[name] = parameter.dim() + _AXES[style]
    return found


def _users(name: str, model: nn.Module) -> Mapping[str, Any]:
    plan = python_plan(name, model)
    if not isinstance(plan, Mapping) or not all(isinstance(path, str) for path in plan):
        raise UsageError(
            f"--plan {name} is no plan", "write a dict of paths and parallel styles, or a function of the model"
        )
    missing = [path for path in plan if not _matches(model, path)]
    if missing:
        raise UsageError(f"--plan {name} names {missing[0]}, which the model does not have")
    return plan


def _own_plan(model: nn.Module) -> dict[str, str]:
    """Return the plan that a transformers model brings, for the model and its parts."""
    plan = getattr(model, "tp_plan", None) or getattr(model, "_tp_plan", None)
    return {str(path): str(style) for path, style in plan.items()} if isinstance(plan, Mapping) else {}


def _matched(model: nn.Module, plan: Mapping[str, str]) -> dict[str, str]:
    """Return the style of each layer that a path with `*` names, without parameters and absent layers."""
    found = {name: style for path, style in plan.items() for name in _matches(model, path)}
    if not found:
        raise AlexnetError("the model's plan for tensor parallelism names no layer that it has")
    return found


def _matches(model: nn.Module, path: str) -> list[str]:
    return [name for name, _ in model.named_modules() if _pattern(path).fullmatch(name)]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\*", r"[^.]+"))


def _check_heads(model: nn.Module, ranks: int) -> None:
    config = getattr(model, "config", None)
    for name, what in (("num_attention_heads", "attention heads"), ("num_key_value_heads", "key and value heads")):
        heads = getattr(config, name, None)
        if isinstance(heads, int) and heads % ranks:
            raise UsageError(f"{heads} {what} do not divide among {ranks} ranks", f"choose a --tp that divides {heads}")
