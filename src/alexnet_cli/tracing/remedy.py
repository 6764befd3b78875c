"""Which input would fit, found by trying on `meta`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from alexnet_cli.tape import Shape
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.find_inputs import find_inputs
from alexnet_cli.tracing.sizes import fitting_sides
from alexnet_cli.units import shape as cross

Fits = Callable[[Sequence[InputSpec]], bool]
_IMAGE_RANK = 3


class Remedy:
    """Looks for inputs that a model runs on, near to the one that failed."""

    def __init__(self, model: nn.Module, specs: Sequence[InputSpec], fits: Fits) -> None:
        self.model = model
        self.specs = specs
        self.fits = fits

    def advice(self) -> str | None:
        """Say which square images run, or else which other input does; nothing where the forward did not fail."""
        return None if self.fits(self.specs) else self._sizes() or self._other()

    def _sizes(self) -> str | None:
        if len(self.specs) != 1 or len(self.specs[0].shape) != _IMAGE_RANK:
            return None
        spec = self.specs[0]
        channels, height, width = spec.shape
        sides = fitting_sides(max(height, width), lambda side: self.fits([replace(spec, shape=(channels, side, side))]))
        return f"{sides}, as in {option((channels, sides.low, sides.low))}" if sides else None

    def _other(self) -> str | None:
        found = find_inputs(self.model, self.fits, scan=False)
        if found is None or not (found.fits and found.specs):
            return None
        shapes = " and ".join(cross(spec.shape) for spec in found.specs)
        return f"an input of {shapes} fits, as in {' '.join(option(spec.shape, spec) for spec in found.specs)}"


def option(shape: Shape, spec: InputSpec | None = None) -> str:
    """Return the option that gives a shape: `--input-size 3,227,227`."""
    name = f"{spec.name}=" if spec and spec.name else ""
    dtype = f":{spec.dtype}" if spec and spec.dtype else ""
    return f"--input-size {name}{','.join(map(str, shape))}{dtype}"
