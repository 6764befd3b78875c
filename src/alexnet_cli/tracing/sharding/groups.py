"""A process group of any size in this one process: it sends nothing, and is gone afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.rank import Dimension, Layout
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


def mesh_of(layout: Layout) -> DeviceMesh | None:
    """Return the mesh of the dimensions that have several ranks; None where there is one rank in all."""
    sizes = {name: size for name, size in layout.sizes.items() if size > 1}
    return init_device_mesh("cpu", tuple(sizes.values()), mesh_dim_names=tuple(sizes)) if sizes else None


def groups_of(mesh: DeviceMesh | None, layout: Layout) -> dict[str, Group]:
    """Return the dimension of the mesh that each process group spans, by the group's name."""
    if mesh is None:
        return {}
    dimensions: list[Dimension] = [name for name, size in layout.sizes.items() if size > 1]
    return {mesh.get_group(name).group_name: Group(name, layout.sizes[name]) for name in dimensions}
