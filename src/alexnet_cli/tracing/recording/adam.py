"""Adam with less of its state on the GPU: what it holds there, and what one update of it takes.

In 8 bits the definition is that of `torchao.optim.AdamW8bit`: of a parameter with at least 4,096 values, and a multiple
of 256, each moment is a byte a value, a float32 scale a block of 256 values, and a table of the 256 values that a byte
can mean; other parameters have moments of their own dtype (Dettmers et al., "8-bit optimizers via block-wise
quantization", arXiv:2110.02861). torchao compiles the update of each parameter: while one runs, both its moments are
there in float32, and the new scales.

Paged, it is that of `bitsandbytes.optim.PagedAdamW`: moments are float32; those of a parameter with at least 100,000
values are in memory that the driver moves between host and GPU, and have to be on the GPU only while one kernel updates
that parameter (Dettmers et al., "QLoRA", arXiv:2305.14314).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

LEAST = 4096
BLOCK = 256
PAGED = 100_000
_BETAS = (0.9, 0.999)


class _Traced(torch.optim.Optimizer):
    """Makes the state and runs operators that read and write what an update does; it computes no moments.

    It is for tracing: it decays nothing, and no step of it trains anything.
    """

    def __init__(self, parameters: Iterable[Any]) -> None:
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override] # torch types closures
        """Update each parameter that has a gradient, one by one."""
        del closure
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad)

    def _update(self, parameter: Tensor, gradient: Tensor) -> None:
        raise NotImplementedError


class PagedAdam(_Traced):
    """Adam whose large moments are on the host: they are on the GPU as long as their parameter is updated."""

    def _update(self, parameter: Tensor, gradient: Tensor) -> None:
        state = self.state[parameter]
        if parameter.numel() >= PAGED:
            moments = [torch.empty_like(parameter, dtype=torch.float32) for _ in _BETAS]
        else:
            if not state:
                state["moments"] = [torch.zeros_like(parameter, dtype=torch.float32) for _ in _BETAS]
            moments = state["moments"]
        for moment in moments:
            moment.mul_(gradient)
            parameter.mul_(moment)


class Adam8bit(_Traced):
    """Adam whose moments are bytes with scales."""

    def _update(self, parameter: Tensor, gradient: Tensor) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device="cpu" if parameter.device.type != "meta" else "meta")
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = _moment(parameter)
        if isinstance(state["exp_avg"], Tensor):
            for name, beta in zip(("exp_avg", "exp_avg_sq"), _BETAS, strict=True):
                state[name].lerp_(gradient, 1 - beta)
            parameter.addcdiv_(state["exp_avg"], state["exp_avg_sq"])
            return
        (codes, scale, table), (codes_sq, scale_sq, table_sq) = state["exp_avg"], state["exp_avg_sq"]
        moment, moment_sq = codes.float(), codes_sq.float()
        new, new_sq = scale.clone(), scale_sq.clone()
        for whole, map_, beta in ((moment, table, _BETAS[0]), (moment_sq, table_sq, _BETAS[1])):
            whole.lerp_(gradient.float() if gradient.dtype != torch.float32 else gradient, 1 - beta)
            whole.flatten()[:BLOCK].mul_(map_)
        codes.copy_(moment)
        codes_sq.copy_(moment_sq)
        scale.copy_(new)
        scale_sq.copy_(new_sq)
        parameter.addcdiv_(moment, moment_sq)


def _moment(parameter: Tensor) -> Tensor | list[Tensor]:
    """Return a moment: codes, scales and the table, or a tensor as the parameter is."""
    count = parameter.numel()
    if count < LEAST or count % BLOCK:
        return torch.zeros_like(parameter)
    codes = torch.zeros(parameter.shape, dtype=torch.uint8, device=parameter.device)
    scale, table = (torch.zeros(size, device=parameter.device) for size in (count // BLOCK, BLOCK))
    return [codes, scale, table]
