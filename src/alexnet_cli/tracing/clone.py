"""A copy of somebody else's module on another device, without its values being copied."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter


def copy_to(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy whose tensors are on `device`; the module itself stays as it is.

    Ties between parameters, and other references to them such as an RNN's list of flat weights, are kept.
    On the device where they are, parameters share their storage with the original; buffers, which a forward may
    change, are copied.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for holder in (part._parameters, part._buffers, vars(part)):
            for value in holder.values():
                if isinstance(value, Tensor) and id(value) not in memo:
                    memo[id(value)] = _moved(value, device)
    return copy.deepcopy(module, memo)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
        return type(tensor)(requires_grad=tensor.requires_grad, device=device, dtype=tensor.dtype)  # type: ignore[call-arg] # missing in its stub
    if not isinstance(tensor, nn.Parameter):
        moved = tensor.detach().to(device)
        return moved.clone() if moved.device == tensor.device else moved
    return nn.Parameter(tensor.detach().to(device), requires_grad=tensor.requires_grad)
