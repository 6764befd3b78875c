"""A model that can be traced: how to build it and, where known, what to feed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from alexnet_cli.targets.inputs import InputSpec, InputValue

if TYPE_CHECKING:
    from torch import nn

    from alexnet_cli.targets.checkpoint.contents import Contents
    from alexnet_cli.targets.example import Example


class Asked(Struct, frozen=True):
    """A target as it was typed, what its model is built with, and whether code that a model folder brings may run.

    `batch_size` and `inputs` are what it shall take, for a graph that leaves sizes open.
    """

    target: str
    arguments: Mapping[str, Any] = {}
    trusted: bool = False
    batch_size: int | None = 1
    inputs: tuple[InputSpec | InputValue, ...] | None = None


class Loaded(Struct, frozen=True):
    """A module; `shared` if it is somebody else's instance, which must be left as it is."""

    module: nn.Module
    shared: bool = False


class Subject(Struct, frozen=True):
    """A resolved target.

    `load` builds the module on torch's current default device. It and the model's forward run inside `within`,
    which prepares what the target's code needs and removes it again. `inputs` is what the model is known to take,
    None if that has to be found; `example` is a call of forward that the caller gave instead. `home` is the kind of
    device to fall back to if the model cannot run on `meta`. `files` are read when the model is built, beside code;
    `weights` reads which tensors the checkpoint that belongs to it holds, None if it cannot be read without its values.
    `batches` are the least and largest batch that it runs with, None where that is not known.
    """

    target: str
    description: str
    load: Callable[[], Loaded]
    inputs: tuple[InputSpec, ...] | None = None
    example: Example | None = None
    home: str = "cpu"
    within: Callable[[], AbstractContextManager[object]] = nullcontext
    files: tuple[Path, ...] = ()
    weights: Callable[[], Contents | None] | None = None
    batches: tuple[int, int] | None = None


def live_subject(module: nn.Module, example: Example | None) -> Subject:
    """Return the subject of a module in memory; it is never changed, and its weights are not copied."""
    name = type(module).__name__
    home = next((tensor.device.type for tensor in module.parameters()), "cpu")
    load = partial(Loaded, module, shared=True)
    return Subject(name, f"a {name} in memory", load, example=example, home="cpu" if home == "meta" else home)
