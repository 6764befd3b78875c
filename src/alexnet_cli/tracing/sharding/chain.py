"""The chain that a model's blocks form, along which it is cut into pipeline stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.torch_insides import own_modules
from alexnet_cli.tracing.recording.losses import loss_of
from alexnet_cli.tracing.recording.tensors import tensors_in

Looks = tuple[tuple[int, ...], torch.dtype]
"""The shape and dtype of a tensor."""


@dataclass(frozen=True)
class Span:
    """The blocks of a stage, and whether it is the first or the last: these may have none."""

    blocks: range
    first: bool
    last: bool

    def __len__(self) -> int:
        return len(self.blocks)


PASSED = object()
"""Stands for the tensor that goes from block to block."""


@dataclass
class Chain:
    """The blocks of a model by path, in the order in which they run, each of which takes what the one before made.

    `passed` is the tensor that goes from block to block, `made` what each block returns, with tensors by their looks.
    `before` and `after` are the modules with parameters around the blocks, each with its results; `own_before` and
    `own_after` are parameters of modules that contain the blocks.
    """

    blocks: list[str]
    passed: Looks
    made: list[Any]
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    own_before: list[str] = field(default_factory=list)
    own_after: list[str] = field(default_factory=list)

    def spans(self, stages: int) -> list[Span]:
        """Return the blocks of each stage: as many each, the first stages one more where they do not divide.

        Where they would with two more blocks, the first and the last stage have one less, as those of Llama 3
        (arXiv:2407.21783, section 3.3.2): they embed tokens and predict.

        Raises:
            UsageError: there are fewer blocks than stages.
        """
        share, more = divmod(len(self.blocks), stages)
        shares = [share + (at < more) for at in range(stages)]
        around = (self.before or self.own_before) and (self.after or self.own_after)
        if stages > 1 and more == stages - 2 and (share or around):
            shares = [share, *(share + 1 for _ in range(stages - 2)), share]
        elif not share:
            raise UsageError(f"{len(self.blocks)} blocks do not make {stages} stages", "choose fewer stages")
        ends = [0, *accumulate(shares)]
        spans = [range(start, end) for start, end in pairwise(ends)]
        return [Span(span, at == 0, at == stages - 1) for at, span in enumerate(spans)]


def chain_of(model: nn.Module, blocks: Sequence[nn.Module], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Chain:
    """Run a model once and return the chain that its blocks form.

    Every block's result is cut off from what made it, so that the gradients of the loss tell what else depends on it.

    Raises:
        AlexnetError: the blocks form no chain along which the model can be cut.
    """
    if not blocks:
        raise UsageError("--pp needs blocks, and none repeat in this model", "name their class with --wrap")
    watch = _Watch(model, blocks)
    with watch.watching(), torch.enable_grad():
        output = model(*args, **kwargs)
    return watch.chain(output)


class _Watch:
    def __init__(self, model: nn.Module, blocks: Sequence[nn.Module]) -> None:
        self.model = model
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.blocks = {id(block) for block in blocks}
        self.order: list[str] = []
        self.leaves: list[Tensor] = []
        self.made: list[Any] = []
        self.entered: Tensor | None = None
        self.around: tuple[dict[str, Any], dict[str, Any]] = ({}, {})

    @contextmanager
    def watching(self) -> Iterator[None]:
        with ExitStack() as hooks:
            for module in self.model.modules():
                if id(module) in self.blocks:
                    hooks.enter_context(module.register_forward_pre_hook(self._enter, with_kwargs=True))
                    hooks.enter_context(module.register_forward_hook(self._leave))
            for module in _around(self.model, self.blocks):
                hooks.enter_context(module.register_forward_hook(self._outside))
            yield

    def _enter(self, block: nn.Module, args: Any, kwargs: Any) -> Any:
        given = first_tensor(args, kwargs)
        path = self.paths[id(block)]
        if given is None or path in self.order or len(self.order) > len(self.leaves):
            raise _uncut(f"{path} runs inside another block, twice, or without a tensor")
        if any(tensor.requires_grad for tensor in tensors_in([args, kwargs]) if tensor is not given):
            raise _uncut(f"{path} takes more than one tensor that is trained through")
        if self.entered is None:
            self.entered = given
        elif given is not self.leaves[-1]:
            raise _uncut(f"{path} does not take what {self.order[-1]} returns")
        self.order.append(path)

    def _leave(self, block: nn.Module, args: Any, output: Any) -> Any:
        del block, args
        made = [tensor for tensor in tensors_in(output) if tensor.requires_grad]
        if len(made) != 1 or self.entered is None or _looks(made[0]) != _looks(self.entered):
            raise _uncut(f"{self.order[-1]} does not return one tensor as it takes")
        leaf = made[0].detach().requires_grad_()
        self.leaves.append(leaf)
        self.made.append(tree_map(lambda each: PASSED if each is made[0] else described(each), output))
        return tree_map(lambda each: leaf if each is made[0] else each, output)

    def _outside(self, module: nn.Module, args: Any, output: Any) -> None:
        del args
        if self.order and len(self.order) < len(self.blocks):
            raise _uncut(f"{self.paths[id(module)]} runs between blocks")
        self.around[bool(self.order)][self.paths[id(module)]] = tree_map(described, output)

    def chain(self, output: object) -> Chain:
        """Return what was seen."""
        if len(self.order) < len(self.blocks) or self.entered is None:
            raise _uncut("some of its blocks do not run")
        own = _own(self.model, self.blocks, {*self.around[0], *self.around[1]})
        sought = [*self.leaves, *(parameter for _, parameter in own), *self._parameters(self.around[0])]
        wanted = [tensor for tensor in sought if tensor.requires_grad]
        found = torch.autograd.grad(loss_of(output), wanted, allow_unused=True)
        used = {id(tensor) for tensor, gradient in zip(wanted, found, strict=True) if gradient is not None}
        if any(id(leaf) in used for leaf in self.leaves[:-1]):
            raise _uncut("what a block returns is used again after the last block")
        early = {id(parameter) for parameter in self._parameters(self.around[0])}
        late = {id(parameter) for parameter in self._parameters(self.around[1])}
        if early & (late | used):
            raise _uncut("the first and the last stage share parameters")
        after = [path for path, parameter in own if id(parameter) in used]
        before = [path for path, parameter in own if id(parameter) not in used]
        return Chain(self.order, _looks(self.entered), self.made, *self.around, before, after)

    def _parameters(self, modules: Mapping[str, Any]) -> list[nn.Parameter]:
        return [parameter for path in modules for parameter in self.model.get_submodule(path).parameters()]


def _uncut(why: str) -> AlexnetError:
    return AlexnetError(f"not supported yet: this model cannot be cut into pipeline stages: {why}")


def _around(model: nn.Module, blocks: set[int]) -> list[nn.Module]:
    """Return the outermost modules that have parameters and neither are nor contain blocks."""
    found, waiting = [], [model]
    while waiting:
        for child in own_modules(waiting.pop()).values():
            if child is None or id(child) in blocks:
                continue
            if any(id(each) in blocks for each in child.modules()):
                waiting.append(child)
            elif next(child.parameters(), None) is not None:
                found.append(child)
    return found


def _own(model: nn.Module, blocks: set[int], around: set[str]) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters that are outside blocks and outside the modules around them."""
    inside = {id(each) for module in model.modules() if id(module) in blocks for each in module.parameters()}
    apart = tuple(f"{path}." for path in around)
    return [
        (path, parameter)
        for path, parameter in model.named_parameters()
        if id(parameter) not in inside and not path.startswith(apart)
    ]


def first_tensor(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Return the first argument, if it is a tensor."""
    given = args[0] if args else next(iter(kwargs.values()), None)
    return given if isinstance(given, Tensor) else None


def _looks(tensor: Tensor) -> Looks:
    return tuple(tensor.shape), tensor.dtype


class Described:
    """A tensor of which only its looks are known; no tuple, so that it counts as one leaf of what holds it."""

    def __init__(self, tensor: Tensor) -> None:
        self.looks = _looks(tensor)


def described(value: Any) -> Any:
    """Return the looks of a tensor, and anything else as it is."""
    return Described(value) if isinstance(value, Tensor) else value
