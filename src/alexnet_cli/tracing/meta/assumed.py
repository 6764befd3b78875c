"""Questions that a model asks of values, answered on `meta` as ordinary inputs would answer them.

A tensor of one value (`ones`, what is computed from it) has that value on `meta` too. Of the inputs it is assumed that
nothing is padded, every position is attended, token ids are no special ones, and nothing is NaN or infinite; the floats
are noise, of which none equals a number that is named. What follows from that is known, such as `pad_id in ids` and
`mask.all()`; everything else has no value here.
"""

from __future__ import annotations

import inspect
import linecache
import os
import re
import weakref
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alexnet_cli.users_code import is_ours

TOKEN = "an ordinary token"  # noqa: S105 - no password
"""The value of token ids: a number from 0 on that equals no number that a model names."""
NOISE = "noise"
"""The value of floats that are given: numbers that equal none that a model names."""
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
            is_noise = real is None and tensor.is_floating_point()
            value = NOISE if is_noise else ordinary(name.lower(), tensor.dtype)
            if value is not None:
                known = Known(value, assumed=True) if real is None else _given(value, real)
                if known is not None:
                    self.keep(tensor, known)

    def after(self, follow: Follow, args: Any, kwargs: Any, output: Any) -> None:
        """Keep what is known of an operator's new result."""
        if isinstance(output, Tensor) and "alpha" not in kwargs:
            tensors = args[0] if isinstance(args[0], (list, tuple)) else args
            known = follow([self.known(each) for each in tensors if isinstance(each, Tensor)], args, output)
            if known is not None:
                self.keep(output, known)

    def written(self, name: str, args: Any, tensors: Iterable[Tensor]) -> None:
        """Forget what an operator wrote to, unless it wrote nothing, or what was there before."""
        if self._known and not self._is_as_before(name, args):
            for tensor in tensors:
                self._known.pop(self.storage_of(tensor), None)

    def _is_as_before(self, name: str, args: Any) -> bool:
        """Tell whether nothing was masked to be filled, or the one value of all elements was copied over itself."""
        source = args[1] if name in ("masked_fill_", "copy_") else None
        known = self.known(source) if isinstance(source, Tensor) else None
        if known is None or known.real is not None:
            return False
        if name == "masked_fill_":
            return is_one_value(known) and not known.value
        before = self.known(args[0])
        return before is not None and before.real is None and before.value == known.value

    def item(self, tensor: Tensor) -> Any:
        """Return the value that a model asks for, NotImplemented if it is not known."""
        known = self.known(tensor)
        if known is None or not is_one_value(known):
            return NotImplemented
        return self.answer(known.value, assumed=known.assumed)

    def equal(self, left: Tensor, right: Tensor) -> Any:
        """Answer `torch.equal`, if it is known."""
        one, other = self.known(left), self.known(right)
        if left.shape != right.shape:
            return False
        if one is None or other is None or not (is_one_value(one) and is_one_value(other)):
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

    def keep(self, tensor: Tensor, known: Known) -> None:
        """Keep what is known of a tensor whose storage holds nothing else."""
        try:
            storage: Any = tensor.untyped_storage()
            value = _in_dtype(known.value, tensor) if is_one_value(known) else known.value
        except (RuntimeError, OverflowError, ValueError, TypeError):  # a storage or value of no kind
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


def is_one_value(known: Known) -> bool:
    """Tell whether what is known is a value that all elements have."""
    return not isinstance(known.value, (str, Fraction))


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
