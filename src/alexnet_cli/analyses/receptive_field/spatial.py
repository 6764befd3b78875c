"""Which axes of an input are spatial, or those of a sequence: the ones that have a receptive field.

The batch has none, and the channels have none: they are the axis over which the first convolution or matrix product
sums. So `(N, C, H, W)` has rows and columns, `(N, L, C)` of a transformer and `(N, C, L)` of a convolution both have
L, and `(N, L)` of tokens or of a waveform has L. An input that is flattened before the first sum, or never summed over,
has its channels first after the batch, unless it holds whole numbers. With whole shapes (`--no-batch`) the batch
is what the first convolution takes for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.receptive_field.follow import FirstSum
from alexnet_cli.report import Run
from alexnet_cli.tape import Value


def traced_axes(value: Value, run: Run) -> tuple[int, ...]:
    """Return the axes of an input that may be spatial: all but the batch."""
    return tuple(range(0 if run.batch_size is None else 1, len(value.shape)))


def spatial_axes(value: Value, traced: Sequence[int], run: Run, first_sum: FirstSum | None) -> tuple[int, ...]:
    """Return those of the traced axes that are spatial."""
    axes = list(traced)
    summed = [] if first_sum is None else [traced[number] for number in sorted(first_sum.channels)]
    if run.batch_size is None and first_sum is not None:
        axes = [axis for axis in axes if traced.index(axis) not in first_sum.batch]
    if first_sum is not None and not summed:
        return tuple(axes)
    if len(summed) == 1:
        left = [axis for axis in axes if axis not in summed]
        # The one channel of an image whose rows are read as a sequence is no axis to look along.
        return tuple(left[1:] if len(left) > 1 and left[0] == axes[0] and value.shape[left[0]] == 1 else left)
    has_channels = len(axes) > 1 and value.dtype.startswith(("float", "bfloat", "complex"))
    return tuple(axes[1:] if has_channels else axes)
