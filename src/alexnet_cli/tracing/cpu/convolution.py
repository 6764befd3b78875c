"""A convolution's shapes, and which of oneDNN's kernels compute its gradients on a CPU with AVX-512.

A transposed convolution is the gradient of a plain one: its input is that one's output. What kernels are picked by is
said of the plain one, which reads `read` and makes `made`. The conditions are those of `init_conf` in oneDNN's
cpu/x64/jit_avx512_common_conv_kernel.cpp, jit_brgemm_conv_bwd_utils.cpp and jit_avx2_conv_kernel_f32.cpp, in the order
of cpu/cpu_convolution_list.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from alexnet_cli.tracing.cpu.workspace import FLOAT, PAD, rounded

Kernel = Literal["blocked", "strided", "narrow", "product"]
"""Channels in blocks of 16; channels last, with a stride; blocks of 8, for AVX2; a product of unfolded columns."""
BLOCK = 16
FEW = 3
"""An input of so many channels is not copied for the weights' gradient."""
_LARGE_KERNEL = 14
"""Gradients of larger kernels are matrix products of unfolded columns, that of the input in three dimensions only."""
_REGISTERS = 28
_VOLUME = 3


@dataclass(frozen=True)
class Convolution:
    """Shapes have batch and channels first; `weight`'s first two are swapped where it is `transposed`.

    `copied` says that the input is not contiguous: torch copies it first. `channels_last` is a layout of input or
    weight that oneDNN keeps.
    """

    given: Sequence[int]
    weight: Sequence[int]
    result: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int
    transposed: bool
    bias: bool
    itemsize: int
    copied: bool = False
    channels_last: bool = False

    @property
    def plain(self) -> bool:
        """Whether it computes in float32."""
        return self.itemsize == FLOAT

    @property
    def read(self) -> Sequence[int]:
        """What the plain convolution reads."""
        return self.result if self.transposed else self.given

    @property
    def made(self) -> Sequence[int]:
        """What the plain convolution makes."""
        return self.given if self.transposed else self.result

    @property
    def kernel(self) -> int:
        """The places of the kernel."""
        return prod(self.weight[2:])

    @property
    def columns(self) -> int:
        """The bytes of all the windows' elements of the batch."""
        return self.made[0] * self.read[1] * self.kernel * prod(self.made[2:]) * self.itemsize

    @property
    def volume(self) -> bool:
        """Whether it is a convolution in three dimensions."""
        return len(self.given) - 2 == _VOLUME

    @property
    def plane(self) -> int:
        """The bytes of the windows' elements of one sample, in three dimensions of one plane."""
        places = self.made[3:] if self.volume else self.made[2:]
        return self.read[1] * self.kernel * prod(places) * self.itemsize

    @property
    def large(self) -> bool:
        """Whether the kernel is so large that its gradient is a matrix product."""
        return max(self.weight[2:]) > _LARGE_KERNEL

    @property
    def strided(self) -> bool:
        """Whether any stride is above 1."""
        return any(step > 1 for step in self.stride)

    @property
    def one_place(self) -> bool:
        """Whether it is a product of channels, for which oneDNN has kernels that pad them all."""
        sides = zip(self.made[2:], self.stride, self.read[2:], strict=True)
        whole = not self.volume and all(out * step == side for out, step, side in sides)
        return self.kernel == 1 and not any(self.padding) and (whole or not self.strided)

    @property
    def dilated(self) -> bool:
        """Whether any dilation is above 1."""
        return any(step > 1 for step in self.dilation)

    @property
    def extents(self) -> list[int]:
        """The places that the kernel spans."""
        return [(size - 1) * step + 1 for size, step in zip(self.weight[2:], self.dilation, strict=True)]

    @property
    def after(self) -> list[int]:
        """The padding at the end, below 0 where the last places are not read."""
        sides = zip(self.made[2:], self.stride, self.extents, self.read[2:], self.padding, strict=True)
        return [(out - 1) * step + extent - side - before for out, step, extent, side, before in sides]

    @property
    def inside(self) -> bool:
        """Whether the kernel always has some place of the input below it."""
        ends = zip(self.extents, self.padding, self.after, strict=True)
        return all(extent > max(before, after) for extent, before, after in ends)

    @property
    def padded_bias(self) -> int:
        """The bytes of a bias that is padded to a block, and of its alignment."""
        outs = self.result[1]
        return rounded(outs, BLOCK) * self.itemsize + PAD if self.bias and outs % BLOCK else 0

    def bytes_of(self, shape: Sequence[int], block: int = 1) -> int:
        """Return the bytes of a tensor with its channels in blocks."""
        return shape[0] * rounded(shape[1], block) * prod(shape[2:]) * self.itemsize

    def weights(self, out_block: int = 1, in_block: int = 1) -> int:
        """Return the bytes of the weights with their channels in blocks; where each is a group, the groups are."""
        if self.groups == self.result[1] == self.given[1]:
            return rounded(self.groups, max(out_block, in_block)) * self.kernel * self.itemsize
        outs, ins = self.result[1] // self.groups, self.given[1] // self.groups
        return self.groups * rounded(outs, out_block) * rounded(ins, in_block) * self.kernel * self.itemsize

    def input_kernel(self) -> Kernel:
        """Return what computes the gradient of what the plain convolution reads."""
        if self.large and self.volume:
            return "product"
        if self.strided and not self.dilated:
            return "strided"
        both = any(step > 1 and apart > 1 for step, apart in zip(self.stride, self.dilation, strict=True))
        return "product" if both else "blocked"

    def weight_kernel(self) -> Kernel:
        """Return what computes the weights' gradient."""
        between = self.groups == 1 and FEW < self.read[1] < BLOCK
        fits = not self.large and self._dilation_fits() and self._padding_fits()
        if self.one_place or (not between and fits):
            return "blocked"
        sizes, sides = self.weight[2:], self.read[2:]
        upright = all(size <= side for size, side in zip(sizes[:-1], sides, strict=False))
        in_depth = self.volume and bool(self.padding[0] or max(0, self.after[0]))
        narrow = self.inside and upright and sizes[-1] < _LARGE_KERNEL and not self.dilated and not in_depth
        return "narrow" if narrow else "product"

    def _dilation_fits(self) -> bool:
        steps = list(zip(self.stride, self.dilation, self.extents, self.read[2:], strict=True))
        in_depth, height = self.volume and self.dilation[0] > 1, steps[-2] if len(steps) > 1 else None
        return not in_depth and (height is None or height[1] == 1 or (height[0] == 1 and height[2] <= height[3]))

    def _padding_fits(self) -> bool:
        ends = [
            (extent, max(before, after))
            for extent, before, after in zip(self.extents, self.padding, self.after, strict=True)
        ]
        (extent, pad), rows, depth = ends[-1], ends[-2:-1], ends[:-2]
        deep = self.volume and self.padding[0] > 0 and self.weight[2] >= self.read[2] + self.padding[0]
        within = pad < extent and pad <= _REGISTERS and all(pad <= extent // 2 for extent, pad in rows)
        return within and all(pad < extent for extent, pad in depth) and not deep
