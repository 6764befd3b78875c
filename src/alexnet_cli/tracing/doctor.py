"""Why a forward failed, in plain words, and what would fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from alexnet_cli.errors import ForwardError
from alexnet_cli.report import ErrorInfo, Layer, Shape
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.recorder import Call
from alexnet_cli.tracing.sizes import fitting_sides
from alexnet_cli.units import shape as cross

Fits = Callable[[Sequence[InputSpec]], bool]
_IMAGE_RANK = 3


def diagnose(error: Exception, failed: Call | None, path: str, rows: Sequence[Layer], remedy: Remedy) -> ErrorInfo:
    """Say which layer failed, which shapes met there, and what would fit.

    `failed` is the innermost call that raised and `path` its path, `rows` are the calls that finished before it.
    """
    if failed is None or failed.module is None:
        return ErrorInfo(ForwardError.code, f"the model failed: {first_line(error)}", remedy.sizes())
    explain = next((rule for cls, rule in _RULES if isinstance(failed.module, cls)), None)
    found = explain(failed, rows) if explain else None
    name = f"{path or 'the model itself'} ({_signature(failed.module)})"
    if found is None:
        return ErrorInfo(ForwardError.code, f"{name} failed: {first_line(error)}", remedy.sizes(), path)
    what, change = found
    return ErrorInfo(ForwardError.code, f"{name} {what}", "; or ".join(filter(None, (remedy.sizes(), change))), path)


class Remedy:
    """Looks for an input that fits, by trying."""

    def __init__(self, specs: Sequence[InputSpec], fits: Fits) -> None:
        self.specs = specs
        self.fits = fits

    def sizes(self) -> str | None:
        """Say which square images run, where the model takes one image."""
        if len(self.specs) != 1 or len(self.specs[0].shape) != _IMAGE_RANK:
            return None
        spec = self.specs[0]
        channels, height, width = spec.shape
        sides = fitting_sides(max(height, width), lambda side: self.fits([replace(spec, shape=(channels, side, side))]))
        if sides is None:
            return None
        return f"{sides}, as in --input-size {channels},{sides.low},{sides.low}"


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, or its type."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _linear(failed: Call, rows: Sequence[Layer]) -> tuple[str, str] | None:
    layer = failed.module
    if not isinstance(layer, nn.Linear) or not failed.input_shapes or not failed.input_shapes[0]:
        return None
    given = failed.input_shapes[0][-1]
    if given == layer.in_features:
        return None
    what = f"takes {layer.in_features} features but got {given}{_flattened(failed.input_shapes[0], rows)}"
    return what, f"in_features={given} fits this input"


def _convolution(failed: Call, rows: Sequence[Layer]) -> tuple[str, str] | None:
    del rows
    layer = failed.module
    if not isinstance(layer, nn.modules.conv._ConvNd) or not failed.input_shapes:
        return None
    given = failed.input_shapes[0]
    rank = len(layer.kernel_size)
    wanted = cross((layer.in_channels,), "×") + "×" + "×".join("DHW"[-rank:] if rank > 1 else "L")
    if len(given) not in (rank + 1, rank + 2):
        return f"takes a batch of {wanted} but got {cross(given)}", f"give the input as {wanted} without the batch"
    channels = given[-rank - 1]
    if channels != layer.in_channels:
        return f"takes {layer.in_channels} channels but got {channels} (an input of {cross(given)})", (
            f"in_channels={channels} fits this input"
        )
    return None


_RULES: tuple[tuple[type[nn.Module], Callable[[Call, Sequence[Layer]], tuple[str, str] | None]], ...] = (
    (nn.Linear, _linear),
    (nn.modules.conv._ConvNd, _convolution),
)


def _flattened(given: Shape, rows: Sequence[Layer]) -> str:
    """Say what the features were before they were flattened: `(6400 = 256×5×5 flattened)`."""
    if not rows or not rows[-1].input_shapes or rows[-1].family != "reshape":
        return f" (an input of {cross(given)})"
    return f" ({given[-1]} = {cross(rows[-1].input_shapes[0][1:])} flattened)"


def _signature(module: nn.Module) -> str:
    """Return the layer as its class prints it, `Linear(in_features=9216, …)`; the class alone for a container."""
    printed = type(module).__name__ if any(True for _ in module.children()) else repr(module)
    return printed if "\n" not in printed else type(module).__name__
