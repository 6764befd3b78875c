"""A process group of any size in this one process: it sends nothing, and is gone afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.rank import DIMENSIONS, Dimension, GroupName, Layout
from alexnet_cli.torch_insides import fake_store, forget_shardings
from alexnet_cli.tracing.sharding.collectives import Group


@contextmanager
def fake_ranks(size: int, rank: int = 0) -> Iterator[None]:
    """Be one of `size` ranks inside; the environment is as it was afterwards.

    Raises:
        UsageError: this process is one of several already.
        AlexnetError: torch has no such process group.
    """
    if not dist.is_available() or (store := fake_store()) is None:
        said = f"torch {torch.__version__} cannot run collectives on shapes"
        raise AlexnetError(said, "install 2.9 or newer, with its distributed package")
    if dist.is_initialized():
        raise UsageError("this process is in a process group already", "run it where none is initialised")
    environment, hook = dict(os.environ), sys.excepthook
    try:
        dist.init_process_group("fake", store=store, rank=rank, world_size=size)
        yield
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
            forget_shardings()
        sys.excepthook = hook
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


def _spanned(layout: Layout) -> list[Dimension]:
    """Return the dimensions of the mesh: FSDP's has the ranks that share sequences, too."""
    return [name for name in DIMENSIONS if name != "cp" and layout.reach(name)[0] > 1]


def mesh_of(layout: Layout) -> DeviceMesh | None:
    """Return the mesh of the dimensions that have several ranks; None where there is one rank in all."""
    sizes = {name: layout.reach(name)[0] for name in _spanned(layout)}
    return init_device_mesh("cpu", tuple(sizes.values()), mesh_dim_names=tuple(sizes)) if sizes else None


@dataclass
class ExpertRanks:
    """The ranks among whom experts are spread (`group`), and the mesh of those that have the same experts."""

    group: dist.ProcessGroup
    mesh: DeviceMesh


def expert_ranks_of(layout: Layout) -> ExpertRanks | None:
    """Return how the ranks of FSDP share experts; None if each has all of them."""
    if layout.ep == 1:
        return None
    sizes = {"ddp": layout.ddp, "efsdp": layout.fsdp // layout.ep, "ep": layout.ep}
    kept = {name: size for name, size in sizes.items() if size > 1 or name == "efsdp"}
    mesh = init_device_mesh("cpu", tuple(kept.values()), mesh_dim_names=tuple(kept))
    return ExpertRanks(_first_group(layout, "ep"), mesh)


def sequence_ranks_of(layout: Layout, stage: int = 0) -> dist.ProcessGroup | None:
    """Return the ranks that share sequences in a pipeline stage; None if each has whole ones."""
    return None if layout.cp == 1 else _first_group(layout, "cp", stage * (layout.gpus // layout.pp))


def _first_group(layout: Layout, name: GroupName, first: int = 0) -> dist.ProcessGroup:
    """Return a group of its own for a rank: one of a mesh is the group of all ranks where it spans them."""
    ranks, apart = layout.reach(name)
    group: dist.ProcessGroup = dist.new_group([first + rank * apart for rank in range(ranks)])
    return group


def groups_of(
    mesh: DeviceMesh | None,
    layout: Layout,
    experts: ExpertRanks | None = None,
    sequence: dist.ProcessGroup | None = None,
) -> dict[str, Group]:
    """Return what each process group is for, by the group's name."""
    if mesh is None:
        return {}
    groups: dict[str, Group] = {
        mesh.get_group(name).group_name: Group(name, layout.reach(name)[0]) for name in _spanned(layout)
    }
    groups |= {} if sequence is None else {sequence.group_name: Group("cp", layout.cp)}
    if experts is None:
        return groups
    names: list[GroupName] = ["efsdp", "ddp"] if layout.ddp > 1 else ["efsdp"]
    groups |= {experts.mesh.get_group(name).group_name: Group(name, layout.reach(name)[0]) for name in names}
    return {**groups, experts.group.group_name: Group("ep", layout.ep)}
