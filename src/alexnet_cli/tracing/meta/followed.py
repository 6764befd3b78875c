"""What operators make of tensors on `meta` of whose values something is known: `FOLLOWED`, by the operator's name."""

from __future__ import annotations

import operator as python
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import inf
from typing import Any

import torch
from torch import Tensor

from alexnet_cli.tracing.meta.assumed import NOISE, TOKEN, Follow, Given, Known

FOLLOWED: dict[str, Follow] = {}
_KINDS = (TOKEN, NOISE)
"""What is known of tensors whose elements differ."""


def _follow(*names: str) -> Callable[[Follow], Follow]:
    def register(follow: Follow) -> Follow:
        FOLLOWED.update(dict.fromkeys(names, follow))
        return follow

    return register


@_follow("index", "index_select", "gather", "abs", "amax", "amin")
def _picked(given: Given, args: Any, output: Tensor) -> Known | None:
    known = _same(given, args, output)
    return None if known is not None and isinstance(known.value, Fraction) else known


@_follow("clone", "_to_copy", "repeat", "flip", "roll")
def _same(given: Given, _args: Any, output: Tensor) -> Known | None:
    known = given[0]
    lost = known is not None and (
        (known.value is TOKEN and output.dtype not in (torch.int64, torch.int32))
        or (known.value is NOISE and not output.is_floating_point())
    )
    return None if lost else known


@_follow("max", "min")
def _extreme(given: Given, args: Any, output: Tensor) -> Known | None:
    return _picked(given, args, output) if len(given) == 1 else None


@_follow("cat", "stack")
def _joined(given: Given, _args: Any, _output: Tensor) -> Known | None:
    known = [each for each in given if each is not None]
    alike = len(known) == len(given) and len({each.value for each in known}) == 1
    alike = alike and all(each.real is None and not isinstance(each.value, Fraction) for each in known)
    return Known(known[0].value, any(each.assumed for each in known)) if alike else None


@_follow("full", "full_like", "new_full", "scalar_tensor")
def _full(_given: Given, args: Any, _output: Tensor) -> Known | None:
    return Known(args[-1]) if isinstance(args[-1], (bool, int, float)) else None


@_follow("isin")
def _is_in(given: Given, args: Any, _output: Tensor) -> Known | None:
    known = given[0] if isinstance(args[0], Tensor) else None
    tokens = known is not None and known.value is TOKEN and known.real is None
    return Known(value=False, assumed=True) if tokens else None


def _whole(given: Given, args: Any, output: Tensor, *, of_some: bool) -> Known | None:
    known = given[0]
    if known is None or known.value in _KINDS or not args[0].numel():
        return None
    if isinstance(known.value, Fraction):
        return known._replace(value=of_some) if output.numel() == 1 else None
    return known


@_follow("_is_all_true")
def _checked(given: Given, args: Any, output: Tensor) -> Known | None:
    """A check of the model's that all is true: it raises if not."""
    return _whole(given, args, output, of_some=False) or Known(value=True, assumed=True)


