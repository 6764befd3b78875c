"""What is trained of a model: all of it, some modules, or LoRA's adapters beside frozen weights, also in four bits.

Adapters are by peft's definition (`peft.tuners.lora`): beside a linear layer, one to `rank` values and one back,
without biases, in float32 at least. Four bits are by that of bitsandbytes (`Linear4bit` with `quant_type="nf4"`): two
weights a byte; blocks of 64 weights have a scale each, kept as a byte; blocks of 256 scales have a float32 scale each;
and each layer has a table of 16 and one of 256 float32 values, and a float32 offset (Dettmers et al., "QLoRA",
arXiv:2305.14314).
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli.errors import UsageError
from alexnet_cli.torch_insides import own_parameters
from alexnet_cli.tracing.options import META, Lora, TrainingStep

BLOCK = 64
"""How many weights share a scale."""
SCALES = 256
"""How many scales share a scale: double quantisation."""
_CODES, _SCALE_CODES = 16, 256


def as_trained(model: nn.Module, step: TrainingStep) -> None:
    """Change a model in place to what a step trains of it.

    Raises:
        UsageError: the model has no such module.
    """
    if step.trained:
        _train_only(model, step.trained)
    if step.lora is not None:
        _adapt(model, step.lora)


def module_of(model: nn.Module, path: str) -> nn.Module:
    """Return a part of a model.

    Raises:
        UsageError: the model has no such module.
    """
    try:
        return model.get_submodule(path)
    except AttributeError as error:
        raise UsageError(f"the model has no {path}") from error


def _train_only(model: nn.Module, paths: tuple[str, ...]) -> None:
    trained = {id(part) for path in paths for part in module_of(model, path).modules()}
    for part in model.modules():
        if id(part) not in trained:
            for parameter in own_parameters(part).values():
                if parameter is not None:
                    parameter.requires_grad = False


def _adapt(model: nn.Module, lora: Lora) -> None:
    model.requires_grad_(requires_grad=False)
    for path in lora.layers:
        parent, _, name = path.rpartition(".")
        setattr(module_of(model, parent), name, LoraLinear(module_of(model, path), lora.rank, four_bits=lora.four_bits))


class LoraLinear(nn.Module):
    """A linear layer with an adapter, as `peft.tuners.lora.Linear`, and `Linear4bit` there for four bits."""

    def __init__(self, base: nn.Module, rank: int, *, four_bits: bool) -> None:
        super().__init__()
        weight: Any = base.weight
        rows, columns = weight.shape
        # transformers' Conv1D has its weight transposed
        self.out, self.into = (rows, columns) if isinstance(base, nn.Linear) else (columns, rows)
        self.base_layer = FourBits(base) if four_bits and isinstance(base, nn.Linear) else base
        dtype = weight.dtype if weight.dtype == torch.float64 else torch.float32
        self.lora_A = _unbiased(weight.new_empty(rank, self.into, dtype=dtype))
        self.lora_B = _unbiased(weight.new_empty(self.out, rank, dtype=dtype))

    @property
    def weight(self) -> Any:
        """The layer's own weight, for a model that asks for it, as peft has it."""
        return self.base_layer.weight

    @property
    def bias(self) -> Any:
        """The layer's own bias."""
        return self.base_layer.bias

    def forward(self, given: Tensor) -> Tensor:
        """Run the layer, and add what the adapter makes of the same input."""
        result: Tensor = self.base_layer(given)
        dtype = result.dtype
        if not isinstance(self.base_layer, FourBits):
            result = result + self._adapter(given.to(self.lora_A.weight.dtype))
            return result.to(dtype)
        mixed = given.device.type != META and torch.is_autocast_enabled(given.device.type)
        result = result.clone()  # peft does, as it had trouble with views
        added = self._adapter(given if mixed else given.to(self.lora_A.weight.dtype))
        return result + (added if mixed else added.to(dtype))

    def _adapter(self, given: Tensor) -> Tensor:
        made: Tensor = self.lora_B(self.lora_A(given))
        return made * 1.0  # the scaling


def _unbiased(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False, device="meta")
    layer.weight = nn.Parameter(weight)
    layer.out_features, layer.in_features = weight.shape
    return layer


class FourBits(nn.Module):
    """A linear layer whose weight is held in NF4: it is made whole while the layer runs, and again in its backward."""

    absmax: Tensor
    offset: Tensor

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        weight = base.weight
        self.shape, self.dtype, self.bias = weight.shape, weight.dtype, base.bias
        scales = -(-prod(self.shape) // BLOCK)
        packed = weight.new_empty(-(-prod(self.shape) // 2), 1, dtype=torch.uint8)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.register_buffer("absmax", weight.new_empty(scales, dtype=torch.uint8))
        self.register_buffer("absmax_scale", weight.new_empty(-(-scales // SCALES), dtype=torch.float32))
        for name, size in (("code", _CODES), ("absmax_code", _SCALE_CODES), ("offset", 1)):
            self.register_buffer(name, weight.new_empty(size, dtype=torch.float32))

    def forward(self, given: Tensor) -> Tensor:
        """Run the layer."""
        made: Tensor = _Linear.apply(given, self.bias, self)  # type: ignore[no-untyped-call] # torch leaves it untyped
        return made

    def whole(self, dtype: torch.dtype) -> Tensor:
        """Return the weight in `dtype`, by operators that read and write what the kernels do; its values are not it."""
        scales = self.absmax.float()
        scales += self.offset
        made = torch.empty(self.shape, dtype=self.dtype, device=self.weight.device)
        packed, count = self.weight, made.numel()
        if count % BLOCK == 0:
            blocks = count // BLOCK
            pairs = packed.view(blocks, BLOCK // 2, 1).expand(blocks, BLOCK // 2, 2)
            torch.mul(pairs, scales.view(blocks, 1, 1), out=made.view(blocks, BLOCK // 2, 2))
        else:
            made.view(-1).copy_(packed.expand(len(packed), 2).reshape(-1)[:count])
        return made.to(dtype)


class _Linear(torch.autograd.Function):
    """As `bitsandbytes.autograd.MatMul4Bit`: nothing is kept for the backward but the packed weight."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, bias: Tensor | None, layer: FourBits) -> Tensor:
        ctx.layer = layer
        return F.linear(given, layer.whole(given.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        [gradient] = gradients
        return gradient @ ctx.layer.whole(gradient.dtype), None, None
