"""Other inputs, read off the failure of those that were tried: what is missing, and which sizes it asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from itertools import chain, count, islice, permutations, product
from linecache import getline
from pathlib import Path
from traceback import walk_tb
from typing import Generic, TypeVar

import torch
from msgspec.structs import replace

from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs.by_kind import Inputs, of_another_kind, with_spec
from alexnet_cli.tracing.inputs.by_name import Guesser
from alexnet_cli.tracing.inputs.pictures import patches
from alexnet_cli.tracing.inputs.senses import recounted
from alexnet_cli.users_code import is_ours

Progress = tuple[int, ...]
"""The lines on which each function of a failed run was, outermost first: of two runs the further one is greater."""

MOST = 80
"""So many suggestions in a row are tried."""

_MOST_OF_ONE = 16
"""So many inputs are made of one failure."""

_GUESSES = 3
_RANKS = range(6)
_SEQUENCE, _IMAGE = 2, 3
_FEW = range(2, 5)
_FEW_OFF = 4
_LARGEST = 100_000
_MOST_ELEMENTS = 2**24
"""What is larger is no input that somebody has, and on the CPU takes minutes to fail."""
_LINES_OF_A_CONDITION = 3
_NUMBER = re.compile(r"(?:(?<![A-Za-z_.\d])|(?<=\dx))\d{1,5}(?!\d)")
_MOST_NUMBERS = 8
_WORD = re.compile(r"[^\W\d]\w*")


Origin = TypeVar("Origin")


class Suggestions(Generic[Origin]):
    """Inputs that failures suggest, with what they grew out of; those of the run that came furthest are first."""

    def __init__(self, guesser: Guesser) -> None:
        self._guesser = guesser
        self._waiting: list[tuple[Progress, int, Inputs, Origin]] = []
        self._failed: set[tuple[Progress, str]] = set()
        self._taken = 0
        self._count = count()

    def next(self) -> tuple[Inputs, Origin] | None:
        """Return the next suggestion, None if there is none or enough were tried."""
        if not self._waiting or self._taken == MOST:
            return None
        self._taken += 1
        return heappop(self._waiting)[2:]

    def learn(self, specs: Inputs, origin: Origin, failure: BaseException) -> None:
        """Take in how some inputs failed; the same failure on other inputs suggests nothing new."""
        progress = _progress(failure)
        if (progress, str(failure)) in self._failed:
            return
        self._failed.add((progress, str(failure)))
        for others in mended(specs, failure, self._guesser):
            heappush(self._waiting, (tuple(-line for line in progress), next(self._count), others, origin))


_TORCH = str(Path(torch.__file__).parent)


def _progress(failure: BaseException) -> Progress:
    """Return the lines that the model's code had come to, caller before callee.

    Lines of this program and of torch tell nothing about how far that is.
    """
    frames = ((frame.f_code.co_filename, line) for frame, line in walk_tb(failure.__traceback__))
    return tuple(line for file, line in frames if not (is_ours(file) or file.startswith(_TORCH)))


def mended(specs: Inputs, failure: BaseException, guesser: Guesser) -> Iterator[Inputs]:
    """Yield what the failure of some inputs suggests, the likeliest first."""
    text = re.sub(r"\d[dD] \(unbatched\) or ", "", str(failure))  # there the batch would be the channels
    ways = (
        recounted(specs, [int(number) for number in re.findall(r"\b\d+\b", text)], guesser),
        _in_parts(specs, text, guesser),
        _of_said_rank(specs, text),
        _of_more_axes(specs, text),
        of_another_kind(specs, text),
        _as_patches(specs, text, guesser),
        _matched(specs, text),
        _enlarged(specs, text),
        _resized(specs, text),
    )
    all_ways = chain(_completed(specs, text, failure, guesser), *ways)
    most = max(_MOST_ELEMENTS, *map(_elements, specs), 0)
    usual = (others for others in all_ways if all(_elements(spec) <= most for spec in others))
    yield from islice(dict.fromkeys(usual), _MOST_OF_ONE)


def _elements(spec: InputSpec) -> int:
    return math.prod(spec.shape)


def _completed(specs: Inputs, text: str, failure: BaseException, guesser: Guesser) -> Iterator[Inputs]:
    """Add optional arguments of forward that the failure names, or that were None where it happened."""
    given = {spec.name for spec in specs}
    optional = [
        each.name
        for each in parameters_of(guesser.model) or ()
        if each.default is None and each.name not in given and each.kind is not each.POSITIONAL_ONLY
    ]
    words = {word.lower() for word in _WORD.findall(text)}
    said = [name for name in optional if name.lower() in words]
    missing = said or [name for name in dict.fromkeys(_nones_near(failure)) if name in optional]
    guesses = [_as_long(specs, name, guesser.of(name) or guesser.unnamed(name))[:_GUESSES] for name in missing]
    together = zip(*guesses, strict=False) if len(missing) > 1 else ()
    for others in (*((spec,) for each in guesses for spec in each), *together):
        yield (*specs, *others)


def _as_long(specs: Inputs, name: str, guesses: Sequence[InputSpec]) -> list[InputSpec]:
    """Put guesses first that are as long as something that is given, as sequences that go together are.

    A mask may go with any axis of what is given, most likely of what is called alike: `feature_attention_mask`.
    """
    masks = [each for each in guesses if name.endswith("mask") and each.shape[:1] not in ((), (1,))]
    own = re.sub(r"_?(attention)?_?mask$", "", name)
    alike = [spec for spec in specs if own and own in (spec.name or "")]
    likely = [*alike, *sorted(specs, key=lambda spec: spec.dtype is None)]
    sizes = [size for spec in likely for size in reversed(spec.shape)] if masks else []
    fitting = [replace(masks[0], shape=(size, *masks[0].shape[1:])) for size in dict.fromkeys(sizes)]
    lengths = {spec.shape[:1] for spec in specs if len(spec.shape) < _IMAGE}
    return list(dict.fromkeys((*fitting, *sorted(guesses, key=lambda guess: guess.shape[:1] not in lengths))))


def _nones_near(failure: BaseException) -> list[str]:
    """Return the variables that were None where a failure about None happened: first those on the lines that failed.

    An error that the model raises itself is about None where it stands below `if name is None`, whatever it says.
    """
    about_none = re.search(r"None|'bool' object", str(failure)) is not None  # `None == 7` is a bool
    nones, on_lines, asked_for = [], [], []
    for frame, line in reversed(list(walk_tb(failure.__traceback__))):
        here = [name for name, value in frame.f_locals.items() if value is None]
        code = getline(frame.f_code.co_filename, line)
        words = _WORD.findall(code)
        on_lines += [name for name in here if name in words]
        nones += here
        if code.lstrip().startswith("raise "):
            above = range(max(line - _LINES_OF_A_CONDITION, 1), line)
            conditions = " ".join(getline(frame.f_code.co_filename, each) for each in above)
            asked_for += [name for name in here if re.search(rf"\b{re.escape(name)} is None", conditions)]
    return on_lines + asked_for + nones if about_none else asked_for


def _in_parts(specs: Inputs, text: str, guesser: Guesser) -> Iterator[Inputs]:
    """Give each sample as many pictures as a failure to divide them names, all samples together."""
    for whole, sizes in re.findall(r"sum exactly to (\d+) .*split_sizes=\[([\d, ]+)\]", text):
        parts, rest = divmod(sum(map(int, sizes.split(","))), guesser.batch)
        for place, spec in enumerate(specs):
            if not rest and int(whole) == guesser.batch and spec.is_batched and len(spec.shape) >= _IMAGE:
                yield with_spec(specs, place, replace(spec, shape=(parts, *spec.shape[-_IMAGE:])))


def _of_said_rank(specs: Inputs, text: str) -> Iterator[Inputs]:
    """Give an input the rank that is asked for by name, as in `must be a 5D tensor`; the batch is one of its axes."""
    for said, (place, spec) in product(re.findall(r"\b([1-6])-?[dD]\b", text), enumerate(specs)):
        yield from (with_spec(specs, place, other) for other in _of_rank(spec, int(said) - spec.is_batched, text))


def _of_more_axes(specs: Inputs, text: str) -> Iterator[Inputs]:
    """Add as many axes as pictures lack that were to be unpacked, where the model may have joined some of theirs."""
    for wanted, got in re.findall(r"not enough values to unpack \(expected (\d), got (\d)\)", text):
        for place, spec in enumerate(specs):
            if len(spec.shape) >= _IMAGE:
                more = (1,) * (int(wanted) - int(got))
                yield with_spec(specs, place, replace(spec, shape=(*more, *spec.shape)))


def _as_patches(specs: Inputs, text: str, guesser: Guesser) -> Iterator[Inputs]:
    """Cut an image into patches where vectors as long as a patch are wanted."""
    for cut, (place, spec) in product(patches(guesser), enumerate(specs)):
        if len(spec.shape) >= _IMAGE and len(cut.shape) == _SEQUENCE and cut.shape[-1] in _numbers(text):
            yield with_spec(specs, place, replace(spec, shape=cut.shape))


def _matched(specs: Inputs, text: str) -> Iterator[Inputs]:
    """Bring sizes into line that the text says do not match, where they follow from the input's in proportion."""
    for had, wanted in dict.fromkeys(_mismatches(text)):
        for place, spec in enumerate(specs):
            for shape in (*_exactly(spec.shape, had, wanted), *_in_proportion(spec.shape, Fraction(wanted, had))):
                if shape != spec.shape and max(shape, default=0) <= _LARGEST:
                    yield with_spec(specs, place, replace(spec, shape=shape, values=None))