@_follow("sum")
def _sum(given: Given, args: Any, output: Tensor) -> Known | None:
    known = given[0]
    if known is None or known.value in _KINDS or not output.numel():
        return None
    if isinstance(known.value, Fraction):
        return Known(int(known.value * args[0].numel()), known.assumed) if output.numel() == 1 else None
    return Known(known.value * (args[0].numel() // output.numel()), known.assumed)


@_follow("logical_not", "bitwise_not")
def _not(given: Given, _args: Any, output: Tensor) -> Known | None:
    known = given[0]
    if known is None or known.value in _KINDS or output.dtype != torch.bool:
        return None
    return Known(1 - known.value if isinstance(known.value, Fraction) else not known.value, known.assumed)


@_follow("where")
def _where(given: Given, args: Any, _output: Tensor) -> Known | None:
    if len(given) != 3 or len(args) != 3 or given[0] is None:  # noqa: PLR2004 - a condition and two values
        return None
    if isinstance(given[0].value, Fraction):
        return None
    chosen = given[1] if given[0].value else given[2]
    return chosen and chosen._replace(assumed=chosen.assumed or given[0].assumed)


def _computed(compute: Callable[[Any, Any], Any]) -> Follow:
    """Compute with the values of both sides, where both are known."""

    def follow(given: Given, args: Any, _output: Tensor) -> Known | None:
        known = iter(given)
        sides = [next(known) if isinstance(arg, Tensor) else Known(arg) for arg in args[:2]]
        plain = [side for side in sides if side is not None and isinstance(side.value, (bool, int, float))]
        if len(plain) != 2:  # noqa: PLR2004 - two operands
            return None
        return Known(compute(plain[0].value, plain[1].value), plain[0].assumed or plain[1].assumed)

    return follow


def _real_compared(compute: Callable[[Any, Any], Any], real: Tensor, compared: Tensor, number: Any) -> Known | None:
    """Compare tokens that are known with a number; where some are other than the rest, only all of them at once."""
    if isinstance(number, str) or number is None:
        return None
    hits = compute(real, number)
    share = Fraction(int(hits.sum()), hits.numel())
    if share.denominator == 1:
        return Known(bool(share))
    return Known(share) if compared.shape[-real.dim() :] == real.shape else None


def _compared(compute: Callable[[Any, Any], Any]) -> Follow:
    """Compare what is known.

    Tokens are 0 or more, and equal no number that is named; a tensor equals itself, as it holds no NaN; and what is
    not known is not infinite.
    """
    plain = _computed(compute)
    equality = compute in (python.eq, python.ne)
    token_against = compute(1, 0)
    """How a token compares with what is below all tokens, or, for an equality, with any number."""

    def follow(given: Given, args: Any, output: Tensor) -> Known | None:
        left, right = args[0], args[1]
        if left is right:
            return Known(compute(0, 0), assumed=True)
        is_noise = given[0] is not None and given[0].value is NOISE
        named = is_noise and isinstance(right, (int, float))
        if equality and (named or (given[0] is None and isinstance(right, float) and right == inf)):
            return Known(token_against, assumed=True)
        if given[0] is not None and given[0].value is TOKEN:
            other = given[1] if isinstance(right, Tensor) else Known(right)
            if given[0].real is not None and equality:
                return _real_compared(compute, given[0].real, left, other and other.value)
            special = equality and (right.numel() == 1 if isinstance(right, Tensor) else True)
            special = special and not (other is not None and other.value is TOKEN)
            bound = 0 if compute in (python.lt, python.ge) else -1
            below = not equality and isinstance(right, (int, float)) and right <= bound
            if given[0].real is not None and not (below and (compute(given[0].real, right) == token_against).all()):
                return None
            return Known(token_against, assumed=True) if special or below else None
        return plain(given, args, output)

    return follow


FOLLOWED |= {
    **dict.fromkeys(("ones", "new_ones", "ones_like"), lambda *_: Known(1)),
    **dict.fromkeys(("zeros", "new_zeros", "zeros_like"), lambda *_: Known(0)),
    **dict.fromkeys(("isnan", "isinf"), lambda *_: Known(value=False, assumed=True)),
    "all": partial(_whole, of_some=False),
    **dict.fromkeys(("any", "_is_any_true"), partial(_whole, of_some=True)),
    **{name: _compared(getattr(python, name)) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: _computed(getattr(python, name)) for name in ("add", "sub", "mul")},
    "rsub": _computed(lambda left, right: right - left),
    "logical_and": _computed(lambda left, right: bool(left) and bool(right)),
    "logical_or": _computed(lambda left, right: bool(left) or bool(right)),
    "bitwise_and": _computed(lambda left, right: int(left) & int(right)),
    "bitwise_or": _computed(lambda left, right: int(left) | int(right)),
}
