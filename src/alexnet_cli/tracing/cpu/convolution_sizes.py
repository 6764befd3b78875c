"""What convolutions on the CPU allocate beside their results: reordered inputs, weights and outputs, or columns.

oneDNN's kernels for AVX-512 want channels in blocks of 16, so torch has every tensor copied into that layout and the
result copied back (`dense_to_mkldnn`, native/mkldnn/Conv.cpp). The layouts are those that `ONEDNN_VERBOSE=1` names:

- an input of fewer than 16 channels stays as it is in the forward; in backward too, where it has one to three;
- the gradient of the input of a strided convolution has its channels last instead, without padding, and torch makes
  it contiguous by another copy;
- of 4 to 15 channels the weights' gradient is a matrix product of unfolded columns in three dimensions, as it is for
  every dilated one, and in two comes from a kernel for AVX2, with blocks of 8.

Torch's own kernels (`slow_conv3d`), which it picks for few elements and other dtypes, unfold the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from alexnet_cli.tracing.cpu.workspace import PAD, Machine, Workspace, rounded

_BLOCK = 16
_SMALL_BLOCK = 8
_FEW = 3
"""An input of so many channels is not copied for the weights' gradient."""
_LARGE_KERNEL = 14
"""Gradients of larger kernels are matrix products of unfolded columns, that of the input in three dimensions only."""
_SUMS = 2**15
"""About what a thread of oneDNN's strided kernels (`brgconv`) sums up in."""
_VOLUME = 3
_FLOAT = 4
_GUARDS = 3 * 2**12


@dataclass(frozen=True)
class Convolution:
    """A convolution's shapes, batch and channels first; of a transposed one the weight's first two are swapped."""

    given: Sequence[int]
    weight: Sequence[int]
    result: Sequence[int]
    stride: Sequence[int]
    dilated: bool
    groups: int
    transposed: bool
    bias: bool
    itemsize: int

    @property
    def plain(self) -> bool:
        """Whether it computes in float32."""
        return self.itemsize == _FLOAT

    @property
    def kernel(self) -> int:
        """The places of the kernel."""
        return prod(self.weight[2:])

    @property
    def columns(self) -> int:
        """The bytes of all the windows' elements of the batch."""
        shape = self.given if self.transposed else self.result
        channels = self.result[1] if self.transposed else self.given[1]
        return shape[0] * channels * self.kernel * prod(shape[2:]) * self.itemsize

    @property
    def volume(self) -> bool:
        """Whether it is a convolution in three dimensions."""
        return len(self.given) - 2 == _VOLUME

    @property
    def plane(self) -> int:
        """The bytes of the windows' elements of one sample, in three dimensions of one plane."""
        places = self.result[3:] if self.volume else self.result[2:]
        return self.given[1] * self.kernel * prod(places) * self.itemsize

    @property
    def large(self) -> bool:
        """Whether the kernel is so large that its gradient is a matrix product."""
        return max(self.weight[2:]) > _LARGE_KERNEL

    def bytes_of(self, shape: Sequence[int], block: int = 1) -> int:
        """Return the bytes of a tensor with its channels in blocks."""
        return shape[0] * rounded(shape[1], block) * prod(shape[2:]) * self.itemsize

    def weights(self, out_block: int = 1, in_block: int = 1) -> int:
        """Return the bytes of the weights with their channels in blocks."""
        outs, ins = self.result[1] // self.groups, self.given[1] // self.groups
        return self.groups * rounded(outs, out_block) * rounded(ins, in_block) * self.kernel * self.itemsize

    @property
    def strided(self) -> bool:
        """Whether any stride is above 1."""
        return any(step > 1 for step in self.stride)

    @property
    def padded_bias(self) -> int:
        """The bytes of a bias that is padded to a block, and of its alignment."""
        outs = self.result[1]
        return rounded(outs, _BLOCK) * self.itemsize + PAD if self.bias and outs % _BLOCK else 0


def forward(layer: Convolution, kernel: str, machine: Machine) -> Workspace:
    """Return what a forward takes; `kernel` is torch's name for what computes it."""
    if not kernel.startswith("Mkldnn"):
        return _by_columns(layer, kernel)
    few = layer.given[1] < _BLOCK and layer.groups == 1
    given = layer.bytes_of(layer.given, _BLOCK)
    if layer.transposed and layer.strided:
        within = layer.bytes_of(layer.given) + layer.weights(_BLOCK, 1) + machine.threads * _padded(layer, layer.given)
        return Workspace(max(within, 2 * layer.bytes_of(layer.result)), exact=_derived(layer, machine))
    within = (0 if few else given) + layer.weights(_BLOCK, 1 if few else _BLOCK)
    blocked = layer.bytes_of(layer.result, _BLOCK)
    scratch = blocked + PAD if layer.transposed and layer.bias else layer.padded_bias
    peak = max(within + blocked + scratch - layer.bytes_of(layer.result), blocked)
    return Workspace(peak, exact=_derived(layer, machine))