_MISMATCHES = (
    r"\d+[x, ]+(\d+)\]? (?:X|and) \[?(\d+)[x, ]+\d+",  # of matrices to be multiplied
    r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
)
_BROADCAST = re.compile(r"dimension of length (\d+) at (-\d+)!.*broadcastable to \[([\d, ]*)\]")


def _mismatches(text: str) -> Iterator[tuple[int, int]]:
    """Yield pairs of sizes that should be one, either of which may be the one that depends on the input."""
    pairs = [pair for pattern in _MISMATCHES for pair in re.findall(pattern, text)]
    pairs += [(got, wanted) for wanted, got in re.findall(r"to have (\d+) channels, but got (\d+)", text)]
    for length, axis, shape in _BROADCAST.findall(text):
        sizes = shape.split(", ")
        if -int(axis) <= len(sizes):
            pairs.append((sizes[int(axis)], length))
    for left, right in ((int(left), int(right)) for left, right in pairs):
        if left and right:
            yield from ((left, right), (right, left))


def _exactly(shape: tuple[int, ...], had: int, wanted: int) -> Iterator[tuple[int, ...]]:
    """Replace one size by another, on all axes that have it and on each; what is a few off stays so."""
    yield tuple(wanted if size == had else size for size in shape)
    for axis, size in enumerate(shape):
        if abs(size - had) <= _FEW_OFF < size + wanted - had:
            yield (*shape[:axis], size + wanted - had, *shape[axis + 1 :])


