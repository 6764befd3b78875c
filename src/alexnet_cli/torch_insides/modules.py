"""Modules: what one holds, weights in other forms than a plain tensor, and the base classes of torch's layers."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm, conv, dropout

from alexnet_cli.torch_insides.names import NAMES, look_up


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return the parameters registered in a module itself, those that are None too."""
    return module._parameters


def own_buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """Return the buffers registered in a module itself, those that are None too."""
    return module._buffers


def own_modules(module: nn.Module) -> Mapping[str, nn.Module | None]:
    """Return the modules registered in a module itself, those that are None too."""
    return module._modules


def parameters_of(model: nn.Module) -> list[nn.Parameter]:
    """Return what `model.parameters()` yields, in half the time where the model overrides none of that."""
    if _overrides(model, "parameters", "named_parameters"):
        return list(model.parameters())
    return _each_once(parameter for module in _below(model) for parameter in module._parameters.values())


def buffers_of(model: nn.Module) -> list[Tensor]:
    """Return what `model.buffers()` yields, in the same way."""
    if _overrides(model, "buffers", "named_buffers"):
        return list(model.buffers())
    return _each_once(buffer for module in _below(model) for buffer in module._buffers.values())


def _overrides(model: nn.Module, *names: str) -> bool:
    walks = (*names, "named_modules", "_named_members")
    return any(getattr(type(model), name, None) is not getattr(nn.Module, name, 0) for name in walks)


_T = TypeVar("_T", bound=Tensor)


def _each_once(tensors: Iterable[_T | None]) -> list[_T]:
    return list({id(tensor): tensor for tensor in tensors if tensor is not None}.values())


def _below(model: nn.Module) -> Iterator[nn.Module]:
    """Yield each module once, in the order of `nn.Module.modules`."""
    seen: set[nn.Module] = set()
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            yield module
            if children := module._modules:
                waiting.extend([child for child in reversed(children.values()) if child is not None])


def has_parts_or_hooks(module: nn.Module) -> bool:
    """Tell whether a call of a module runs more than its own forward; without torch's own lists it may."""
    try:
        return bool(module._modules or module._forward_hooks or module._forward_pre_hooks)
    except AttributeError:
        return True


def hooks_of(module: nn.Module) -> tuple[dict[int, Any], ...]:
    """Return the hooks that run before and after a module's forward, by number."""
    return (module._forward_pre_hooks, module._forward_hooks)


def _base_class(where: Any, name: str, public: str) -> Any:
    """Return the private base class of torch's layers of a kind; without it a class that the public ones count as."""
    stand_in = ABCMeta(name, (), {})
    for layer in public.split():
        stand_in.register(getattr(nn, layer))
    NAMES[f"nn.modules.{where.__name__.rpartition('.')[2]}.{name}"] = hasattr(where, name)
    return getattr(where, name, stand_in)


if TYPE_CHECKING:
    ConvNd = conv._ConvNd
    NormBase = batchnorm._NormBase
    DropoutNd = dropout._DropoutNd
else:
    ConvNd = _base_class(conv, "_ConvNd", "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d")
    NormBase = _base_class(
        batchnorm,
        "_NormBase",
        "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    )
    DropoutNd = _base_class(
        dropout, "_DropoutNd", "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout"
    )

ScriptObject: Any = look_up("ScriptObject")
"""Holds the packed weights of a quantised layer. Without it such a layer has no parameters."""

_HALF = 2


def packed_below(module: nn.Module) -> list[tuple[nn.Module, Any]]:
    """Return the objects in which a quantised layer of torch packs its weights, each with the part that holds it."""
    if ScriptObject is None or not type(module).__module__.startswith("torch.ao.nn."):
        return []
    parts = module.modules()
    return [(part, value) for part in parts for value in vars(part).values() if isinstance(value, ScriptObject)]


def packed_tensors(packed: Any) -> list[Tensor]:
    """Return the weights and biases in such an object; those of an RNN's layer hold other such objects."""
    found: list[Tensor] = []
    waiting: list[Any] = [packed.unpack() if packed._has_method("unpack") else packed.__getstate__()]
    for value in waiting:  # grows during the loop
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, ScriptObject):
            waiting += packed_tensors(value)
        elif isinstance(value, (list, tuple)):
            waiting += value
    return list({(each.data_ptr() or id(each)): each for each in found}.values())


def packed_bytes(module: nn.Module, tensor: Tensor) -> int:
    """Return the bytes that a packed weight takes; one in half precision is unpacked into more."""
    is_half = torch.float16 in (getattr(module, "dtype", None), getattr(module, "weight_dtype", None))
    return _HALF * tensor.numel() if is_half and tensor.dim() > 1 else stored_bytes(tensor)


def tensors_inside(tensor: Tensor) -> list[Tensor]:
    """Return the tensors that a subclass holds its values in; none for a plain tensor, or a distributed one."""
    cls = type(tensor)
    if cls is Tensor or cls is nn.Parameter or cls.__module__.startswith("torch.distributed"):
        return []
    flatten = getattr(tensor, "__tensor_flatten__", None)
    return [getattr(tensor, name) for name in flatten()[0]] if flatten is not None else []


def _sparse_parts(tensor: Tensor) -> list[Tensor]:
    """Return the values and indices of a sparse tensor; none of a dense one."""
    if tensor.layout is torch.strided:
        return []
    if tensor.layout is torch.sparse_coo:
        return [tensor._values(), tensor._indices()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.values(), tensor.crow_indices(), tensor.col_indices()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.values(), tensor.ccol_indices(), tensor.row_indices()]
    return []


def stored_bytes(tensor: Tensor) -> int:
    """Return the bytes in which a tensor is stored: of a subclass the tensors inside it, with scales and zero points.

    A distributed tensor counts whole, as its shape does; a sparse one with its indices.
    """
    if inner := tensors_inside(tensor) or _sparse_parts(tensor):
        return sum(map(stored_bytes, inner))
    size = tensor.numel() * tensor.element_size()
    if tensor.is_quantized and tensor.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams):
        beside = (tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points())
        size += sum(each.numel() * each.element_size() for each in beside)
    return size
