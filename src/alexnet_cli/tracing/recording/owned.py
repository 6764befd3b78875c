"""What a row is the first to own: its parameters, how they are stored, and its buffers."""

from __future__ import annotations

from msgspec import Struct
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from alexnet_cli.report import Family
from alexnet_cli.torch_insides import packed_bytes, packed_tensors, stored_bytes


class Owned(Struct, eq=False):
    """The parameters and buffers that a row is the first to own; `families` has what its parameters are used for."""

    params: int = 0
    trainable: int = 0
    bytes: int = 0
    buffers: int = 0
    families: dict[Family, int] = {}

    def add(self, parameter: Tensor, family: Family) -> None:
        """Count one parameter."""
        size = numel(parameter)
        self.families[family] = self.families.get(family, 0) + size
        self.params += size
        self.trainable += size if parameter.requires_grad else 0
        self.bytes += size and stored_bytes(parameter)

    def add_packed(self, module: nn.Module, packed: object, family: Family) -> None:
        """Count the weights that are packed for a quantised layer; they cannot be trained."""
        tensors = packed_tensors(packed)
        size = sum(map(numel, tensors))
        self.families[family] = self.families.get(family, 0) + size
        self.params += size
        self.bytes += sum(packed_bytes(module, tensor) for tensor in tensors)


def numel(tensor: Tensor) -> int:
    """Return the number of elements of a tensor; 0 of a lazy layer's before it is made."""
    return 0 if is_lazy(tensor) else tensor.numel()
