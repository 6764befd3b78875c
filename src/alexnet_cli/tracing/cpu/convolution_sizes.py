"""What convolutions on the CPU allocate beside their results: reordered inputs, weights and outputs, or columns.

oneDNN's kernels for AVX-512 want channels in blocks of 16, so torch has every tensor copied into that layout and the
result copied back (`dense_to_mkldnn`, native/mkldnn/Conv.cpp). The layouts are those that `ONEDNN_VERBOSE=1` names:

- an input of fewer than 16 channels stays as it is in the forward, one of one to three for the weights' gradient too;
- the gradient of the input of a strided convolution has its channels last instead, without padding, and torch makes
  it contiguous by another copy;
- of 4 to 15 channels the weights' gradient comes from a kernel for AVX2, with blocks of 8, or, with padding in depth,
  is a matrix product of unfolded columns, as it is where dilated (`Convolution.weight_kernel`).

Torch's own kernels (`slow_conv3d`), which it picks for few elements and other dtypes, unfold the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from alexnet_cli.tracing.cpu.convolution import BLOCK, FEW, Convolution, Kernel
from alexnet_cli.tracing.cpu.workspace import BATCH_ELEMENT, FLOAT, PAD, PAGE, Machine, Workspace, rounded

_SMALL_BLOCK = 8
_GUARDS = 3 * PAGE
_SLACK = 8 * PAGE
"""What each further thread may keep for itself to add up gradients, and any in bfloat16."""
_SEEN = 5
"""Volumes' strided kernels of at most so many places a side are computed with the channels last."""


def forward(layer: Convolution, kernel: str, machine: Machine) -> Workspace:
    """Return what a forward takes; `kernel` is torch's name for what computes it."""
    before = _copied_first(layer)
    if not kernel.startswith("Mkldnn"):
        return _by_columns(layer, kernel, before, backward=False)
    if layer.transposed:
        peak = _input_gradient(layer, machine, biased=layer.bias)
    else:
        peak = _plain_forward(layer, machine, layer.padded_bias)
    peak += _of_others(layer, machine)
    exact = _derived(layer, machine) and (machine.threads == 1 or not layer.transposed)
    return Workspace(before + max(0, peak - layer.bytes_of(layer.result)), exact=exact)


def backward(layer: Convolution, kernel: str, machine: Machine, *, wanted: Sequence[bool], copied: bool) -> Workspace:
    """Return what a backward takes beside the gradients of input, weight and bias that are `wanted`.

    `copied` says that the result's gradient is not contiguous: it is copied first.
    """
    before = _copied_first(layer) + (layer.bytes_of(layer.result) if copied else 0)
    if not kernel.startswith("Mkldnn"):
        return _by_columns(layer, kernel, before, backward=True)
    inputs = layer.bytes_of(layer.given) if wanted[0] else 0
    weights = layer.weights() if wanted[1] else 0
    bias = layer.result[1] * layer.itemsize if wanted[2] else 0
    peaks = [0]
    if wanted[0]:
        of_input = _plain_forward(layer, machine, 0) if layer.transposed else _input_gradient(layer, machine)
        peaks.append(of_input)
    if wanted[1]:
        within, left = _weight_gradient(layer, machine)
        peaks += [inputs + within + bias, inputs + left + weights + 2 * bias]
    apart = 0 if _derived(layer, machine) else layer.weights(BLOCK, BLOCK)  # else counted with the kernel
    before += _of_others(layer, machine) + (machine.threads - 1) * (apart + _SLACK)
    exact = _derived(layer, machine) and machine.threads == 1
    return Workspace(before + max(0, max(peaks) - inputs - weights - bias), exact=exact)


def _copied_first(layer: Convolution) -> int:
    """Return the bytes that torch copies first: an input that is not contiguous, or what has its channels last.

    With those, kernels that unfold columns may turn them, too.
    """
    given = layer.bytes_of(layer.given)
    return 2 * given + layer.weights() if layer.channels_last else given if layer.copied else 0


