"""Receptive fields against gradients: random graphs of layers, and operators one by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seen_by_gradients import Span, run
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli.analyses.receptive_field.fields import LayerField, RowValues, receptive_fields
from alexnet_cli.analyses.receptive_field.follow import follow
from alexnet_cli.analyses.receptive_field.seen import Seen
from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

CHANNELS = 2
SIDE = {1: 90, 2: 34}
CONV = {1: nn.Conv1d, 2: nn.Conv2d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}
AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
MAXIMUM = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
RANKS = st.sampled_from([1, 2])


class Sum(nn.Module):
    def forward(self, *values):
        return sum(values[1:], values[0])


class Joined(nn.Module):
    def forward(self, *values):
        return torch.cat(values, 1)


class Branches(nn.Module):
    """Branches over one input, and what puts them together."""

    def __init__(self, branches, join):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = join

    def forward(self, x):
        return self.join(*[branch(x) for branch in self.branches])


# --- random layers; those that are `same` keep the size of the map ---


def each(rank, values):
    return st.tuples(*[values] * rank)


@st.composite
def any_convolution(draw, rank):
    kernel, stride = draw(each(rank, st.integers(1, 4))), draw(each(rank, st.integers(1, 3)))
    padding, dilation = draw(each(rank, st.integers(0, 3))), draw(each(rank, st.integers(1, 3)))
    return CONV[rank](
        CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups=draw(st.sampled_from([1, CHANNELS]))
    )


@st.composite
def same_convolution(draw, rank, stride=1):
    kernel, dilation = draw(each(rank, st.sampled_from([1, 3, 5]))), draw(each(rank, st.integers(1, 3)))
    padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    return CONV[rank](CHANNELS, CHANNELS, kernel, stride, padding, dilation)


@st.composite
def pooling(draw, rank):
    kernel = draw(st.integers(1, 4))
    kind = draw(st.sampled_from([AVERAGE, MAXIMUM]))
    return kind[rank](kernel, draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2)))


@st.composite
def residual(draw, rank):
    stride = draw(st.sampled_from([1, 1, 2]))
    body = [draw(same_convolution(rank, stride)), nn.ReLU(), draw(same_convolution(rank))]
    shortcut = CONV[rank](CHANNELS, CHANNELS, 1, stride) if stride > 1 else nn.Identity()
    return Branches([shortcut, nn.Sequential(*body)], Sum())


@st.composite
def inception(draw, rank):
    branches = [nn.Sequential(*draw(st.lists(same_convolution(rank), min_size=1, max_size=2))) for _ in range(2)]
    branches.append(MAXIMUM[rank](3, 1, 1))
    return nn.Sequential(Branches(branches, Joined()), CONV[rank](len(branches) * CHANNELS, CHANNELS, 1))


@st.composite
def transposed(draw, rank):
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kernel = draw(st.integers(1, 5))
    padding = draw(st.integers(0, min(2, dilation * (kernel - 1))))
    extra = draw(st.integers(0, max(stride, dilation) - 1))
    return TRANSPOSED[rank](CHANNELS, CHANNELS, kernel, stride, padding, extra, dilation=dilation)


@st.composite
def upsampling(draw, rank):
    linear = {1: "linear", 2: "bilinear"}[rank]
    how = draw(st.sampled_from(["nearest", "nearest-exact", linear]))
    factor = draw(st.sampled_from([2, 3, 0.5, 1.5]))
    return nn.Upsample(scale_factor=factor, mode=how)


def adaptive(rank):
    return st.integers(2, 9).map({1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}[rank])


@st.composite
def networks(draw, *kinds, most=4):
    """Draw a chain of layers of some kinds, with the number of its spatial axes."""
    rank = draw(RANKS)
    return nn.Sequential(*draw(st.lists(st.one_of([kind(rank) for kind in kinds]), min_size=2, max_size=most))), rank


# --- what is compared ---


class Compared(NamedTuple):
    """A layer: its field, what its units see as far as that is followed, and what some see by their gradients."""

    field: LayerField
    seen: Seen
    sizes: tuple[int, ...]
    units: list[tuple[tuple[int, ...], tuple[Span | None, ...]]]


def traced(model, shape) -> Report:
    subject = Subject("case", "", lambda: Loaded(model, shared=True))
    return trace(subject, TraceOptions(inputs=(InputSpec(shape),)), notify=pytest.fail)


def layers_of(network) -> Iterator[Compared]:
    """Yield the layers of a network, up to the one that fails if one does."""
    model, rank = network
    shape = (CHANNELS, *[SIDE[rank] + 3 * axis for axis in range(rank)])
    report = traced(model, shape)
    values = RowValues(report.tape, report.layers)
    followed = follow(report.tape, report.tape.inputs[0], range(1, rank + 2))
    ran = run(model, (1, *shape))
    for field in receptive_fields(report).layers:
        row = report.layers[field.row]
        found = {followed.seen[value] for value in values.of(range(field.row, field.row + 1))}
        if row.kind == "module" and len(found) == 1:
            places = [tuple(size * part // 6 for size in field.output_shape[2:]) for part in (2, 3, 4)]
            units = [((0, 0, *place), ran.seen(row.path, row.call, place)) for place in places]
            yield Compared(field, found.pop(), shape[1:], units)


def span_of(seen: Seen, along: int, place: tuple[int, ...]) -> Span | None:
    """Return what a unit is said to see: what is seen at the place that its indices add up to."""
    unit = 0
    for axis, index in zip(seen.axes, place, strict=True):
        left = index
        for factor in reversed(axis):
            left, digit = divmod(left, factor.size)
            unit += digit * factor.step if factor.along == along else 0
    return seen.reaches[along].at(unit)


def compare(network) -> None:
    """Hold every layer to its gradients: what is exact is exact where no padding is seen, what is a bound contains."""
    for layer in layers_of(network):
        if layer.field.status == "global":  # a map of one place that was resized: all see the same
            assert any(size == 1 for size in layer.field.output_shape) or "Upsample" in str(network)
            continue
        for place, spans in layer.units:
            for axis, span in enumerate(spans):
                said = span_of(layer.seen, axis + 1, place)
                if span is not None:  # else all that the unit sees is padding
                    compare_axis(layer, axis, place[axis + 2], said, span)


def compare_axis(layer: Compared, axis: int, index: int, said: Span, span: Span) -> None:
    """Hold a unit to its gradient along an axis, by what was followed and by the numbers that are shown."""
    field, inside = layer.field, said[0] >= 0 and said[1] < layer.sizes[axis]
    assert said[0] <= span[0] <= span[1] <= said[1], (field, index, span)
    assert span == said or not (inside and layer.seen.reaches[axis + 1].tight), (field, index, span)
    assert span[1] - span[0] + 1 <= field.size[axis], (field, index, span)
    if field.status == "exact":
        middle = field.start[axis] + field.jump[axis] * index
        assert (middle - (field.size[axis] - 1) / 2, middle + (field.size[axis] - 1) / 2) == said


EXAMPLES = settings(max_examples=15, deadline=None)


@EXAMPLES
@given(networks(any_convolution, pooling, most=5))
def test_chains(network):
    compare(network)


@EXAMPLES
@given(networks(same_convolution, most=6))
def test_dilated_stacks(network):
    compare(network)


@EXAMPLES
@given(networks(residual, any_convolution, most=4))
def test_residual_networks(network):
    compare(network)


@EXAMPLES
@given(networks(inception, pooling, most=3))
def test_inception_like_networks(network):
    compare(network)


@EXAMPLES
@given(networks(transposed, same_convolution, pooling, most=4))
def test_transposed_convolutions(network):
    compare(network)


@EXAMPLES
@given(networks(upsampling, same_convolution, adaptive, most=4))
def test_resampling(network):
    compare(network)


@EXAMPLES
@given(networks(residual, inception, transposed, any_convolution, most=3))
def test_all_together(network):
    compare(network)


def test_units_that_see_nothing_see_nothing_along_any_axis():
    holes = nn.ConvTranspose2d(CHANNELS, CHANNELS, 1, 2)  # every second row and column
    wide = nn.Conv2d(CHANNELS, CHANNELS, (1, 3), padding=(0, 2), dilation=(1, 2))
    compare((nn.Sequential(holes, Branches([wide, nn.MaxPool2d(3, 1, 1)], Joined())), 2))


@settings(max_examples=5, deadline=None)
@given(networks(same_convolution, residual, inception, most=3))
def test_networks_that_keep_step_are_exact_throughout(network):
    assert {layer.field.status for layer in layers_of(network)} == {"exact"}


def test_the_comparison_can_fail():
    (small,) = layers_of((nn.Sequential(nn.Conv1d(CHANNELS, CHANNELS, 3)), 1))
    (large,) = layers_of((nn.Sequential(nn.Conv1d(CHANNELS, CHANNELS, 5)), 1))
    with pytest.raises(AssertionError):
        compare_axis(small, 0, 30, (30, 32), large.units[0][1][0])
    assert [spans for _, spans in large.units] == [((n * 86 // 6, n * 86 // 6 + 4),) for n in (2, 3, 4)]


# --- operators, one by one: every unit of every result, along every axis of the input ---


class Applied(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def results(function, x) -> tuple:
    found = function(x)
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def _written(x):
    y = x * 1
    y[:, :, 2:4] = x[:, :, :2]
    return y + 0


def _written_through(x):
    y = torch.zeros(1, 8, 6, 4)
    y.permute(0, 3, 2, 1).copy_(x)
    y.add_(1)
    return y + 0


def _windowed(x):
    windows = x.reshape(4, 6, 2, 4)
    return (windows @ windows.mT).softmax(-1) @ windows


SHAPE = (4, 6, 8)
"""Channels, rows and columns, as far as an operator knows any."""

OPERATORS = {
    # moved
    "permute": lambda x: x.permute(0, 3, 1, 2),
    "transpose in place": lambda x: (x * 1).transpose_(1, 2),
    "reshape": lambda x: x.reshape(1, 2, 48, 2),
    "flatten and cut": lambda x: x.flatten(1).unflatten(1, (8, 24)),
    "squeeze and unsqueeze": lambda x: x.squeeze(0).unsqueeze(-1).squeeze(-1),
    "expand": lambda x: x.expand(3, -1, -1, -1),
    "repeat": lambda x: x.repeat(2, 1, 2, 1),
    "select": lambda x: x.select(2, -1),
    "slice": lambda x: x[:, 1:3, -5:, ::3],
    "slice of a flattened axis": lambda x: x.flatten(2)[..., 8:24],
    "slice across a flattened axis": lambda x: x.flatten(2)[..., 5:21],
    "chunk": lambda x: x.chunk(3, 2),
    "uneven split": lambda x: x.split([1, 2, 3], 2),
    "unbind": lambda x: x.unbind(3),
    "flip": lambda x: x.flip((1, 3)),
    "unfold": lambda x: x.unfold(3, 3, 2),
    "im2col": lambda x: F.unfold(x, (3, 2), dilation=(2, 1), padding=(1, 0), stride=(1, 2)),
    "im2col, then a product": lambda x: torch.ones(5, 36) @ F.unfold(x, 3, padding=1, stride=2),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel shuffle, then pool": lambda x: F.avg_pool2d(F.pixel_shuffle(x, 2), 3, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel shuffle": lambda x: F.channel_shuffle(x, 2),
    "patches": lambda x: x.reshape(1, 4, 3, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 12, 16) @ torch.ones(16, 3),
    "depth to space": lambda x: x.reshape(1, 2, 2, 6, 8).permute(0, 1, 3, 2, 4).reshape(1, 2, 12, 8),
    "depth to space, then pool": lambda x: F.avg_pool2d(
        x.reshape(1, 2, 2, 6, 8).permute(0, 1, 3, 2, 4).reshape(1, 2, 12, 8), 3, 1
    ),
    "complex and back": lambda x: torch.view_as_real(torch.complex(x, x * 2)),
    # put together
    "pad": lambda x: F.pad(x, (1, -2, 0, 3)),
    "cat of rows": lambda x: torch.cat([x[:, :, 3:], torch.zeros(1, 4, 2, 8), x], 2),
    "cat of channels": lambda x: torch.cat([x, x.roll(1, 3)], 1),
    "stack": lambda x: torch.stack([x, x * 2], 2),
    "broadcast": lambda x: x + x[:, :, :1],
    "add a transposed": lambda x: x[..., :6] + x[..., :6].mT,
    "add in another step": lambda x: x[..., ::2] + x[..., 4:],
    "add a flipped": lambda x: x + x.flip(3),
    "outer sum": lambda x: x[:, :, :, :, None] + x[:, :, :, None, :],
    "where": lambda x: torch.where(x > 0.5, x, x.flip(2)),
    "written into": _written,
    "written through a view": _written_through,
    # windows
    "convolution": lambda x: F.conv2d(x, torch.ones(3, 4, 3, 2), stride=(2, 1), padding=1, dilation=(1, 2)),
    "grouped convolution": lambda x: F.conv2d(x, torch.ones(4, 1, 3, 3), groups=4),
    "convolution of rows": lambda x: F.conv1d(x.flatten(0, 1), torch.ones(2, 6, 3)),
    "transposed convolution": lambda x: F.conv_transpose2d(x, torch.ones(4, 2, 2, 3), stride=(3, 2), padding=(0, 1)),
    "three dimensions": lambda x: F.conv3d(x[:, None], torch.ones(1, 1, 2, 3, 3)),
    "average pooling": lambda x: F.avg_pool2d(x, (3, 2), (1, 2), (1, 0)),
    "average pooling of one axis": lambda x: F.avg_pool1d(x[0], 3, 2),
    "adaptive pooling": lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    "adaptive pooling to more": lambda x: F.adaptive_avg_pool2d(x, (9, 12)),
    "response norm": lambda x: F.local_response_norm(x, 3),
    "nearest": lambda x: F.interpolate(x, size=(9, 20)),
    "nearest exact": lambda x: F.interpolate(x, size=(9, 4), mode="nearest-exact"),
    "bilinear": lambda x: F.interpolate(x, size=(12, 5), mode="bilinear"),
    "bilinear by a factor that does not divide": lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"),
    "bilinear with corners": lambda x: F.interpolate(x, size=(11, 7), mode="bilinear", align_corners=True),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "from one place": lambda x: F.interpolate(x[:, :, :1, :1], size=(3, 4), mode="bilinear"),
    # mixed
    "mean": lambda x: x.mean((1, 3), keepdim=True),
    "sum of all": lambda x: x.sum(),
    "variance and mean": lambda x: torch.var_mean(x, 2),
    "softmax": lambda x: x.softmax(2),
    "running sum": lambda x: x.cumsum(3),
    "glu": lambda x: F.glu(x, 3),
    "roll": lambda x: x.roll(2, 3),
    "sort": lambda x: x.sort(2).values,
    "largest": lambda x: x.topk(2, 1).values,
    "layer norm": lambda x: F.layer_norm(x, (8,)),
    "group norm": lambda x: F.group_norm(x, 2),
    "batch statistics": lambda x: F.batch_norm(torch.cat([x, x * x]), None, None, training=True),
    "running statistics": lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4)),
    "renorm": lambda x: x.renorm(2, 1, 0.5),
    "linear": lambda x: F.linear(x, torch.ones(3, 8), torch.ones(3)),
    "product from the left": lambda x: torch.ones(5, 6) @ x,
    "product with a vector": lambda x: x @ torch.ones(8),
    "product with itself": lambda x: x @ x.mT,
    "attention": lambda x: F.scaled_dot_product_attention(x, x[:, :, :4], x[:, :, :4]),
    "attention within windows": _windowed,
    "einsum": lambda x: torch.einsum("bchw,cd,we->bdhe", x, torch.ones(4, 3), torch.ones(8, 2)),
    "a product over part of an axis": lambda x: x[..., 2:5] @ torch.ones(3, 2),
    "gather": lambda x: x.gather(3, torch.zeros(1, 4, 6, 2, dtype=torch.long)),
    "unknown": lambda x: torch.logdet(x[..., :6] @ x[..., :6].mT + torch.eye(6)),
}


@pytest.mark.parametrize("function", OPERATORS.values(), ids=OPERATORS)
def test_no_unit_sees_more_than_is_said(function):
    torch.manual_seed(0)
    report = traced(Applied(function), SHAPE)
    assert report.error is None
    followed = follow(report.tape, report.tape.inputs[0], (1, 2, 3))
    x = (torch.rand(1, *SHAPE, dtype=torch.float64) + 0.5).requires_grad_()
    with torch.device("cpu"):
        torch.set_default_dtype(torch.float64)
        try:
            outputs = results(function, x)
        finally:
            torch.set_default_dtype(torch.float32)
    assert len(outputs) == len(report.tape.outputs)
    for output, value in zip(outputs, report.tape.outputs, strict=True):
        seen = followed.seen[value]
        assert seen.shape == tuple(output.shape)
        for place in product(*map(range, output.shape)):
            (gradient,) = torch.autograd.grad(output[place], x, retain_graph=True)
            pixels = gradient.nonzero()[:, 1:]
            for along in range(3):
                if seen.reaches[along] is None or not len(pixels):
                    continue
                said = span_of(seen, along, place)
                real = int(pixels[:, along].min()), int(pixels[:, along].max())
                assert said is not None
                assert said[0] <= real[0] <= real[1] <= said[1], (place, along, said, real)
