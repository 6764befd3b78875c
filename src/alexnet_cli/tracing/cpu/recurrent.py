"""Recurrent layers as torch runs them on the CPU, in place of what it does on `meta`, one step after the other.

An LSTM is one oneDNN kernel for each layer and direction (`mkldnn_rnn`, native/mkldnn/RNN.cpp). A GRU or a plain RNN
multiplies the inputs of all steps at once and goes on step by step (`FullLayer`, native/RNN.cpp).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from alexnet_cli.torch_insides import kernel_replaced, operator_named
from alexnet_cli.tracing.cpu.recurrent_sizes import Lstm, kept_for_backward

_LSTM = 2
"""oneDNN's number for this kind of cell (`ideep::rnn_kind`)."""
_LAYER = operator_named("mkldnn_rnn_layer")
_BY_ONEDNN = (torch.float32, torch.bfloat16, torch.float16)
_KNOWN_FROM = (3, 12)
_stands_in = False
"""Fake tensors may go on calling a kernel that was replaced."""
_Held = dict[int, Sequence[Tensor]]
_INPUTS = -1
_Cell = Callable[[Tensor, Tensor, Tensor, Any], Tensor]


@contextmanager
def recurrent_as_on_cpu(key: str = "AutogradMeta") -> Iterator[None]:
    """Run recurrent layers as on the CPU inside; `key` is torch's dispatch key for the traced device.

    If torch has renamed an operator, its layers stay as they are.
    """
    global _stands_in  # noqa: PLW0603 - as torch's registry of kernels is
    kernels: dict[tuple[str, str], Callable[..., Any]]
    kernels = {("gru.input", key): _gru, ("rnn_tanh.input", key): _tanh, ("rnn_relu.input", key): _relu}
    if lstm_is_known():
        kernels[("lstm.input", key)] = _lstm
        kernels[("mkldnn_rnn_layer", "Meta")] = _layer
        kernels[("mkldnn_rnn_layer_backward", "Meta")] = _layer_backward
    with ExitStack() as stack:
        for (name, at), kernel in kernels.items():
            if operator_named(name) is not None:
                stack.enter_context(kernel_replaced(name, kernel, at))
        _stands_in = True
        try:
            yield
        finally:
            _stands_in = False


def lstm_is_known() -> bool:
    """Tell whether torch runs an LSTM by a oneDNN whose sizes are derived here; before 3.12 they are others."""
    built = re.search(r"MKL-DNN v(\d+)\.(\d+)", torch.__config__.show())
    return _LAYER is not None and built is not None and (int(built[1]), int(built[2])) >= _KNOWN_FROM


def lstm_of(given: Tensor, hidden: int) -> Lstm:
    """Return the sizes of a layer from its input, steps × batch × width."""
    return Lstm(given.shape[0], given.shape[1], given.shape[2], hidden, given.element_size())


