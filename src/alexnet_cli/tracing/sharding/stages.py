"""Makes of a copy of a model, which is cut between its blocks, the part that one pipeline stage runs.

A stage runs the model's own forward. The blocks before it are emptied and hand on what the stage receives, that of the
last stage runs on to the end, and every other stage stops where the next block would run. What comes before the blocks
and has parameters belongs to the first stage: in others it makes results of the same shape that take no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from alexnet_cli.torch_insides import own_buffers, own_modules, own_parameters
from alexnet_cli.tracing.recording.tensors import tensors_in
from alexnet_cli.tracing.sharding.chain import PASSED, Chain, Described, Span, described, first_tensor


class _Left(Exception):  # noqa: N818 - no error
    """The stage has run its last block; `value` is what it sends."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


def _shown(value: Any, device: str = "cpu") -> Any:
    """Return a tensor as described that takes the memory of one element."""
    if not isinstance(value, Described):
        return value
    shape, dtype = value.looks
    return torch.empty((), dtype=dtype, device=device).expand(shape)


def unfed(value: Any) -> Any:
    """Return an argument whose tensors take the memory of one element each."""
    return tree_map(lambda each: _shown(described(each)), value)


def staged(model: nn.Module, chain: Chain, span: Span) -> list[nn.Module]:
    """Make of a model the stage that runs these blocks; return them. `stage_forward` then makes it run so."""
    first, last = span.first, span.last
    for path in [*(() if first else chain.before), *(() if last else chain.after)]:
        _empty(model.get_submodule(path))
    for path in [*(() if first else chain.own_before), *(() if last else chain.own_after)]:
        owner, _, name = path.rpartition(".")
        module = model.get_submodule(owner)
        looks = described(own_parameters(module)[name])
        del own_parameters(module)[name]
        setattr(module, name, _shown(looks, "meta"))
    for at, path in enumerate(chain.blocks):
        if at not in span.blocks:
            _empty(model.get_submodule(path))
    return [model.get_submodule(chain.blocks[at]) for at in span.blocks]


def _empty(module: nn.Module) -> None:
    """Leave of a module its class and its plain attributes, which models look at."""
    for inside in (own_parameters(module), own_buffers(module)):
        inside.clear()
    for name in list(own_modules(module)):
        delattr(module, name)


def stage_forward(model: nn.Module, chain: Chain, span: Span, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Let a stage's forward take what the stage before sends, and return what it sends, or the model's results.

    `args` and `kwargs` are those of the whole model for a micro-batch; only the first stage is given them.
    """
    first, last = span.first, span.last
    held: list[Tensor] = []
    forward = model.forward
    for path, made in [*(() if first else chain.before.items()), *(() if last else chain.after.items())]:
        model.get_submodule(path).forward = _makes(made)
    _pass_by(model, chain, span, held)
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.is_meta:
                setattr(module, name, _shown(described(value)))

    def run(*received: Any, **named: Any) -> Any:
        given, options = (received, named) if first else (unfed(list(args)), unfed(dict(kwargs)))
        held[:] = received[:1]
        try:
            output = forward(*given, **options)
        except _Left as left:
            return left.value
        finally:
            held.clear()
        made = tensors_in(output)
        trained = [tensor for tensor in made if tensor.requires_grad] if torch.is_grad_enabled() else made
        return trained[0] if len(trained) == 1 else tuple(trained)

    model.forward = run


def _pass_by(model: nn.Module, chain: Chain, span: Span, held: list[Tensor]) -> None:
    """Let blocks before those of a stage hand on what is `held`, and leave after its own."""
    for at, path in enumerate(chain.blocks):
        if at < span.blocks.start:
            model.get_submodule(path).forward = _hands_on(chain.made[at], held)
        elif at >= span.blocks.stop:
            model.get_submodule(path).forward = _leaves
    if not span.first and span.blocks.start == 0:  # the first stage only embeds
        model.get_submodule(chain.blocks[0]).register_forward_pre_hook(_takes(held), prepend=True, with_kwargs=True)
    if not span.last and span.blocks.stop == len(chain.blocks):
        made = chain.made[-1]
        model.get_submodule(chain.blocks[-1]).register_forward_hook(_leaves_after(made))  # after those of FSDP


def _makes(made: Any) -> Callable[..., Any]:
    return lambda *_, **__: tree_map(_shown, made)


def _hands_on(made: Any, held: list[Tensor]) -> Callable[..., Any]:
    return lambda *_, **__: tree_map(lambda each: held[0] if each is PASSED else _shown(each), made)


def _takes(held: list[Tensor]) -> Callable[..., Any]:
    """Return a hook that gives a block what is `held` as its first argument."""

    def take(block: nn.Module, args: Any, kwargs: Any) -> Any:
        del block
        if args:
            return (held[0], *args[1:]), kwargs
        return args, {**kwargs, next(iter(kwargs)): held[0]}

    return take


def _leaves_after(made: Any) -> Callable[..., Any]:
    """Return a hook that leaves with what a block has made, which looks like `made`."""
    place = tree_leaves(made).index(PASSED)

    def leave(block: nn.Module, args: Any, output: Any) -> Any:
        del block, args
        raise _Left(tree_leaves(output)[place])

    return leave


def _leaves(*args: Any, **kwargs: Any) -> Any:
    given = first_tensor(args, kwargs)
    assert given is not None  # noqa: S101 - the chain has been seen
    raise _Left(given)
