"""The sizes of oneDNN's LSTM: the workspace that a training step keeps, packed weights and scratchpads.

Source: oneDNN 3.x, cpu/rnn/rnn_utils.hpp (`init_conf`, `set_workspace_sizes`) and rnn_utils.cpp (`get_good_ld`,
`set_offsets`), ref_rnn.cpp (`init_scratchpad`), and what torch's native/mkldnn/RNN.cpp asks of it: one primitive for
each layer and direction. In training float32 runs oneDNN's own loop over the steps on any CPU, which multiplies by
BLAS; without gradients, and in bfloat16, the kernel is blocked (`brgemm`), and its blocks are those of the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from alexnet_cli.tracing.cpu.workspace import BATCH_ELEMENT, FLOAT, PAD, PAGE, Machine, Workspace, pages, rounded

GATES = 4
_LINE = 64
"""The bytes of a cache line, of which each row is a multiple."""
_ALIASES = 256
"""Rows of a multiple of so many elements are made a line longer."""
_POINTER = 8
_MERGED_BELOW = 128
"""Smaller batches have their inputs multiplied for all steps at once, in training."""
_BLOCK = 32


@dataclass(frozen=True)
class Lstm:
    """One layer in one direction; `itemsize` is that of the numbers it computes with."""

    steps: int
    batch: int
    inputs: int
    hidden: int
    itemsize: int

    @property
    def plain(self) -> bool:
        """Whether it computes in float32."""
        return self.itemsize == FLOAT

    def state(self, itemsize: int) -> int:
        """Return the bytes of the hidden state of a batch."""
        return self.batch * self.hidden * itemsize

    @property
    def bias(self) -> int:
        """The bytes of the two biases' sum."""
        return GATES * self.hidden * self.itemsize


def kept_for_backward(layer: Lstm) -> int:
    """Return the bytes of the workspace: gates and states of all steps, and room for the states' gradients."""
    rows, each = layer.steps * layer.batch, layer.itemsize
    wider = max(layer.inputs, layer.hidden)
    states = 2 * (layer.steps + 1) * layer.batch
    sizes = (
        rows * _row(GATES * layer.hidden, each),
        rows * _row(layer.hidden, each),
        states * _row(wider, each),
        states * layer.hidden * each,
        states * _row(wider, FLOAT),
        states * _row(wider, FLOAT),
        states * layer.hidden * FLOAT,
    )
    return pages(sizes)


def forward(layer: Lstm, machine: Machine, *, training: bool) -> Workspace:
    """Return what a forward takes beside its results: the biases' sum, both weights packed, and a scratchpad."""
    if training and layer.plain:
        packed = sum(width * _row(GATES * layer.hidden, FLOAT) for width in (layer.inputs, layer.hidden))
        steps = layer.steps if layer.batch < _MERGED_BELOW else 1
        return Workspace(layer.bias + packed + _scratchpad(layer, steps=steps))
    packed = _blocked_weights(layer, machine)
    merged = layer.batch == 1 and layer.steps > 1
    within = _products(layer, machine)
    if training:
        scratch = _scratchpad(layer, steps=layer.steps if merged else 1) + within
    else:
        states = 2 * (layer.steps + 1) * layer.batch
        sizes = (
            states * _row(max(layer.inputs, layer.hidden), layer.itemsize),
            states * layer.hidden * layer.itemsize,
            (layer.steps if merged else 1) * layer.batch * _row(GATES * layer.hidden, FLOAT),
            layer.batch * _row(layer.hidden, layer.itemsize),
        )
        scratch = pages(sizes) + PAGE + _pointers(layer) + within
    return Workspace(layer.bias + packed + scratch, exact=_derived(layer, machine))


def backward(layer: Lstm, machine: Machine, *, undefined: int, copied: bool) -> Workspace:
    """Return what a backward takes beside its results.

    Of the gradients of the last states `undefined` are zeros made for it; `copied` says that the output's gradient is
    not contiguous. The weights' gradients are packed, too, and in bfloat16 all gradients are made float32.
    """
    output = layer.steps * layer.state(layer.itemsize)
    made = undefined * layer.state(layer.itemsize) + (output if copied else 0)
    rows = GATES * layer.hidden
    packed = sum(width * _row(rows, FLOAT) for width in (layer.inputs, layer.hidden))
    if layer.plain:
        both = (width for width in (layer.inputs, layer.hidden) if _row(width, FLOAT) != width * FLOAT)
        packed += sum(rows * _row(width, FLOAT) for width in both)
        scratch = _scratchpad(layer, steps=layer.steps)
    else:
        made += (layer.steps + 2) * layer.state(FLOAT)
        packed += sum(rounded(width, _BLOCK) * rows * layer.itemsize for width in (layer.inputs, layer.hidden))
        columns = rounded(layer.batch, 2) * layer.itemsize
        scratch = _scratchpad(layer, steps=1, backward=True) + _products(layer, machine)
        scratch += (machine.threads * _BLOCK + layer.inputs + layer.hidden) * columns + 3 * PAD
    gradients_of_biases = rows * FLOAT
    returned_later = rows * FLOAT  # the second bias's gradient is a copy, made when all this is freed
    total = made + layer.bias + packed + gradients_of_biases + scratch - returned_later
    return Workspace(total, exact=layer.plain or _derived(layer, machine))


def _row(width: int, itemsize: int) -> int:
    """Return the bytes of a row: whole cache lines, and one more where rows would fall on the same places of a cache.

    oneDNN's `get_good_ld`.
    """
    line = _LINE // itemsize
    elements = rounded(width, line)
    return (elements + line if elements % _ALIASES == 0 else elements) * itemsize


def _scratchpad(layer: Lstm, *, steps: int, backward: bool = False) -> int:
    """Return the bytes of a training scratchpad: gates of `steps` steps, a state and its gradient, pointers."""
    sizes = (
        steps * layer.batch * _row(GATES * layer.hidden, layer.itemsize if backward else FLOAT),
        layer.batch * _row(layer.hidden, layer.itemsize),
        layer.batch * _row(layer.hidden, FLOAT),
    )
    return pages(sizes) + PAGE + _pointers(layer)


def _pointers(layer: Lstm) -> int:
    return 3 * (_POINTER + PAD) + layer.itemsize * _POINTER + PAD


def _products(layer: Lstm, machine: Machine) -> int:
    """Return the bytes of the products' descriptions; two for each weight where both have one width."""
    return 2 * (1 + (layer.inputs == layer.hidden)) * BATCH_ELEMENT * machine.threads + PAD


def _blocked_weights(layer: Lstm, machine: Machine) -> int:
    block = _BLOCK if machine.known or layer.batch == 1 or not machine.vector else _BLOCK // 2
    inner = 1 if layer.plain else 2  # pairs of bfloat16
    widths = rounded(layer.inputs, inner) + rounded(layer.hidden, inner)
    return widths * GATES * rounded(layer.hidden, block) * layer.itemsize


def _derived(layer: Lstm, machine: Machine) -> bool:
    return machine.known and (layer.plain or machine.bf16)