def _plain_forward(layer: Convolution, machine: Machine, scratch: int) -> int:
    """Return the bytes while a plain convolution runs and its result is copied back, that result included.

    A kernel of one place with a stride reads a sample of which the other places were left out.
    """
    few = layer.groups == 1 and layer.read[1] < BLOCK and not layer.one_place
    few = few and machine.known and layer.plain
    within = 0 if few else layer.bytes_of(layer.read, BLOCK)
    blocked, made = layer.bytes_of(layer.made, BLOCK), layer.bytes_of(layer.made)
    ins_and_outs = (1 if few else BLOCK, BLOCK) if layer.transposed else (BLOCK, 1 if few else BLOCK)
    if layer.one_place and layer.strided:
        places = rounded(layer.read[1], BLOCK) * prod(layer.made[2:]) * layer.itemsize
        scratch += machine.threads * places + PAD
    known = max(within + layer.weights(*ins_and_outs) + blocked + scratch, blocked + made)
    product = made + _product(layer, machine, layer.made)
    return known if _picked(layer, machine) else max(known, product, 2 * made)


def _of_others(layer: Convolution, machine: Machine) -> int:
    """Return the bytes of sums in float32 that kernels keep in bfloat16 where those for plain windows do not run."""
    if layer.plain:
        return 0
    if not (layer.dilated or layer.kernel == 1):
        return machine.threads * _SLACK
    sample = max(rounded(shape[1], BLOCK) * prod(shape[2:]) for shape in (layer.given, layer.result))
    return machine.threads * (sample * FLOAT + _SLACK) + layer.weights(BLOCK, BLOCK) // layer.itemsize * FLOAT


def _input_gradient(layer: Convolution, machine: Machine, *, biased: bool = False) -> int:
    """Return the bytes while the gradient of a plain convolution's input is computed and copied back, it included.

    A bias is added to a copy of it: oneDNN's `ref_deconvolution`.
    """
    read, made = layer.bytes_of(layer.read), layer.bytes_of(layer.made)
    blocked = layer.bytes_of(layer.read, BLOCK)
    block = next(size for size in (64, 32, 16) if layer.read[1] >= size or size == BLOCK)
    weights = layer.weights(block, 1) if layer.transposed else layer.weights(1, block)
    within: dict[Kernel, int] = {
        "product": read + _product(layer, machine, layer.read),
        "strided": read + made + weights + machine.threads * _strided_scratchpad(layer),
        "blocked": blocked + layer.bytes_of(layer.made, BLOCK) + layer.weights(BLOCK, BLOCK),
    }
    after: dict[Kernel, int] = {"product": 2 * read, "strided": 3 * read, "blocked": blocked + read}
    copies = {each: (blocked if each == "blocked" else read) + PAD if biased else 0 for each in within}
    if biased and not layer.plain:
        copies = {each: 2 * size for each, size in copies.items()}  # in float32
    peaks = {each: max(within[each] + copies[each], after[each]) for each in within}
    if not (layer.strided or layer.channels_last):
        del peaks["strided"]
    return peaks[layer.input_kernel()] if _picked(layer, machine) else max(peaks.values())


def _product(layer: Convolution, machine: Machine, result: Sequence[int]) -> int:
    """Return the bytes of a thread's columns, and in bfloat16 of a sample's sums, for all threads."""
    sums = 0 if layer.plain else prod(result[1:]) * FLOAT + layer.weights() // layer.itemsize * FLOAT
    columns = layer.columns // layer.given[0] if layer.channels_last else layer.plane
    return machine.threads * (columns + sums) + PAD


