"""Cross-entropy over the scores of an output layer, which are made and differentiated some positions at a time.

The definition is that of Liger Kernel's `LigerFusedLinearCrossEntropyFunction` (Hsu et al., arXiv:2410.10989), with
torch's operators: the forward makes the scores of some positions, their loss and its gradient, adds up what that is for
the layer, and lets go of both. What follows the imports is what `fit --emit` writes, as it stands, so that a user runs
what was traced.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn import functional as F  # noqa: N812 - as everybody calls it


class Product(NamedTuple):
    """`F.linear(given, weight, bias)`, worked out in `dtype`, as a tensor of dtype `exact`."""

    given: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    dtype: torch.dtype
    exact: torch.dtype

    def whole(self) -> torch.Tensor:
        """Work it out."""
        bias = None if self.bias is None else self.bias.to(self.dtype)
        return F.linear(self.given.to(self.dtype), self.weight.to(self.dtype), bias).to(self.exact)


class Scores(torch.Tensor):
    """The scores of an output layer, (..., classes), not made yet: a cross-entropy makes some positions at a time.

    Positions can be chosen and reshaped, and in three dimensions the classes be put second (`flipped`). Any other
    function gets the scores as a whole.
    """

    told = frozenset({"shape", "size", "dim", "ndim", "numel", "dtype", "device", "is_floating_point", "__len__"})
    product: Product
    flipped: bool
    made: torch.Tensor | None

    @classmethod
    def of(cls, product: Product, *, flipped: bool = False) -> Any:
        """Return the scores that a product will be."""
        nothing = product.given.new_full((), float("nan"), dtype=product.exact)  # no function reads it
        shaped = nothing.expand(*product.given.shape[:-1], len(product.weight))
        scores = cls.taking(shaped.transpose(1, 2) if flipped else shaped)
        scores.product, scores.flipped, scores.made = product, flipped, None
        return scores

    @classmethod
    def taking(cls, shaped: torch.Tensor) -> Any:
        """Return a tensor as one of this class."""
        return shaped.as_subclass(cls)

    def whole(self) -> torch.Tensor:
        """What the layer would have returned."""
        if self.made is None:
            made = self.product.whole()
            self.made = made.transpose(1, 2) if self.flipped else made
        return self.made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function on what it needs of scores: on their shape, on some at a time, or on the whole."""
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        kwargs = kwargs or {}
        if name in cls.told:
            return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]
        found = None
        if args and isinstance(args[0], cls):
            if name == "requires_grad":
                return any(each.requires_grad for each in args[0].product[:3] if each is not None)
            found = _loss(*args, **kwargs) if name == "cross_entropy" else args[0].moved(func, name, args[1:], kwargs)
        return func(*_whole(args), **_whole(kwargs)) if found is None else found

    def moved(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Return the scores that a function chooses or rearranges, None if it does anything else."""
        if name == "contiguous":
            return self
        if name == "float" or (name == "to" and not kwargs and len(args) == 1 and isinstance(args[0], torch.dtype)):
            exact = torch.float32 if name == "float" else args[0]
            return self.of(self.product._replace(exact=exact), flipped=self.flipped)
        if self.flipped:
            return None
        if name in ("transpose", "permute"):
            axes = [axis % 3 for axis in (args[0] if args and isinstance(args[0], (list, tuple)) else args)]
            flips = axes == [0, 2, 1] if name == "permute" else sorted(axes) == [1, 2]
            usual = self.dim() == 3 and not kwargs  # noqa: PLR2004 - samples, positions, classes
            return self.of(self.product, flipped=True) if flips and usual else None
        return self._placed(func, name, args, kwargs)

    def _placed(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """Return the scores of positions that are reshaped, or chosen by numbers and slices."""
        index = args[0] if args and isinstance(args[0], tuple) else args
        chooses = name == "__getitem__" and all(each is ... or isinstance(each, (int, slice)) for each in index)
        if not chooses and name not in ("view", "reshape", "flatten", "unflatten"):
            return None
        seen = super().__torch_function__(func, (type(self),), (self, *args), kwargs)  # type: ignore[no-untyped-call]
        given, classes = self.product.given, len(self.product.weight)
        if seen.dtype != self.dtype or seen.shape[-1:] != (classes,):
            return None
        wanted = (*seen.shape[:-1], given.shape[-1])
        placed = given[args[0]] if chooses else given.reshape(wanted)
        return self.of(self.product._replace(given=placed)) if placed.shape == wanted else None


def make_scores_in_loss(layer: Any, kind: Any = Scores) -> None:
    """Let an `nn.Linear` return `Scores`, or another `kind` of them."""

    def forward(given: torch.Tensor) -> Any:
        device, dtype = given.device.type, layer.weight.dtype
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        return kind.of(Product(given, layer.weight, layer.bias, dtype, dtype))

    layer.forward = forward


def _whole(value: Any) -> Any:
    if isinstance(value, Scores):
        return value.whole()
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return type(value)(map(_whole, value)) if type(value) in (list, tuple) else value


def _loss(scores: Any, target: Any, weight: Any = None, *rest: Any, **settings: Any) -> Any:
    """Return the cross-entropy of scores, None unless it is that of one class for each position."""
    reduction = settings.pop("reduction", "mean")
    older = [settings.pop(name, None) for name in ("size_average", "reduce")]
    product, labels = scores.product, target.reshape(-1)
    alike = product.given.dim() == 2 + scores.flipped and target.shape == product.given.shape[:-1]
    usual = reduction in ("mean", "sum") and older == [None, None] and not rest
    if not alike or not usual or target.is_floating_point():
        return None
    given = product.given.reshape(-1, product.given.shape[-1])
    total = _InChunks.apply(*product._replace(given=given), labels, {"weight": weight, **settings})  # type: ignore[no-untyped-call]
    if reduction == "sum":
        return total
    counts = labels != settings.get("ignore_index", -100)
    counts = counts if weight is None else weight[torch.where(counts, labels, 0)] * counts
    return total / counts.sum(dtype=total.dtype)


class _InChunks(torch.autograd.Function):
    """The sum of the losses of all positions; the scores of a chunk take about as much as what the layer is given."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        given, weight, bias, dtype, exact, labels, settings = args
        learned = zip(args[:3], ctx.needs_input_grad, strict=False)
        slopes = [torch.zeros_like(each) if learns else None for each, learns in learned]
        total = torch.zeros((), dtype=torch.promote_types(exact, torch.float32), device=given.device)
        weight, bias = weight.to(dtype), None if bias is None else bias.to(dtype)
        chunks = -(-weight.shape[0] // weight.shape[1])
        size = max(-(-len(given) // chunks), 1)
        for at in range(0, len(given), size):
            rows = slice(at, at + size)
            layer = given[rows].to(dtype), weight, bias
            own = None if slopes[0] is None else slopes[0][rows]
            total += _chunk(layer, (own, *slopes[1:]), total.dtype, labels[rows], settings)
        ctx.save_for_backward(*slopes)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Any) -> Any:
        return (*(None if each is None else each.mul_(slopes[0]) for each in ctx.saved_tensors), *[None] * 4)


def _chunk(layer: Any, slopes: Any, exact: torch.dtype, labels: Any, settings: Any) -> torch.Tensor:
    """Return the loss of some positions, and add its gradients to the slopes."""
    part, weight, _ = layer
    of_part, of_weight, of_bias = slopes
    scores = F.linear(*layer).detach()
    with torch.enable_grad():
        loss = F.cross_entropy(scores.requires_grad_().to(exact), labels, reduction="sum", **settings)
    if all(each is None for each in slopes):
        return loss.detach()
    [slope] = torch.autograd.grad(loss, scores)
    if of_part is not None:
        of_part.copy_(slope @ weight)
    if of_weight is not None and of_weight.dtype == slope.dtype:
        torch.addmm(of_weight, slope.t(), part, out=of_weight)
    elif of_weight is not None:
        of_weight += slope.t() @ part
    if of_bias is not None:
        of_bias += slope.sum(0)
    return loss.detach()
