"""The subject's model, built or copied to a device."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from alexnet_cli.errors import TargetError, first_line, told
from alexnet_cli.tape import Shape
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.torch_insides import (
    FakeResults,
    buffers_of,
    imports_unwatched,
    own_buffers,
    own_parameters,
    parameters_of,
    tensors_inside,
)
from alexnet_cli.tracing.devices import no_memory, out_of_memory
from alexnet_cli.tracing.meta.constants import moved_to_meta, on_meta
from alexnet_cli.tracing.meta.stand_ins import nothing_filled
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.undisturbed import undisturbed

Notify = Callable[[str], None]

_PLAIN = (dict, set, OrderedDict)
"""Most of what a module has of these is empty, and `deepcopy` takes its time to find that out."""


def build(subject: Subject, device: torch.device, options: TraceOptions, notify: Notify) -> nn.Module:
    """Return the model on `device`, in the dtype and mode asked for; never somebody else's instance.

    Raises:
        TargetError: the target's code fails.
    """
    loaded = _load(subject, device, notify)
    inner = _unwrapped(loaded.module, notify)
    elsewhere = any(tensor.device.type != device.type for tensor in (*parameters_of(inner), *buffers_of(inner)))
    updated = options.step is not None and options.step.optimizer != "none"
    model = _copied(inner, device, own_weights=updated) if loaded.shared or elsewhere else inner
    if options.dtype is not None:
        model.to(getattr(torch, options.dtype))
    try:
        model.train(options.mode == "train")
    except NotImplementedError as error:  # as what torch.export makes, which has one mode for good
        notify(f"the model cannot be put into {options.mode} mode, it runs as it was made: {first_line(error)}")
    return model  # an overridden `to` or `train` may return nothing


def _load(subject: Subject, device: torch.device, notify: Notify) -> Loaded:
    try:
        with on_meta(device) if device.type == META else device, imports_unwatched(), nothing_filled(), _answered():
            return subject.load()
    except TargetError as error:
        cause = error.__cause__
        if cause is not None and out_of_memory(cause):
            raise no_memory(device) from cause
        if device.type != META or cause is None or "overflow" in str(cause):
            raise  # it would be refused again, or is too large
        loaded = subject.load()
        notify(f"the model was built on the CPU, as it cannot be built on meta: {error.message}")
        return loaded


def _answered() -> AbstractContextManager[Any]:
    """Make layers that are alike in less time, where tensors have a device and no values."""
    known = FakeResults.of_active_mode()
    return nullcontext() if known is None else known.answering()


def _copied(module: nn.Module, device: torch.device, *, own_weights: bool) -> nn.Module:
    try:
        return copy_to(module, device, own_weights=own_weights)
    except Exception as error:
        if out_of_memory(error) or isinstance(error, RecursionError):
            raise
        raise TargetError(
            f"the model cannot be copied, and the original must not be changed: {told(error)}",
            "name a class or a function that builds it, instead of an instance",
        ) from error


def _unwrapped(module: nn.Module, notify: Notify) -> nn.Module:
    """Return the module inside a compiled or parallel one: the wrapper has no layers of its own."""
    if isinstance(module, torch.jit.ScriptModule):
        notify("the model is scripted: it runs outside Python and is seen as one layer")
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner = module.module if isinstance(module, wrappers) else getattr(module, "_orig_mod", None)
    if not isinstance(inner, nn.Module):
        return module
    notify(f"the model is wrapped in {type(module).__name__}: what it wraps is shown")
    return _unwrapped(inner, notify)


def copy_to(module: nn.Module, device: torch.device, *, own_weights: bool = False) -> nn.Module:
    """Return a copy whose tensors are on `device`; the module itself stays as it is.

    Ties between parameters, and other references to them such as an RNN's list of flat weights, are kept.
    On the device where they are, parameters share their storage with the original, unless the copy is to have its
    `own_weights`, as an optimizer writes to them; buffers, which a forward may change, are always copied.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for holder in (own_parameters(part), own_buffers(part), vars(part)):
            for value in holder.values():
                if isinstance(value, Tensor) and id(value) not in memo:
                    memo[id(value)] = _moved(value, device, own_weights=own_weights)
                elif isinstance(value, (dict, set)) and type(value) in _PLAIN and not value:
                    memo.setdefault(id(value), value.copy())
    return copy.deepcopy(module, memo)


def _moved(tensor: Tensor, device: torch.device, *, own_weights: bool) -> Tensor:
    if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
        return type(tensor)(requires_grad=tensor.requires_grad, device=device, dtype=tensor.dtype)  # type: ignore[call-arg] # missing in its stub
    is_weight = isinstance(tensor, nn.Parameter)
    if tensors_inside(tensor):  # some subclasses take no `copy`
        moved = tensor.detach().to(device)
        moved = moved.clone() if own_weights or not is_weight else moved
    else:
        moved = tensor.detach().to(device, copy=own_weights or not is_weight)
    if device.type == META:
        moved_to_meta(tensor, moved)
    return nn.Parameter(moved, requires_grad=tensor.requires_grad) if is_weight else moved


class State(NamedTuple):
    """The keys of a `state_dict` with their shapes; `ties` are the other keys of tensors that have several."""

    shapes: dict[str, Shape]
    ties: dict[str, set[str]]


def state_shapes(subject: Subject, options: TraceOptions) -> State:
    """Return the shapes in the model's `state_dict`, built on `meta`; lazy parameters have none.

    Raises:
        TargetError: the model cannot be built.
    """
    with undisturbed(), subject.within():
        model = build(subject, torch.device(META), options, notify=lambda _: None)
        state = model.state_dict(keep_vars=True)
    names: dict[int, set[str]] = {}
    for name, value in state.items():
        names.setdefault(id(value), set()).add(name)
    shapes = {name: tuple(value.shape) for name, value in state.items() if not is_lazy(value)}
    return State(shapes, {name: group - {name} for group in names.values() for name in group})