def _strided_scratchpad(layer: Convolution) -> int:
    """Return the bytes that a thread of a strided kernel keeps: a padded sample, products, what blocks are done, a row.

    `init_scratchpad` in oneDNN's cpu/x64/jit_brgemm_conv_bwd_utils.cpp; a row where the width is no multiple of the
    stride, and of at most the whole width.
    """
    sides = zip(layer.made[2:], layer.extents, layer.padding, layer.after, layer.stride, strict=True)
    places = prod(
        side + sum(max(0, extent - 1 - pad) // step for pad in (before, after))
        for side, extent, before, after, step in sides
    )
    sample = rounded(layer.made[1] * places, PAGE) * layer.itemsize
    products = rounded(rounded(layer.kernel * BATCH_ELEMENT, PAGE), BATCH_ELEMENT)
    blocks = rounded(prod(layer.read[2:-1]), PAGE)
    width, step = layer.read[-1], layer.stride[-1]
    row = rounded(rounded(width, step) * step * layer.read[1], PAGE) * layer.itemsize + PAGE if width % step else 0
    return sample + products + blocks + row + 3 * PAGE


def _weight_gradient(layer: Convolution, machine: Machine) -> tuple[int, int]:
    """Return the bytes while the weights' gradient is computed, and what is left of them when it is copied back."""
    read, other = layer.read, layer.made
    others = max(0, min(machine.threads, layer.given[0]) - 1)  # each thread sums up a part of the batch
    weights, kernel = layer.weights(), layer.weight_kernel()
    sums = 0 if layer.plain else weights * FLOAT
    product = weights + machine.threads * (layer.plane + FLOAT * weights) + sums + 2 * PAD
    if kernel == "product" and _picked(layer, machine):
        return product, weights
    few = layer.groups == 1 and read[1] <= FEW and kernel == "blocked" and not layer.one_place
    few = few and machine.known
    block = _SMALL_BLOCK if kernel == "narrow" else BLOCK
    blocks = (block, 1 if few else block)
    weights = layer.weights(*(blocks[::-1] if layer.transposed else blocks))
    copies = (0 if few else layer.bytes_of(read, block)) + layer.bytes_of(other, block)
    within = (1 + others) * weights + copies + layer.padded_bias
    within = within if _picked(layer, machine) else max(within, product)
    return within + (0 if layer.plain else machine.threads * _turned(layer)), weights


def _turned(layer: Convolution) -> int:
    """Return the bytes of one sample with the places of a row innermost, as bfloat16 kernels read it, and of sums.

    `tr_iw` in oneDNN's cpu/x64/jit_avx512_core_bf16_conv_kernel.cpp: a row's places one stride apart stand together.
    """
    read, made, step = layer.read, layer.made, layer.stride[-1]
    pad = rounded(max(layer.padding[-1], layer.after[-1] + 1), 2)
    widths = rounded(-(-read[-1] // step) + pad, 2) * step, rounded(made[-1], 2)
    rows = zip((read, made), widths, strict=True)
    turned = sum(rounded(shape[1], BLOCK) * prod(shape[2:-1]) * width * layer.itemsize for shape, width in rows)
    return turned + layer.weights(BLOCK, BLOCK) // layer.itemsize * FLOAT + _GUARDS


def _by_columns(layer: Convolution, kernel: str, before: int, *, backward: bool) -> Workspace:
    """Return what torch's own kernels take: the columns, of one sample where the kernel is dilated or transposed.

    A forward reads the input of a kernel of one place without columns, and in two dimensions so does a backward. What
    goes through samples one by one also adds the bias by a product with ones. Groups are run one by one and put
    together, each with a copy of its input.
    """
    if not kernel.startswith("Slow"):
        return Workspace(before, exact=kernel == "Empty")
    if layer.groups > 1:
        both = layer.bytes_of(layer.given) + layer.bytes_of(layer.result)
        return Workspace(before + 2 * (both + layer.weights()) + layer.columns, exact=False)
    whole = kernel in ("Slow2d", "Slow3d")
    as_it_is = layer.kernel == 1 and not layer.strided and not any(layer.padding)
    if whole and as_it_is and (not backward or kernel == "Slow2d"):
        return Workspace(before)
    ones = (prod(layer.result[2:]) + layer.result[1]) * layer.itemsize
    if whole:
        return Workspace(before + layer.columns, exact=kernel == "Slow3d" and not as_it_is and not layer.channels_last)
    return Workspace(before + layer.columns // (layer.given[0] if layer.kernel > 1 else 1) + ones, exact=False)


def _derived(layer: Convolution, machine: Machine) -> bool:
    """Tell whether the sizes are known: which kernel runs is, and it computes in float32."""
    return layer.plain and _picked(layer, machine)


def _picked(layer: Convolution, machine: Machine) -> bool:
    """Tell whether it is known which kernel runs: AVX-512, contiguous, one group, and no large kernel in volumes.

    Those for bfloat16 are the same where windows are plain.
    """
    known = machine.known and not layer.channels_last and layer.inside and layer.groups == 1
    large = layer.volume and (layer.large or (layer.strided and max(layer.weight[2:]) > _SEEN))
    return known and not large and (layer.plain or not (layer.dilated or layer.kernel == 1))
