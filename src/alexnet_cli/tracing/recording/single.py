"""Layers whose forward is a single torch function, which is known without a function mode that sees it.

So many layers are of this kind that it saves a tenth of a trace. Such a layer has to be as torch has it, with plain
tensors, and nobody else may watch; its operators are seen as any others.
"""

from __future__ import annotations

from pathlib import Path
from types import BuiltinFunctionType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli.torch_insides import function_modes, own_buffers, own_parameters
from alexnet_cli.tracing.recording.calls import Call
from alexnet_cli.tracing.recording.tensors import shapes_of


class Single(NamedTuple):
    """The function that a layer runs: where its forward finds it, and the attributes that it gets after the input."""

    where: Any
    name: str
    gets: tuple[str, ...]
    function: Any
    forward: Any

    def call(self, layer: Call, clock: int) -> Call:
        """Return the call of the function in a layer's."""
        gets = (getattr(layer.module, name) for name in self.gets)
        return Call(None, self.name, clock, (*layer.input_shapes, *shapes_of(list(gets))))


_WEIGHTS = ("weight", "bias")
_NORMALIZED = ("running_mean", "running_var", *_WEIGHTS)
_LAYERS: tuple[tuple[type[nn.Module], Any, str, tuple[str, ...]], ...] = (
    (nn.Conv1d, F, "conv1d", _WEIGHTS),
    (nn.Conv2d, F, "conv2d", _WEIGHTS),
    (nn.Conv3d, F, "conv3d", _WEIGHTS),
    (nn.Linear, F, "linear", _WEIGHTS),
    (nn.BatchNorm1d, F, "batch_norm", _NORMALIZED),
    (nn.BatchNorm2d, F, "batch_norm", _NORMALIZED),
    (nn.BatchNorm3d, F, "batch_norm", _NORMALIZED),
    (nn.LayerNorm, F, "layer_norm", _WEIGHTS),
    (nn.GroupNorm, F, "group_norm", _WEIGHTS),
    (nn.RMSNorm, F, "rms_norm", ("weight",)),
    (nn.ReLU, F, "relu", ()),
    (nn.GELU, F, "gelu", ()),
    (nn.SiLU, F, "silu", ()),
    (nn.Sigmoid, torch, "sigmoid", ()),
    (nn.Tanh, torch, "tanh", ()),
    (nn.Dropout, F, "dropout", ()),
    (nn.AvgPool2d, F, "avg_pool2d", ()),
    (nn.AdaptiveAvgPool2d, F, "adaptive_avg_pool2d", ()),
)
_DIMENSIONS: dict[type[nn.Module], tuple[int, ...]] = {
    nn.BatchNorm1d: (2, 3),
    nn.BatchNorm2d: (4,),
    nn.BatchNorm3d: (5,),
}
"""How many dimensions the input of a layer has to have that looks at them before it runs its function."""
_PLAIN = frozenset({nn.Parameter, Tensor, type(None)})


def _is_torchs(function: Any) -> bool:
    """Tell whether a function is torch's own, not what somebody put in its place before this program was imported."""
    code = getattr(function, "__code__", None)
    if code is None:
        return isinstance(function, BuiltinFunctionType)
    return Path(torch.__file__).parent in Path(code.co_filename).parents


SINGLE: dict[type[nn.Module], Single] = {
    layer: Single(where, name, gets, getattr(where, name), layer.forward)
    for layer, where, name, gets in _LAYERS
    if _is_torchs(getattr(where, name)) and _is_torchs(layer.forward)
}


def single_function(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Single | None:
    """Return the function that a layer is about to run, None if it may run others or somebody else watches."""
    module = call.module
    found = None if module is None else SINGLE.get(type(module))
    if module is None or found is None or kwargs or len(args) != 1 or type(args[0]) is not Tensor:
        return None
    watched = function_modes() != 1  # the recorder's
    dimensions = _DIMENSIONS.get(type(module))
    refused = dimensions is not None and len(call.input_shapes[0]) not in dimensions
    return None if watched or refused or not _runs_only(found, module) else found


def _runs_only(single: Single, module: nn.Module) -> bool:
    """Tell whether a layer runs as torch has it, with plain tensors, and nothing beside the function."""
    if type(module).forward is not single.forward or getattr(single.where, single.name) is not single.function:
        return False
    attributes, buffers = vars(module), own_buffers(module)
    if "forward" in attributes or attributes.get("padding_mode", "zeros") != "zeros":  # padding is a function
        return False
    if buffers and module.training:  # batch norm counts its calls, by a function
        return False
    return _PLAIN.issuperset(map(type, (*own_parameters(module).values(), *buffers.values())))
