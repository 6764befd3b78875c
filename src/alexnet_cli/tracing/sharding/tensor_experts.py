"""Tensor parallelism of experts in stacked parameters: each rank has a part of every expert.

As transformers' `moe_tp_experts` does it: experts run with the parts of their matrices that a rank holds, on all
tokens. Their results are summed among the ranks, and in the backward the gradients of what they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.distributed.tensor.parallel import ParallelStyle

from alexnet_cli.torch_insides import local_tensor, own_parameters
from alexnet_cli.tracing.sharding.recording import aside


class SplitExperts(ParallelStyle):
    """Splits the parameters of a module along the dimensions that are given by name."""

    def __init__(self, dimensions: Mapping[str, int]) -> None:
        super().__init__()
        self.dimensions = dimensions

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        for name, dimension in self.dimensions.items():
            whole = own_parameters(module)[name]
            assert whole is not None  # noqa: S101 - the plan names it
            part = distribute_tensor(whole, device_mesh, [Shard(dimension)], src_data_rank=None)
            own_parameters(module)[name] = nn.Parameter(part, whole.requires_grad)
        module.forward = self._run(module, module.forward, device_mesh.get_group())
        return module

    def _run(self, module: nn.Module, forward: Callable[..., Any], group: dist.ProcessGroup) -> Callable[..., Any]:
        def run(hidden: Tensor, index: Tensor, weights: Tensor, *others: Any) -> Tensor:
            with aside():
                hidden, weights = (_summed_back(each, group) for each in (hidden, weights))
            with self._on_parts(module):
                made = forward(hidden, index, weights, *others)
            with aside():
                return _summed(made, group)

        return run

    @contextmanager
    def _on_parts(self, module: nn.Module) -> Iterator[None]:
        """Let a module have plain tensors, this rank's parts, in place of its distributed parameters."""
        own: dict[str, Any] = own_parameters(module)
        whole = {name: own[name] for name in self.dimensions}
        own.update({name: each.to_local() if each is not local_tensor(each) else each for name, each in whole.items()})
        try:
            yield
        finally:
            own.update(whole)


def _summed(tensor: Tensor, group: dist.ProcessGroup) -> Tensor:
    made: Tensor = _Summed.apply(tensor, group)  # type: ignore[no-untyped-call] # torch leaves it untyped
    return made


def _summed_back(tensor: Tensor, group: dist.ProcessGroup) -> Tensor:
    if not torch.is_grad_enabled() or not tensor.requires_grad:
        return tensor
    same: Tensor = _GradientsSummed.apply(tensor, group)  # type: ignore[no-untyped-call] # torch leaves it untyped
    return same


class _Summed(torch.autograd.Function):
    """Sums a tensor among ranks; its gradient is there on each."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, group: dist.ProcessGroup) -> Tensor:
        del context
        dist.all_reduce(tensor, group=group)
        return tensor

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        del context
        return gradients[0], None


class _GradientsSummed(torch.autograd.Function):
    """Leaves a tensor as it is, and sums its gradient among ranks."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, group: dist.ProcessGroup) -> Tensor:
        context.group = group
        return tensor

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient, group=context.group)
        return gradient, None
