"""What a config may not make its library do: fetch and load other files, import modules by name, fill the memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from alexnet_cli.errors import TargetError

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_MODULES = 200_000
"""More are not built: each takes some 6 KB, also on meta."""
_LEFT_OUT = ("auto_map", "checkpoint_path", "megatron_config", "megatron_core")
"""Settings with code, a file, and modules that are imported by name."""
_CHOICES = ("attn_implementation", "experts_implementation")
"""Settings of transformers whose values may name code on a hub; values of torch's own are kept."""
_OF_TORCH = ("eager", "sdpa")
_PRETRAINED = ("pretrained", "use_pretrained_backbone")


def harmless(settings: Any) -> Any:
    """Return a config's values, nested ones too, without those that would make its library load or run anything."""
    if isinstance(settings, list):
        return [harmless(each) for each in settings]
    if not isinstance(settings, dict):
        return settings
    return {
        key: False if key in _PRETRAINED and value else harmless(value)
        for key, value in settings.items()
        if key not in _LEFT_OUT and not (any(choice in key for choice in _CHOICES) and value not in _OF_TORCH)
    }


@contextmanager
def confined() -> Iterator[None]:
    """Let a library build a model from what it was given alone, and not one that is larger than any.

    Raises:
        TargetError: it has too many modules, or its weights have values and do not fit into the memory.
    """
    from torch.nn.modules import module as registers

    modules, weights, memory = 0, 0, _memory()

    def on_module(*_: object) -> None:
        nonlocal modules
        modules += 1
        if modules > MOST_MODULES:
            raise TargetError(f"the config asks for more than {MOST_MODULES:,} modules", "it is damaged")

    def on_parameter(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal weights
        del module, name
        if tensor is not None and tensor.device.type == "cpu":
            weights += tensor.nbytes
        if memory is not None and weights > memory:
            raise TargetError("the model can only be built with values, and its weights do not fit into the memory")

    hooks = (
        registers.register_module_module_registration_hook(on_module),
        registers.register_module_parameter_registration_hook(on_parameter),
    )
    try:
        with _offline():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _memory() -> int | None:
    """Return the bytes of this machine's memory; None where the system does not say."""
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


@contextmanager
def _offline() -> Iterator[None]:
    """Keep libraries from asking a hub."""
    try:
        from huggingface_hub import constants
    except ImportError:
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
