"""Parts of a model that are run again in the backward, instead of what they compute being kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from alexnet_cli.errors import UsageError
from alexnet_cli.torch_insides import own_modules
from alexnet_cli.tracing.options import Block
from alexnet_cli.tracing.recording.adapters import module_of
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.tensors import tensors_in


class Checkpoints:
    """The blocks of a model that are run again; `recorder` watches the run just now.

    Random numbers are not kept for the second run, as shapes do not depend on them.
    """

    def __init__(self, model: nn.Module, blocks: Sequence[Block]) -> None:
        self.model = model
        self.blocks = blocks
        self.recorder: Recorder | None = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Checkpoint the blocks inside; the model is then as it was.

        Raises:
            UsageError: the model has no such block.
        """
        if not self.blocks:
            yield
            return
        changed: list[nn.Module] = []
        settings = without_cache(self.model)
        try:
            changed.extend(map(self._apply, self.blocks))
            yield
        finally:
            for module in changed:
                vars(module).pop("forward", None)
            for config in settings:
                config.use_cache = True

    def _apply(self, paths: Block) -> nn.Module:
        parts = [module_of(self.model, path) for path in paths]
        if len(parts) == 1:
            [module] = parts
            module.forward = self._again(module.forward, module)
            return module
        parent = module_of(self.model, paths[0].rpartition(".")[0])
        if type(parent).forward is not nn.Sequential.forward:
            raise UsageError(f"{', '.join(paths)} are not run one after the other by an nn.Sequential")
        before = vars(parent).get("forward")
        plain = [module for module in own_modules(parent).values() if module is not None]
        steps = before.steps if isinstance(before, _Sliced) else plain
        parent.forward = _Sliced(steps, parts, self._again(_in_turn(parts), parent))
        return parent

    def _again(self, forward: Callable[..., Any], module: nn.Module) -> Callable[..., Any]:
        def inside(*args: Any, **kwargs: Any) -> Any:
            recorder = self.recorder
            again = recorder is not None and recorder.tape is not None and recorder.tape.phase == "backward"
            with recorder.within(module) if again and recorder is not None else nullcontext():
                return forward(*args, **kwargs)

        def run(*args: Any, **kwargs: Any) -> Any:
            if not torch.is_grad_enabled():
                return forward(*args, **kwargs)
            tape = None if self.recorder is None else self.recorder.tape
            if tape is not None:
                for tensor in tensors_in([*args, *kwargs.values()]):
                    tape.saved(tensor)
            return checkpoint(inside, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)

        return run


class _Sliced:
    """The forward of a Sequential of which some parts, one after the other, are run as one."""

    def __init__(self, steps: Sequence[Callable[..., Any]], parts: Sequence[Any], one: Callable[..., Any]) -> None:
        first = next(at for at, step in enumerate(steps) if step is parts[0])
        self.steps = [*steps[:first], one, *steps[first + len(parts) :]]

    def __call__(self, given: Any) -> Any:
        return _in_turn(self.steps)(given)


def _in_turn(steps: Sequence[Callable[..., Any]]) -> Callable[[Any], Any]:
    def run(given: Any) -> Any:
        for step in steps:
            given = step(given)
        return given

    return run


def without_cache(model: nn.Module) -> list[Any]:
    """Let a transformers model keep no keys and values, as transformers does where it checkpoints; return its configs.

    A cache would hold those that are computed again, and with them their whole graph, until the end of the step.
    """
    changed = []
    for module in model.modules():  # an encoder and a decoder each have a config of their own
        config: Any = getattr(module, "config", None)
        if getattr(config, "use_cache", False):
            config.use_cache = False
            changed.append(config)
    return changed