def _in_proportion(shape: tuple[int, ...], factor: Fraction) -> Iterator[tuple[int, ...]]:
    """Scale both sides of an image, or one axis, so that what follows from it in proportion fits."""
    if len(shape) >= _IMAGE:
        root = Fraction(math.isqrt(factor.numerator), math.isqrt(factor.denominator))
        for each in (factor, *((root,) if root**2 == factor else ())):
            sides = [size * each for size in shape[-2:]]
            if all(side.denominator == 1 for side in sides):
                yield (*shape[:-2], *map(int, sides))
    for axis, size in enumerate(shape):
        if (size * factor).denominator == 1:
            yield (*shape[:axis], int(size * factor), *shape[axis + 1 :])


def _enlarged(specs: Inputs, text: str) -> Iterator[Inputs]:
    """Enlarge images and volumes that are too small."""
    if re.search(r"too small|at least|larger|smaller", text):
        for times, (place, spec) in product((2, 4), enumerate(specs)):
            if len(spec.shape) >= _IMAGE:
                larger = (spec.shape[0], *(size * times for size in spec.shape[1:]))
                yield with_spec(specs, place, replace(spec, shape=larger))


def _resized(specs: Inputs, text: str) -> Iterator[Inputs]:
    """Put a number of the failure's text where another one of it is a size of the input, or its rank."""
    pairs = _pairs(_numbers(text))
    for (had, wanted), (place, spec) in product(pairs, enumerate(specs)):
        for axis, size in enumerate(spec.shape if spec.values is None else ()):
            if size == had and wanted > 0:
                yield with_spec(
                    specs, place, replace(spec, shape=(*spec.shape[:axis], wanted, *spec.shape[axis + 1 :]))
                )
    if not _OF_RANK.search(text):
        return
    for (had, wanted), (place, spec) in product(pairs, enumerate(specs)):
        if had == len(spec.shape) + spec.is_batched and wanted in _RANKS:
            yield from (with_spec(specs, place, other) for other in _of_rank(spec, wanted - spec.is_batched, text))


_OF_RANK = re.compile(r"unpack|\d[dD]\b|dimensions|ndim|rank")


def _numbers(text: str) -> list[int]:
    return list(dict.fromkeys(map(int, _NUMBER.findall(text))))[:_MOST_NUMBERS]


def _pairs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return pairs of numbers, those that stand next to each other first; with 1, which fits by broadcasting, last."""
    places = sorted(permutations(range(len(numbers)), 2), key=lambda pair: abs(pair[0] - pair[1]))
    return sorted(((numbers[had], numbers[wanted]) for had, wanted in places), key=lambda pair: pair[1] == 1)


def _of_rank(spec: InputSpec, rank: int, text: str) -> Iterator[InputSpec]:
    """Drop or add an axis in front: the frames of a video, a pair of images, the channel of a spectrogram."""
    if 0 <= rank < len(spec.shape):
        yield replace(spec, shape=spec.shape[len(spec.shape) - rank :])
    elif rank == len(spec.shape) + 1:
        for size in (1, *(number for number in _numbers(text) if number in _FEW), 8):
            yield replace(spec, shape=(size, *spec.shape))
    elif rank == len(spec.shape) + 2:
        yield replace(spec, shape=(1, 1, *spec.shape))
