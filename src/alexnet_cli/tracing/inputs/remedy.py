"""Which inputs would fit a model, found by trying on `meta`."""

from __future__ import annotations

import inspect
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from msgspec.structs import replace
from torch import nn

from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs.find_inputs import FoundInputs, Tried, find_inputs
from alexnet_cli.units import shape as cross

_IMAGE_RANK = 3
_MOST_TRIED = 6
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
RADIUS = 64
LARGEST = 4096
USUAL = (28, 32, 64, 96, 112, 128, 160, 192, 224, 227, 256, 299, 320, 384, 448, 512, 640, 1024)
SECONDS = 5.0
"""The search gives up after this long; whatever it reports was tried."""


@dataclass(frozen=True)
class Remedy:
    """Looks for inputs that a model runs on, close to the one that failed; `failure_on` tries one.

    Where the input that failed was `sought` among many there is no other to be found.
    """

    model: nn.Module
    specs: Sequence[InputSpec]
    failure_on: Tried
    sought: bool = False

    def advice(self) -> str | None:
        """Say which square images run, or else which other input does; None if the failed input runs on `meta`."""
        return None if self.sought or self.failure_on(self.specs) is None else self._sizes() or self._other()

    def _sizes(self) -> str | None:
        if len(self.specs) != 1 or len(self.specs[0].shape) != _IMAGE_RANK:
            return None
        spec = self.specs[0]
        channels, height, width = spec.shape
        sides = fitting_sides(max(height, width), self._runs_at(spec))
        return f"{sides}, as in {_option(replace(spec, shape=(channels, sides.low, sides.low)))}" if sides else None

    def _runs_at(self, spec: InputSpec) -> Callable[[int], bool]:
        shape = spec.shape
        return lambda side: self.failure_on([replace(spec, shape=(shape[0], side, side))]) is None

    def _other(self) -> str | None:
        found = find_inputs(self.model, self.failure_on, scan=False)
        if found is None or not (found.fits and found.specs) or not all(spec.is_batched for spec in found.specs):
            return None
        shapes = " and ".join(cross(spec.shape) for spec in found.specs)
        return f"an input of {shapes} fits, as in {' '.join(map(_option, found.specs))}"


def _option(spec: InputSpec) -> str:
    """Return the option for an input: `--input-size 3,227,227`."""
    return f"--input-size {_said(spec)}"


def _said(spec: InputSpec) -> str:
    name = f"{spec.name}=" if spec.name else ""
    fill = "" if spec.fill is None else f"={spec.fill:g}"
    dtype = f":{spec.dtype}{fill}" if spec.dtype else ""
    return f"{name}{','.join(map(str, spec.shape))}{dtype}"


def how_to_say(model: nn.Module, tried: Sequence[FoundInputs], target: str) -> str:
    """Say what forward takes, which inputs were tried, and how to say others."""
    parameters = parameters_of(model) or []
    lines = [f"forward takes ({', '.join(map(str, parameters)) or 'nothing'})"] if parameters else []
    if tried:
        shown = [" ".join(map(_said, each.specs)) or "nothing" for each in tried[:_MOST_TRIED]]
        more = f" and {len(tried) - len(shown)} more" if len(tried) > len(shown) else ""
        lines.append(f"tried: {'; '.join(shown)}{more}")
    needed = [each.name for each in parameters if each.default is each.empty and each.kind not in _VARIADIC]
    said = " ".join(f"-i {name}=SHAPE" for name in needed) or "-i SHAPE"
    target = shlex.quote(target)
    lines.append(f"say what it takes, as in alexnet summary {target} {said}, with shapes such as 3,224,224 or 16:int64")
    lines.append(f"or with a function that returns it: alexnet summary {target} --inputs file.py:make")
    return "\n".join(lines)


@dataclass(frozen=True)
class Sides:
    """Square sizes that run: all from `low` to `high`, or from `low` up if `high` is None."""

    low: int
    high: int | None

    def __str__(self) -> str:
        if self.high is None:
            return f"square inputs from {self.low} up fit"
        if self.high == self.low:
            return f"a square input of {self.low} fits"
        return f"square inputs from {self.low} to {self.high} fit"


def fitting_sides(given: int, runs: Callable[[int], bool]) -> Sides | None:
    """Find the range of square sizes nearest to `given` for which `runs` is true, None if none is close.

    Both ends were tried, and so was every size between them up to `RADIUS` from the first hit.
    """
    deadline = time.monotonic() + SECONDS
    tried = cache(runs)
    for side in _candidates(given):
        if time.monotonic() > deadline:
            return None
        if tried(side):
            return Sides(_edge(side, -1, tried) or side, _edge(side, +1, tried))
    return None


def _candidates(given: int) -> Iterator[int]:
    for distance in range(1, RADIUS + 1):
        yield given + distance
        if given > distance:
            yield given - distance
    yield from sorted(USUAL, key=lambda side: abs(side - given))


def _edge(side: int, step: int, runs: Callable[[int], bool]) -> int | None:
    """Return the last size that runs, going from `side` by `step`; None if no end is in sight."""
    end = LARGEST if step > 0 else 1
    near = side
    while abs(near - side) < RADIUS:
        if near == end or not runs(near + step):
            return near
        near += step
    if runs(end):
        return None if step > 0 else end
    far = end
    while abs(far - near) > 1:
        middle = (near + far) // 2
        near, far = (middle, far) if runs(middle) else (near, middle)
    return near
