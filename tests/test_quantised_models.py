"""Models that torch or torchao quantised: their parameters and MACs, and the bytes that the weights take."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet_cli import inspect

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def quantization():
    """torch.ao.quantization, which torch has deprecated for torchao."""
    return pytest.importorskip("torch.ao.quantization", reason="this torch has no eager quantisation any more")


@pytest.fixture
def quantised(quantization):
    """Quantise the layers of these classes as they are called."""

    def convert(model, *kinds, dtype=torch.qint8):
        return quantization.quantize_dynamic(model.eval(), set(kinds), dtype=dtype)

    return convert


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 8)
        self.rnn = nn.LSTM(8, 4, 2, batch_first=True)
        self.last = nn.Linear(4, 3, bias=False)

    def forward(self, x):
        return self.last(self.rnn(self.first(x))[0])


FIRST, LAST = 16 * 8, 4 * 3
RNN = 4 * 4 * (8 + 4) + 4 * 4 * (4 + 4)
BIASES = 8 + 2 * 2 * 4 * 4
WEIGHTS = FIRST + RNN + LAST


def rows_of(look):
    return {row.path: row for row in look.summary().layers}


def test_a_model_with_dynamic_int8(quantised):
    look = inspect(quantised(Net(), nn.Linear, nn.LSTM), torch.zeros(2, 5, 16))
    rows, totals = rows_of(look), look.summary().totals
    assert (totals.params, totals.trainable_params) == (WEIGHTS + BIASES, 0)
    assert totals.param_bytes == WEIGHTS + 4 * BIASES
    assert [rows[path].params for path in ("first", "rnn", "last")] == [FIRST + 8, RNN + BIASES - 8, LAST]
    assert [rows[path].macs for path in ("first", "rnn", "last")] == [10 * FIRST, 10 * RNN, 10 * LAST]
    assert [rows[path].family for path in ("first", "rnn", "last")] == ["linear", "recurrent", "linear"]
    assert totals.uncounted_ops == totals.unused_modules == ()


def test_packed_weights_are_read_and_take_memory(quantised):
    look = inspect(quantised(Net(), nn.Linear, nn.LSTM), torch.zeros(2, 5, 16))
    assert look.memory().inference.weights_bytes == WEIGHTS + 4 * BIASES
    first = next(layer for layer in look.cost().layers if layer.path == "first")
    assert first.bytes_read == FIRST + 4 * 8 + 4 * 2 * 5 * 16


def test_half_precision_is_packed_in_two_bytes(quantised):
    look = inspect(quantised(nn.Sequential(nn.Linear(16, 8)), nn.Linear, dtype=torch.float16), torch.zeros(1, 16))
    totals = look.summary().totals
    assert (totals.params, totals.param_bytes, totals.macs) == (FIRST + 8, 2 * FIRST + 4 * 8, FIRST)


def test_a_recurrent_cell_and_a_layer_that_is_not_called(quantised):
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(4, 4)
            self.rnn = nn.GRU(4, 3, bidirectional=True)
            self.spare = nn.Linear(5, 5)

        def forward(self, x):
            return self.rnn(self.cell(x)[None])[0]

    look = inspect(quantised(Cell(), nn.Linear, nn.GRUCell, nn.GRU), torch.zeros(2, 4))
    rows, totals = rows_of(look), look.summary().totals
    cell, rnn = 2 * 3 * 4 * 4, 2 * (3 * 3 * 4 + 3 * 3 * 3)
    assert (rows["cell"].params, rows["cell"].macs) == (cell + 2 * 3 * 4, 2 * cell)
    assert (rows["rnn"].params, rows["rnn"].macs) == (rnn + 2 * 2 * 3 * 3, 2 * rnn)
    assert [(module.path, module.params) for module in totals.unused_modules] == [("spare", 5 * 5 + 5)]
    assert totals.params == rows["cell"].params + rows["rnn"].params + 30


def test_a_layer_that_is_called_twice_owns_its_weights_once(quantised):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(self.fc(x))

    totals = inspect(quantised(Twice(), nn.Linear), torch.zeros(1, 4)).summary().totals
    assert (totals.params, totals.macs) == (4 * 4 + 4, 2 * 16)


def test_a_model_that_is_quantised_whole(quantization):
    class Static(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.leave = quantization.QuantStub(), quantization.DeQuantStub()
            self.conv = nn.Conv2d(4, 8, 3, groups=2)
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            return self.leave(self.fc(self.conv(self.enter(x)).mean((2, 3))))

    model = Static().eval()
    model.qconfig = quantization.get_default_qconfig(torch.backends.quantized.engine)
    quantization.prepare(model, inplace=True)
    model(torch.zeros(1, 4, 8, 8))
    quantization.convert(model, inplace=True)
    look = inspect(model, torch.zeros(1, 4, 8, 8))
    rows, totals = rows_of(look), look.summary().totals
    conv = 8 * 2 * 3 * 3
    assert (rows["conv"].params, rows["conv"].macs) == (conv + 8, conv * 6 * 6)
    assert (rows["fc"].params, rows["fc"].macs) == (8 * 4 + 4, 8 * 4)
    assert totals.uncounted_ops == ()
    scales = sum(
        layer.weight().q_per_channel_scales().nbytes + layer.weight().q_per_channel_zero_points().nbytes
        for layer in (model.conv, model.fc)
        if layer.weight().qscheme() is torch.per_channel_affine
    )
    assert totals.param_bytes == conv + 8 * 4 + 4 * (8 + 4) + scales


@pytest.mark.parametrize("config", ["Int8WeightOnlyConfig", "Float8WeightOnlyConfig", "IntxWeightOnlyConfig"])
def test_subclasses_of_torchao(config):
    torchao = pytest.importorskip("torchao.quantization")
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 8, bias=False)).to(torch.bfloat16)
    torchao.quantize_(model, getattr(torchao, config)())
    inside = [getattr(layer.weight, name) for layer in model for name in layer.weight.__tensor_flatten__()[0]]
    stored = sum(tensor.nbytes for tensor in inside) + 2 * 32
    look = inspect(model, torch.zeros(3, 64, dtype=torch.bfloat16))
    totals = look.summary().totals
    assert (totals.params, totals.param_bytes) == (64 * 32 + 32 + 32 * 8, stored)
    assert totals.macs == 3 * (64 * 32 + 32 * 8)
    assert look.memory().inference.weights_bytes == stored
