"""What modules hold beside their parameters, and whether that grows from step to step."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from alexnet_cli.torch_insides import own_buffers
from alexnet_cli.tracing.recording.tensors import bytes_of, tensors_in

_REGISTERED = ("_parameters", "_buffers", "_modules")


class Held(NamedTuple):
    """The tensors of one buffer or one attribute."""

    kind: Literal["buffer", "attribute"]
    tensors: tuple[Tensor, ...]

    @property
    def bytes(self) -> int:
        """The bytes of their elements."""
        return sum(map(bytes_of, self.tensors))


def held_by(model: nn.Module) -> dict[str, Held]:
    """Return what modules hold in buffers and in attributes, by name, lists and dicts of tensors included."""
    found: dict[str, Held] = {}
    for path, module in model.named_modules():
        for name, buffer in own_buffers(module).items():
            if buffer is not None and not is_lazy(buffer):
                found[_name(path, name)] = Held("buffer", (buffer,))
        for name, value in vars(module).items():
            if name in _REGISTERED or not isinstance(value, (Tensor, list, tuple, dict, set)):
                continue
            tensors = tuple(tensor for tensor in tensors_in(value) if not isinstance(tensor, nn.Parameter))
            if tensors:
                found[_name(path, name)] = Held("attribute", tensors)
    return found


def _name(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