def backward(layer: Convolution, kernel: str, machine: Machine, *, wanted: Sequence[bool], copied: bool) -> Workspace:
    """Return what a backward takes beside the gradients of input, weight and bias that are `wanted`.

    `copied` says that the result's gradient is not contiguous: it is copied first.
    """
    gradient = layer.bytes_of(layer.result) if copied else 0
    if not kernel.startswith("Mkldnn"):
        return _by_columns(layer, kernel, gradient)
    inputs = layer.bytes_of(layer.given) if wanted[0] else 0
    weights = layer.weights() if wanted[1] else 0
    bias = layer.result[1] * layer.itemsize if wanted[2] else 0
    peaks = [0]
    if wanted[0]:
        peaks.append(_input_gradient(layer, machine))
    if wanted[1]:
        within, left = _weight_gradient(layer, machine)
        peaks += [inputs + within + bias, inputs + left + weights + 2 * bias]
    exact = _derived(layer, machine) and machine.threads == 1
    return Workspace(gradient + max(0, max(peaks) - inputs - weights - bias), exact=exact)


def _padded(layer: Convolution, shape: Sequence[int]) -> int:
    """Return the bytes of one sample, padded, as a thread of a strided kernel copies it, and of what it sums up in."""
    sides = zip(shape[2:], layer.weight[2:], layer.stride, strict=True)
    places = prod(side + (kernel - 1) // step for side, kernel, step in sides)
    return rounded(shape[1], _BLOCK) * places * layer.itemsize + _SUMS


def _input_gradient(layer: Convolution, machine: Machine) -> int:
    inputs = layer.bytes_of(layer.given)
    if layer.large and layer.volume:
        return max(inputs + machine.threads * layer.plane, 2 * inputs)
    if layer.strided and not layer.transposed:  # channels last
        block = next(size for size in (64, 32, 16) if layer.given[1] >= size or size == _BLOCK)
        within = layer.bytes_of(layer.result) + layer.weights(1, block) + inputs
        return max(within + machine.threads * _padded(layer, layer.result), 3 * inputs)
    few = machine.known and layer.transposed and layer.result[1] < _BLOCK  # it is the forward of a plain convolution
    result, blocked = layer.bytes_of(layer.result, _BLOCK), layer.bytes_of(layer.given, _BLOCK)
    weights = layer.weights(1 if few else _BLOCK, _BLOCK)
    return max((0 if few else result) + weights + blocked, blocked + inputs)


def _weight_gradient(layer: Convolution, machine: Machine) -> tuple[int, int]:
    """Return the bytes while the weights' gradient is computed, and what is left of them when it is copied back."""
    read, other = (layer.result, layer.given) if layer.transposed else (layer.given, layer.result)
    others = max(0, min(machine.threads, layer.given[0]) - 1)  # each thread sums up a part of the batch
    between = layer.groups == 1 and _FEW < read[1] < _BLOCK
    weights = layer.weights()
    product = weights + machine.threads * (layer.plane + layer.itemsize * weights) + 2 * PAD
    if layer.large or (layer.volume and (between or layer.dilated)):
        return product, weights
    few = layer.groups == 1 and read[1] <= _FEW
    block = _SMALL_BLOCK if between else _BLOCK
    blocks = (block, 1 if few else block)
    weights = layer.weights(*(blocks[::-1] if layer.transposed else blocks))
    copies = (0 if few else layer.bytes_of(read, block)) + layer.bytes_of(other, block)
    within = (1 + others) * weights + copies + layer.padded_bias
    within = within if machine.known else max(within, product)
    return within + (0 if layer.plain else machine.threads * _turned(layer)), weights


def _turned(layer: Convolution) -> int:
    """Return the bytes of one sample with the places of a row innermost, as bfloat16 kernels read it, and of sums."""
    rows = (layer.given, layer.weight[-1] - 1), (layer.result, 0)
    turned = sum(
        rounded(shape[1], _BLOCK) * prod(shape[2:-1]) * rounded(shape[-1] + more, 2) * layer.itemsize
        for shape, more in rows
    )
    return turned + layer.weights(_BLOCK, _BLOCK) // layer.itemsize * _FLOAT + _GUARDS


def _by_columns(layer: Convolution, kernel: str, gradient: int | None = None) -> Workspace:
    """Return what torch's own kernels take: the columns, of one sample where the kernel is dilated or transposed.

    `gradient` are the bytes of the result's gradient that is copied first, None in a forward: it reads the input of a
    kernel of one place without columns, and in two dimensions so does a backward.
    """
    before = gradient or 0
    if not kernel.startswith("Slow"):
        return Workspace(before, exact=kernel == "Empty")
    whole = kernel in ("Slow2d", "Slow3d")
    if whole and layer.kernel == 1 and (gradient is None or kernel == "Slow2d"):
        return Workspace(before)
    columns = layer.columns if whole else layer.columns // layer.given[0]
    return Workspace(before + columns, exact=kernel == "Slow3d")


def _derived(layer: Convolution, machine: Machine) -> bool:
    """Tell whether the layouts are known: AVX-512, float32, one group, and no large kernel in volumes."""
    return machine.known and layer.plain and layer.groups == 1 and (not layer.volume or not layer.large)
