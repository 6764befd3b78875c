"""Applies a layout to a model with torch's own engines, while the model is on `meta`, and gives it memory after that.

The order is that of torch's own examples: checkpoints innermost, then tensor parallelism, then FSDP or DDP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor.parallel import parallelize_module

from alexnet_cli.errors import AlexnetError, UsageError, told
from alexnet_cli.rank import Layout
from alexnet_cli.torch_insides import hooks_of, own_parameters
from alexnet_cli.tracing.options import AMP_DTYPES, Parallel
from alexnet_cli.tracing.recording.checkpoints import without_cache
from alexnet_cli.tracing.sharding.blocks import blocks_of
from alexnet_cli.tracing.sharding.checkpoints import checkpointed
from alexnet_cli.tracing.sharding.experts import Mixture, share_experts
from alexnet_cli.tracing.sharding.groups import ExpertRanks
from alexnet_cli.tracing.sharding.recording import aside


@dataclass
class Spread:
    """A model spread over ranks, what FSDP shards as one, by module, and the classes that the modules had."""

    model: nn.Module
    units: dict[int, nn.Module]
    classes: dict[int, str]


def spread(
    model: nn.Module,
    mesh: DeviceMesh | None,
    how: Parallel,
    plan: Mapping[str, Any] | None,
    amp: str | None,
    *,
    blocks: list[nn.Module] | None = None,
    ranks: ExpertRanks | None = None,
) -> Spread:
    """Apply checkpoints, tensor parallelism and FSDP to a model on `meta`, whose `blocks` are found unless given.

    Raises:
        UsageError: the model has no module of a class that is to be wrapped.
        AlexnetError: torch refuses to spread this model so.
    """
    classes = {id(module): type(module).__name__ for module in model.modules()}
    hooks = {id(module): [set(each) for each in hooks_of(module)] for module in model.modules()}
    found = blocks_of(model, how.wrap) if blocks is None else blocks
    mixtures = [] if ranks is None else share_experts(model, how.layout.ep, ranks.group)
    if how.checkpoint != "none":
        if blocks is None and not found:
            raise UsageError("--checkpoint needs blocks, and none repeat in this model", "name their class with --wrap")
        without_cache(model)
        for block in found:
            checkpointed(block, how.checkpoint)
    units: dict[int, nn.Module] = {}
    if mesh is not None and how.layout.tp > 1 and plan is not None:
        with _refusal("tensor parallelism"):
            shared = _shared(model)
            parallelize_module(model, mesh["tp"], dict(plan))
            _share_again(shared)
    if mesh is not None and how.layout.shards > 1:
        with _refusal("FSDP"):
            units = _sharded_experts(mixtures, ranks.mesh, how.layout, amp) if ranks is not None else {}
            for unit, modules in _fully_sharded(model, found, mesh, how.layout, amp):
                for module in modules:
                    units.setdefault(id(module), unit)
    _mark_hooks(model, hooks)
    return Spread(model, units, classes)


def _fully_sharded(
    model: nn.Module, blocks: Iterable[nn.Module], mesh: DeviceMesh, layout: Layout, amp: str | None
) -> Iterator[tuple[nn.Module, Iterable[nn.Module]]]:
    """Shard the blocks one by one and the rest as one; yield each unit with the modules in it."""
    names = ("ddp", "fsdp") if layout.ddp > 1 else ("fsdp",)
    # torch's default is to reshard all units but the root
    kept: dict[str, Any] = {} if layout.reshard is True else {"reshard_after_forward": layout.reshard}
    for unit in (*reversed(list(blocks)), model):  # those inside others first
        fully_shard(unit, mesh=mesh[names], mp_policy=_precision(amp), **kept)
        yield unit, unit.modules()


def _sharded_experts(
    mixtures: Iterable[Mixture], mesh: DeviceMesh, layout: Layout, amp: str | None
) -> dict[int, nn.Module]:
    """Shard the experts of each mixture as one among the ranks that have the same; return the unit of each module."""
    names = ("ddp", "efsdp") if layout.ddp > 1 else ("efsdp",)
    units: dict[int, nn.Module] = {}
    for mixture in mixtures:
        fully_shard(
            mixture.units, mesh=mesh[names], mp_policy=_precision(amp), reshard_after_forward=bool(layout.reshard)
        )
        units |= dict.fromkeys(map(id, mixture.experts.modules()), mixture.owner)
    return units


def _precision(amp: str | None) -> MixedPrecisionPolicy:
    dtype = None if amp is None else getattr(torch, AMP_DTYPES[amp])
    return MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=None if dtype is None else torch.float32)


@contextmanager
def _refusal(who: str) -> Iterator[None]:
    try:
        yield
    except AlexnetError:
        raise
    except Exception as error:
        raise AlexnetError(f"{who} refuses this model: {told(error)}") from error


def _mark_hooks(model: nn.Module, before: Mapping[int, list[set[int]]]) -> None:
    """Let a recorder that watches know the engines' hooks from the model's own code."""
    for module in model.modules():
        for hooks, known in zip(hooks_of(module), before.get(id(module), [set(), set()]), strict=True):
            for number in hooks.keys() - known:
                hooks[number] = aside()(hooks[number])


Places = list[tuple[nn.Module, str]]


def _shared(model: nn.Module) -> list[Places]:
    """Return the places of each parameter that has several."""
    places: dict[int, Places] = {}
    for module in model.modules():
        for name, parameter in own_parameters(module).items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((module, name))
    return [each for each in places.values() if len(each) > 1]


def _share_again(shared: Iterable[Places]) -> None:
    """Let modules share their parameters as before, which torch's engines and `to_empty` make one by one.

    Raises:
        AlexnetError: they are split in different ways.
    """
    for (module, name), *others in shared:
        first = own_parameters(module)[name]
        for other, there in others:
            if getattr(first, "placements", None) != getattr(own_parameters(other)[there], "placements", None):
                raise AlexnetError(
                    f"not supported yet: {name} is shared by layers that a plan splits in different ways"
                )
            own_parameters(other)[there] = first


def given_memory(model: nn.Module) -> None:
    """Give the tensors of a model on `meta` memory on the CPU; parameters that several modules share stay shared."""
    shared = _shared(model)
    model.to_empty(device="cpu")
    _share_again(shared)
