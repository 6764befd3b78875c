"""Questions that a model asks of values, answered on `meta` as ordinary inputs would answer them.

A tensor of one value (`ones`, what is computed from it) has that value on `meta` too. Of the inputs it is assumed that
nothing is padded, every position is attended, token ids are no special ones, and nothing is NaN or infinite. What
follows from that is known, such as `pad_id in ids` and `mask.all()`; everything else has no value here.
"""

from __future__ import annotations

import inspect
import linecache
import operator as python
import os
import re
import weakref
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import inf, isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alexnet_cli.errors import is_ours

TOKEN = "an ordinary token"  # noqa: S105 - no password
"""The value of token ids: a number from 0 on that equals no number that a model names."""
_NO_TOKENS = re.compile(r"position|type|length|size|thw|grid|index|offset|step|count|num|label|target")
_TORCH = os.path.dirname(torch.__file__) + os.sep  # noqa: PTH120 - compared with file names of frames
_PLACES_TOLD = 4


class Known(NamedTuple):
    """The one value of all elements of a storage, and whether it rests on what is assumed of the inputs.

    Where elements are true and false it is the share that is true, a `Fraction`. `real` are the tokens themselves where
    they are known: all of them, those of one sample, or one that all are.
    """

    value: Any
    assumed: bool = False
    real: Tensor | None = None


Given = list[Known | None]
Follow = Callable[[Given, Any, Tensor], Known | None]
"""From what is known of the tensors among the arguments, the arguments and the result: what is known of the result."""
FOLLOWED: dict[str, Follow] = {}


def _follow(*names: str) -> Callable[[Follow], Follow]:
    def register(follow: Follow) -> Follow:
        FOLLOWED.update(dict.fromkeys(names, follow))
        return follow

    return register


class Assumptions:
    """What is known of the values of tensors on `meta`. `answered` are the places that asked, with the answer."""

    def __init__(self, storage_of: Callable[[Tensor], int]) -> None:
        self.storage_of = storage_of
        self.answered: dict[str, None] = {}
        self._known: dict[int, tuple[Known, weakref.ref[Any]]] = {}

    def assume(self, inputs: Iterable[tuple[str, Tensor, Tensor | None]]) -> None:
        """Assume what is ordinary of a model's inputs, by their names and dtypes.

        With each comes the tensor that the caller gave, if it has values: these are not assumed.
        """
        for name, tensor, real in inputs:
            value = ordinary(name.lower(), tensor.dtype)
            if value is not None:
                known = Known(value, assumed=True) if real is None else _given(value, real)
                if known is not None:
                    self._keep(tensor, known)

    def after(self, follow: Follow, args: Any, kwargs: Any, output: Any) -> None:
        """Keep what is known of an operator's new result."""
        if isinstance(output, Tensor) and "alpha" not in kwargs:
            tensors = args[0] if isinstance(args[0], (list, tuple)) else args
            known = follow([self.known(each) for each in tensors if isinstance(each, Tensor)], args, output)
            if known is not None:
                self._keep(output, known)

    def written(self, tensors: Iterable[Tensor]) -> None:
        """Forget what an operator wrote to."""
        if self._known:
            for tensor in tensors:
                self._known.pop(self.storage_of(tensor), None)

    def item(self, tensor: Tensor) -> Any:
        """Return the value that a model asks for, NotImplemented if it is not known."""
        known = self.known(tensor)
        if known is None or not _is_one_value(known):
            return NotImplemented
        return self.answer(known.value, assumed=known.assumed)

    def equal(self, left: Tensor, right: Tensor) -> Any:
        """Answer `torch.equal`, if it is known."""
        one, other = self.known(left), self.known(right)
        if left.shape != right.shape:
            return False
        if one is None or other is None or not (_is_one_value(one) and _is_one_value(other)):
            return NotImplemented
        return self.answer(one.value == other.value, assumed=one.assumed or other.assumed)

    def note(self) -> str | None:
        """Say what was assumed, and where a model asked."""
        places = list(self.answered)
        if not places:
            return None
        more = f"; and {len(places) - _PLACES_TOLD} more" if len(places) > _PLACES_TOLD else ""
        return (
            "the model asks for values: answered as for ordinary inputs (nothing padded, everything attended, no "
            f"special tokens, no NaN): {'; '.join(places[:_PLACES_TOLD])}{more}"
        )

    def known(self, tensor: Tensor) -> Known | None:
        """Return the one value of all elements, if it is known."""
        kept = self._known.get(self.storage_of(tensor)) if self._known else None
        return kept[0] if kept is not None and kept[1]() is not None else None

    def _keep(self, tensor: Tensor, known: Known) -> None:
        try:
            storage: Any = tensor.untyped_storage()
            value = _in_dtype(known.value, tensor) if _is_one_value(known) else known.value
        except (
            RuntimeError,
            NotImplementedError,
            OverflowError,
            ValueError,
            TypeError,
        ):  # a storage or value of no kind
            return
        known = known._replace(value=value)
        self._known[self.storage_of(tensor)] = known, weakref.ref(storage)

    def answer(self, value: Any, *, assumed: bool) -> Any:
        """Return an answer, and note where the model asked for it if it is assumed."""
        if assumed:
            self.answered[f"{value} at {_place()}"] = None
        return value