def _layer(given: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The results of one layer in one direction; the workspace is there where a backward may follow."""
    hidden, cell, width = others[4], others[5], others[9]
    kept = kept_for_backward(lstm_of(given, width)) if _stands_in and torch.is_grad_enabled() else 0
    output = given.new_empty((*given.shape[:2], width))
    workspace = torch.empty(kept, dtype=torch.uint8, device=given.device)
    return output, hidden.new_empty(hidden.shape), cell.new_empty(cell.shape), workspace


def _layer_backward(given: Tensor, *others: Any) -> tuple[Tensor, ...]:
    """The gradients of input, weights, biases and states, all in float32."""
    weight, recurrent, _, _, hidden, cell = others[:6]
    bias = weight[:, 0]  # what stands for a bias where there is none has another shape
    like = (given, weight, recurrent, bias, bias, hidden, cell)
    return tuple(tensor.new_empty(tensor.shape, dtype=torch.float32) for tensor in like)


def _lstm(  # noqa: PLR0917 - torch's signature
    given: Tensor,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    has_biases: bool,  # noqa: FBT001 - the same
    num_layers: int,
    dropout: float,
    train: bool,  # noqa: FBT001
    bidirectional: bool,  # noqa: FBT001
    batch_first: bool,  # noqa: FBT001
) -> tuple[Tensor, Tensor, Tensor]:
    count = num_layers * (1 + bidirectional)
    each = len(parameters) // count
    if each != (4 if has_biases else 2) or given.dtype not in _BY_ONEDNN or not given.numel():
        written_out = operator_named("lstm.input").decompose
        arguments = (given, states, parameters, has_biases, num_layers, dropout, train, bidirectional, batch_first)
        return written_out(*arguments)  # type: ignore[no-any-return] # torch leaves it untyped
    cells, ends = states[1].contiguous(), list[Tensor]()

    def run(inputs: Tensor, state: Tensor, own: Sequence[Tensor], index: int, _: _Held) -> tuple[Tensor, Tensor]:
        biases = own[2:] or [own[0].new_zeros(own[0].shape), own[1].new_zeros(own[1].shape)]
        kind = (_LSTM, state.shape[-1], num_layers, has_biases, bidirectional, batch_first, train)
        reverse = bool(bidirectional and index % 2)
        output, end, cell, _ = _LAYER(inputs, *own[:2], *biases, state, cells[index], reverse, [], *kind)
        ends.append(cell)
        return output, end

    inputs = (given.transpose(0, 1) if batch_first else given).contiguous()  # held until all layers are done
    shape = (each, num_layers, 1 + bidirectional)
    output, end = _stacked(run, inputs, states[0].contiguous(), parameters, shape, dropout * train, keeps=True)
    return output.transpose(0, 1) if batch_first else output, end, torch.stack(ends)


def _stacked(  # noqa: PLR0917 - what a stack of layers is made of
    run: Callable[[Tensor, Tensor, Sequence[Tensor], int, _Held], tuple[Tensor, Tensor]],
    inputs: Tensor,
    states: Tensor,
    parameters: Sequence[Tensor],
    shape: tuple[int, int, int],
    dropout: float,
    *,
    keeps: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run layers one on the other; `shape` is the parameters of each, the layers, and the directions.

    What is held how long is as in torch: `run` gets a place that holds tensors until its layer is done, and if it
    `keeps` them, the directions' outputs of a layer are there until those of the next take their place.
    """
    each, layers, directions = shape
    ends: list[Tensor] = []
    outputs: dict[int, Tensor] = {}
    for layer in range(layers):
        held: _Held = {}
        for direction in range(directions):
            index = layer * directions + direction
            own = parameters[index * each : (index + 1) * each]
            outputs[direction], end = run(inputs, states[index], own, index, held)
            ends.append(end)
        inputs = outputs[0] if directions == 1 else torch.cat(list(outputs.values()), -1)
        if not keeps:
            outputs.clear()
        if dropout and layer < layers - 1:
            inputs = functional.dropout(inputs, dropout, training=True)
    return inputs, torch.stack(ends)


def _by_steps(cell: _Cell) -> Callable[..., tuple[Tensor, Tensor]]:
    """Return the kernel of a layer whose `cell` gets a step's inputs, multiplied by the weights, and the state."""

    def kernel(  # noqa: PLR0917 - torch's signature
        given: Tensor,
        states: Tensor,
        parameters: Sequence[Tensor],
        has_biases: bool,  # noqa: FBT001 - the same
        num_layers: int,
        dropout: float,
        train: bool,  # noqa: FBT001
        bidirectional: bool,  # noqa: FBT001
        batch_first: bool,  # noqa: FBT001
    ) -> tuple[Tensor, Tensor]:
        def run(inputs: Tensor, state: Tensor, own: Sequence[Tensor], index: int, held: _Held) -> tuple[Tensor, Tensor]:
            biases = own[2:] if has_biases else (None, None)
            steps = functional.linear(inputs, own[0], biases[0]).unbind(0)
            held[_INPUTS] = steps
            back = bidirectional and index % 2
            outputs: list[Tensor] = []
            for step in reversed(steps) if back else steps:
                state = cell(step, state, own[1], biases[1])
                outputs.append(state)
            held[index] = outputs
            return torch.stack(outputs[::-1] if back else outputs), state

        inputs = given.transpose(0, 1) if batch_first else given
        shape = (4 if has_biases else 2, num_layers, 1 + bidirectional)
        output, end = _stacked(run, inputs, states, parameters, shape, dropout * train)
        return output.transpose(0, 1) if batch_first else output, end

    return kernel


def _gru_cell(step: Tensor, state: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    inputs = step.unsafe_chunk(3, 1)
    own = functional.linear(state, weight, bias).unsafe_chunk(3, 1)
    reset = own[0].add_(inputs[0]).sigmoid_()
    update = own[1].add_(inputs[1]).sigmoid_()
    new = inputs[2].add(own[2].mul_(reset)).tanh_()
    return (state - new).mul_(update).add_(new)


_gru = _by_steps(_gru_cell)
_tanh = _by_steps(lambda step, state, weight, bias: functional.linear(state, weight, bias).add_(step).tanh_())
_relu = _by_steps(lambda step, state, weight, bias: functional.linear(state, weight, bias).add_(step).relu_())