def ordinary(name: str, dtype: torch.dtype) -> Any:
    """Return the one value of all elements of an ordinary input, `TOKEN` for token ids, None if it has none.

    The name is in lower case.
    """
    is_integer = dtype in (torch.int64, torch.int32)
    if dtype == torch.bool or (is_integer and "mask" in name):
        return None if "masked" in name else "pad" not in name
    return TOKEN if is_integer and not _NO_TOKENS.search(name) else None


def _is_one_value(known: Known) -> bool:
    return known.value is not TOKEN and not isinstance(known.value, Fraction)


def _given(ordinary: Any, real: Tensor) -> Known | None:
    """Return what is known of an input whose values were given: tokens, or one value for all elements."""
    if ordinary is TOKEN:
        return Known(TOKEN, assumed=True, real=real)
    first = real.flatten()[:1]
    return Known(first.item()) if len(first) and bool((real == first).all()) else None


def _in_dtype(value: Any, tensor: Tensor) -> Any:
    """Return a value as an element of a tensor; what does not fit raises OverflowError."""
    if tensor.dtype == torch.bool:
        return bool(value)
    if tensor.is_floating_point():
        return float(value)
    limits = torch.iinfo(tensor.dtype)
    if not isfinite(value) or not limits.min <= value <= limits.max:
        raise OverflowError
    return int(value)


def _place() -> str:
    """Return the innermost line that is neither torch's nor ours: `file:line (code)`."""
    frame = inspect.currentframe()
    while frame is not None and (frame.f_code.co_filename.startswith(_TORCH) or is_ours(frame.f_code.co_filename)):
        frame = frame.f_back
    if frame is None:
        return "an unknown place"
    file, line = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(file, line).strip()
    return f"{re.split(r'(?:site|dist)-packages.', file)[-1]}:{line}" + (f" ({code})" if code else "")


# --- What operators make of what is known ---------------------------------------------------------------------------


@_follow("index", "index_select", "gather", "abs", "amax", "amin")
def _picked(given: Given, args: Any, output: Tensor) -> Known | None:
    known = _same(given, args, output)
    return None if known is not None and isinstance(known.value, Fraction) else known


@_follow("clone", "_to_copy", "repeat", "flip", "roll")
def _same(given: Given, _args: Any, output: Tensor) -> Known | None:
    known = given[0]
    lost = known is not None and known.value is TOKEN and output.dtype not in (torch.int64, torch.int32)
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


@_follow("ones", "new_ones", "ones_like")
def _ones(_given: Given, _args: Any, _output: Tensor) -> Known:
    return Known(1)


@_follow("zeros", "new_zeros", "zeros_like")
def _zeros(_given: Given, _args: Any, _output: Tensor) -> Known:
    return Known(0)


@_follow("full", "full_like", "new_full", "scalar_tensor")
def _full(_given: Given, args: Any, _output: Tensor) -> Known | None:
    return Known(args[-1]) if isinstance(args[-1], (bool, int, float)) else None


@_follow("isnan", "isinf")
def _not_finite(_given: Given, _args: Any, _output: Tensor) -> Known:
    return Known(value=False, assumed=True)


@_follow("isin")
def _is_in(given: Given, args: Any, _output: Tensor) -> Known | None:
    known = given[0] if isinstance(args[0], Tensor) else None
    tokens = known is not None and known.value is TOKEN and known.real is None
    return Known(value=False, assumed=True) if tokens else None


@_follow("all")
def _all(given: Given, args: Any, output: Tensor) -> Known | None:
    return _whole(given, args, output, of_some=False)


@_follow("any", "_is_any_true")
def _any(given: Given, args: Any, output: Tensor) -> Known | None:
    return _whole(given, args, output, of_some=True)


def _whole(given: Given, args: Any, output: Tensor, *, of_some: bool) -> Known | None:
    known = given[0]
    if known is None or known.value is TOKEN or not args[0].numel():
        return None
    if isinstance(known.value, Fraction):
        return known._replace(value=of_some) if output.numel() == 1 else None
    return known


@_follow("_is_all_true")
def _checked(given: Given, args: Any, output: Tensor) -> Known | None:
    """A check of the model's that all is true: it raises if not."""
    return _all(given, args, output) or Known(value=True, assumed=True)


@_follow("sum")
def _sum(given: Given, args: Any, output: Tensor) -> Known | None:
    known = given[0]
    if known is None or known.value is TOKEN or not output.numel():
        return None
    if isinstance(known.value, Fraction):
        return Known(int(known.value * args[0].numel()), known.assumed) if output.numel() == 1 else None
    return Known(known.value * (args[0].numel() // output.numel()), known.assumed)


@_follow("logical_not", "bitwise_not")
def _not(given: Given, _args: Any, output: Tensor) -> Known | None:
    known = given[0]
    if known is None or known.value is TOKEN or output.dtype != torch.bool:
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
        if given[0] is None and equality and isinstance(right, float) and right == inf:
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
    **{name: _compared(getattr(python, name)) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: _computed(getattr(python, name)) for name in ("add", "sub", "mul")},
    "rsub": _computed(lambda left, right: right - left),
    "logical_and": _computed(lambda left, right: bool(left) and bool(right)),
    "logical_or": _computed(lambda left, right: bool(left) or bool(right)),
    "bitwise_and": _computed(lambda left, right: int(left) & int(right)),
    "bitwise_or": _computed(lambda left, right: int(left) | int(right)),
}
