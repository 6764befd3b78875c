"""Receptive fields: sizes from the literature and by closed forms, what is global, and what the command says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
import torch
from helpers import trace_target
from msgspec.structs import replace
from test_floors import run_without_torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli.analyses.receptive_field.fields import LayerField, ReceptiveFields, receptive_fields, share_seen
from alexnet_cli.analyses.receptive_field.reach import Reach
from alexnet_cli.analyses.receptive_field.rules.joins import SAME_PLACE
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import InputSpec, parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

FOLDER = Path(__file__).parent


def traced(make, *inputs: str | InputSpec, **options) -> Report:
    subject = Subject("case", "", lambda: Loaded(make()))
    specs = tuple(parse_input(given) if isinstance(given, str) else given for given in inputs)
    report = trace(subject, TraceOptions(inputs=specs, **options), notify=pytest.fail)
    assert report.error is None
    return report


def fields_of(make, *inputs: str, **options) -> ReceptiveFields:
    return receptive_fields(traced(make, *inputs, **options))


def last(make, *inputs: str, **options) -> LayerField:
    return fields_of(make, *inputs, **options).layers[-1]


def closed_form(layers):
    """Size, jump and start by the closed form of Araujo et al., from (kernel, stride, padding) of a chain."""
    size, jump, start = 1, 1, Fraction(0)
    for kernel, stride, padding in layers:
        size += (kernel - 1) * jump
        start += (Fraction(kernel - 1, 2) - padding) * jump
        jump *= stride
    return size, jump, start


# --- known networks ---


CHAIN = {  # of the notebook's network: (kernel, stride, padding) of each convolution and pooling
    "architecture.0": (11, 4, 0),
    "architecture.2": (3, 2, 0),
    "architecture.3": (5, 1, 2),
    "architecture.5": (3, 2, 0),
    "architecture.6": (3, 1, 1),
    "architecture.8": (3, 1, 1),
    "architecture.10": (3, 1, 1),
    "architecture.12": (3, 2, 0),
}


def test_alexnet_is_as_in_the_literature(report):
    fields = receptive_fields(report)
    rows = {layer.path: layer for layer in fields.layers}
    assert [rows[path].size for path in CHAIN] == [(n, n) for n in (11, 19, 51, 67, 99, 131, 163, 195)]
    assert rows["architecture.12"].jump == (32, 32)
    for number, path in enumerate(CHAIN, 1):
        size, jump, start = closed_form(list(CHAIN.values())[:number])
        assert rows[path].size == (size, size)
        assert rows[path].jump == (jump, jump)
        assert rows[path].start == (start, start)
        assert rows[path].status == "exact"
    assert (fields.input, fields.input_shape, fields.axes) == (0, (1, 3, 227, 227), (2, 3))


def test_flattening_changes_no_field_and_a_linear_layer_sees_everything(report):
    rows = {layer.path: layer for layer in receptive_fields(report).layers}
    assert rows["architecture.13"].size == (195, 195)
    for path in ("architecture.14", "architecture.18", "log_softmax"):
        assert (rows[path].size, rows[path].jump, rows[path].start) == (None, None, None)
        assert rows[path].status == "global"


@pytest.mark.parametrize("name", ["alexnet-paper", "alexnet-owt", "caffenet"])
def test_the_variants_have_the_same_sizes(name):
    sizes = {layer.size for layer in receptive_fields(trace_target(name)).layers if layer.size}
    assert sizes == {(n, n) for n in (11, 19, 51, 67, 99, 131, 163, 195)}


def vgg16():
    blocks = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]
    layers, channels = [], 3
    for count, width in blocks:
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


class BasicBlock(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.down = nn.Conv2d(before, width, 1, stride, bias=False) if stride != 1 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.down(x))


def resnet18():
    stem = [nn.Conv2d(3, 8, 7, 2, 3), nn.MaxPool2d(3, 2, 1)]
    blocks = [BasicBlock(8, 8, 2 if first and stage else 1) for stage in range(4) for first in (True, False)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def test_vgg_16_is_as_in_the_literature():
    assert last(vgg16, "3,224,224").size == (212, 212)  # Araujo, Norris, Sim, Distill 2019


def test_resnet_18_by_its_longest_path():
    convolutions = [(7, 2, 3), (3, 2, 1)]
    for stage in range(4):
        convolutions += [(3, 2 if stage else 1, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1)]
    size, jump, start = closed_form(convolutions)
    assert size == 435
    fields = fields_of(resnet18, "3,224,224")
    relu = [layer for layer in fields.layers if layer.type == "relu"][-1]
    assert (relu.size, relu.jump, relu.start) == ((size, size), (jump, jump), (start, start))
    assert relu.status == "exact"
    assert [layer.status for layer in fields.layers[-3:]] == ["global"] * 3


def test_a_wavenet_sees_two_to_the_number_of_its_layers():
    def make():
        layers = []
        for level in range(8):
            layers += [nn.ConstantPad1d((2**level, 0), 0.0), nn.Conv1d(1, 1, 2, dilation=2**level)]
        return nn.Sequential(*layers)

    field = last(make, "1,1000")
    assert (field.size, field.jump, field.status) == ((256,), (1,), "exact")
    assert field.start == (-127.5,)  # causal: the last pixel seen is the unit's own


class UNet(nn.Module):
    """One level: two 3x3 convolutions, down, two more, up, two more over both."""

    def __init__(self):
        super().__init__()
        self.before = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        self.below = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.after = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))

    def forward(self, x):
        x = self.before(x)
        return self.after(torch.cat([self.up(self.below(x)), x], 1))


def test_a_u_net_by_hand():
    rows = {layer.path: layer for layer in fields_of(UNet, "3,64,64").layers}
    assert rows["below.2"].size == (14, 14)  # 5 + 1 by pooling + 2 * 2 * 2
    assert rows["up"].size == (14, 14)
    assert rows["up"].jump == (1, 1)
    # Two units below make one above: 3 units reach over two places below, 5 over three.
    assert rows["after.0"].size == (16, 16)
    assert rows["after.1"].size == (18, 18)
    assert rows["after.1"].status == "upper_bound"


# --- what is exact, bounded, global ---


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return self.function(self.conv(x))


def after(function) -> LayerField:
    return last(lambda: Function(function), "3,16,16")


SEES_EVERYTHING = {
    "global average": lambda y: y.mean((2, 3)),
    "global maximum": lambda y: y.amax((2, 3), keepdim=True),
    "adaptive pooling to one": lambda y: F.adaptive_avg_pool2d(y, 1),
    "squeeze and excitation": lambda y: y * y.mean((2, 3), keepdim=True),
    "softmax over space": lambda y: y.flatten(2).softmax(-1),
    "group norm": lambda y: F.group_norm(y, 2),
    "instance norm": F.instance_norm,
    "layer norm over all": lambda y: F.layer_norm(y, y.shape[1:]),
    "linear over places": lambda y: y.flatten(2) @ torch.ones(256, 5),
    "linear after flatten": lambda y: y.flatten(1) @ torch.ones(1024, 5),
    "attention over places": lambda y: F.scaled_dot_product_attention(*[y.flatten(2).mT] * 3),
    "a gram matrix": lambda y: y.flatten(2) @ y.flatten(2).mT,
    "roll": lambda y: y.roll((1, 1), (2, 3)),
    "sort": lambda y: y.flatten(2).sort(-1).values,
    "running sum": lambda y: y.flatten(2).cumsum(-1),
    "fourier transform": lambda y: torch.fft.fft2(y).real,
    "batch statistics": lambda y: F.batch_norm(y, None, None, training=True),
    "resampling by a grid": lambda y: F.grid_sample(y, torch.zeros(1, 5, 5, 2), align_corners=False),
    "an operator that is not known": torch.linalg.matrix_exp,
    "indexing by a tensor": lambda y: y[:, :, torch.tensor([0, 5])][..., torch.tensor([1, 2])],
}


@pytest.mark.parametrize("function", SEES_EVERYTHING.values(), ids=SEES_EVERYTHING)
def test_global(function):
    field = after(function)
    assert (field.size, field.jump, field.start, field.status) == (None, None, None, "global")


SEES_3 = {
    "pointwise": lambda y: F.gelu(y * 2 + 1) / y,
    "norm over channels": lambda y: F.layer_norm(y.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2),
    "running statistics": lambda y: F.batch_norm(y, torch.zeros(4), torch.ones(4)),
    "response norm": lambda y: F.local_response_norm(y, 3),
    "softmax over channels": lambda y: y.softmax(1),
    "mean over channels": lambda y: y.mean(1, keepdim=True),
    "one linear layer for all places": lambda y: y.flatten(2).mT @ torch.ones(4, 7),
    "einsum": lambda y: torch.einsum("bchw,cd->bdhw", y, torch.ones(4, 5)),
    "gated": lambda y: F.glu(y, 1),
    "channels taken apart and joined": lambda y: torch.cat(y.chunk(2, 1), 1),
    "flatten and back": lambda y: y.flatten(1).reshape(y.shape),
    "repeated": lambda y: y.repeat(1, 3, 1, 1),
    "channel shuffle": lambda y: F.channel_shuffle(y, 2),
    "in place": lambda y: y.relu_().mul_(2),
    "dropped out": F.dropout,
    "its own copy written into": lambda y: torch.empty_like(y).copy_(y),
}


@pytest.mark.parametrize("function", SEES_3.values(), ids=SEES_3)
def test_functions_that_move_or_combine_units_at_one_place_keep_the_field(function):
    field = after(function)
    assert (field.size, field.jump, field.start, field.status) == ((3, 3), (1, 1), (0, 0), "exact")


def test_slices_padding_and_flips_move_the_start():
    rows = {
        "slice": (lambda y: y[:, :, 2:-1], (3, 3), (1, 1), (2, 0)),
        "every second": (lambda y: y[:, :, 1::2], (3, 3), (2, 1), (1, 0)),
        "pad": (lambda y: F.pad(y, (3, 0, 1, 2)), (3, 3), (1, 1), (-1, -3)),
        "reflect": (lambda y: F.pad(y, (3, 3, 1, 1), mode="reflect"), (3, 3), (1, 1), (-1, -3)),
        "flip": (lambda y: y.flip(3), (3, 3), (1, -1), (0, 15)),
        "zeros in front": (lambda y: torch.cat([torch.zeros(1, 4, 2, 16), y], 2), (3, 3), (1, 1), (-2, 0)),
        "space to depth": (lambda y: F.pixel_unshuffle(y, 4).sum(1), (6, 6), (4, 4), (1.5, 1.5)),
        "unfold": (lambda y: F.unfold(y, 3, dilation=2, stride=2).sum(1), (7, 7), (2, 2), (2, 2)),
        "adaptive pooling": (lambda y: F.adaptive_avg_pool2d(y, (4, 8)), (6, 4), (4, 2), (1.5, 0.5)),
        "half by bilinear": (lambda y: F.interpolate(y, scale_factor=0.5, mode="bilinear"), (4, 4), (2, 2), (0.5, 0.5)),
    }
    for name, (function, size, jump, start) in rows.items():
        field = after(function)
        assert (field.size, field.jump, field.start, field.status) == (size, jump, start, "exact"), name


def test_one_row_of_a_map_is_seen_where_it_is():
    field = after(lambda y: y[:, :, 5])
    assert (field.size, field.jump, field.start, field.status) == ((3, 3), (0, 1), (5, 0), "exact")


def test_one_axis_may_be_seen_whole():
    field = after(lambda y: y.mean(3))
    assert (field.size, field.jump, field.start, field.status) == ((3, None), (1, None), (0, None), "global")


def test_a_mean_over_a_part_of_the_map_is_not_global():
    field = after(lambda y: y[:, :, 4:8].mean(2))
    assert (field.size, field.start, field.status) == ((6, 3), (5.5, 0), "exact")


def test_upsampling_is_bounded():
    nearest = after(lambda y: F.interpolate(y, scale_factor=2))
    assert (nearest.size, nearest.jump, nearest.start) == ((3, 3), (0.5, 0.5), (0, 0))
    bilinear = after(lambda y: F.interpolate(y, scale_factor=2, mode="bilinear"))
    assert (bilinear.size, bilinear.start) == ((4, 4), (-0.5, -0.5))
    uneven = after(lambda y: F.adaptive_avg_pool2d(y, 5))  # 16 in 5: windows of 4 and of 5, then 3x3
    assert (uneven.size, uneven.jump) == ((6, 6), (3.2, 3.2))
    assert {nearest.status, bilinear.status, uneven.status} == {"upper_bound"}


def test_down_and_up_again_in_whole_steps_is_exact():
    field = after(lambda y: F.interpolate(y, scale_factor=2)[:, :, ::2, ::2])
    assert (field.size, field.jump, field.status) == ((3, 3), (1, 1), "exact")


def test_branches_that_do_not_keep_step_are_bounded():
    class Uneven(nn.Module):
        def forward(self, x):
            return x[:, :, ::2] + x[:, :, 8:]  # unit i sees pixels 2 * i and 8 + i

    field = last(Uneven, "3,16")
    assert field.status == "upper_bound"
    assert field.size[0] >= 9


def test_half_of_joined_channels_is_bounded():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv1d(2, 2, 5, padding=2)

        def forward(self, x):
            return torch.cat([x, self.wide(x)], 1)[:, :2]  # x itself

    field = last(Half, "2,16")
    assert (field.size, field.status) == ((5,), "upper_bound")


def test_rows_of_another_width_put_below_each_other_are_bounded():
    class Stacked(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(2, 2, (1, 5), padding=(0, 2))

        def forward(self, x):
            return F.avg_pool2d(torch.cat([x, self.wide(x)], 2), (3, 1))  # the upper rows see one column only

    field = last(Stacked, "2,16,16")
    assert (field.size[1], field.status) == (5, "upper_bound")


def test_a_transposed_convolution_may_leave_units_that_see_nothing():
    field = last(lambda: nn.ConvTranspose2d(2, 2, 1, stride=2), "2,16,16")
    assert (field.size, field.jump, field.start, field.status) == ((1, 1), (0.5, 0.5), (0, 0), "upper_bound")


def test_a_running_sum_over_part_of_a_map_is_bounded():
    field = after(lambda y: y[:, :, 4:8].cumsum(2))  # the first of the four sees one row less than all four
    assert (field.size, field.status) == ((6, 3), "upper_bound")


def test_branches_over_the_input_itself_are_exact():
    class Stem(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 2, 5, padding=2)

        def forward(self, x):
            return torch.cat([x, self.conv(x)], 1).sum(1)

    field = last(Stem, "2,16")
    assert (field.size, field.status) == ((5,), "exact")


class Windows(nn.Module):
    """Attention within windows of four."""

    def forward(self, x):
        windows = x.reshape(1, 4, 4, 6)
        scores = (windows @ windows.mT).softmax(-1)
        return (scores @ windows).reshape(1, 16, 6) @ torch.ones(6, 6)


def test_attention_within_windows_sees_its_window():
    fields = fields_of(Windows, "16,6")
    assert fields.axes == (1,)
    assert (fields.layers[-1].size, fields.layers[-1].status) == ((4,), "upper_bound")


# --- which axes are spatial ---


class Chain(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.zeros(6, 6))
        self.kernel = nn.Parameter(torch.zeros(6, 6, 3))

    def forward(self, x):
        return self.function(self, x)


AXES = {
    "convolution": (lambda m, x: F.conv1d(x, m.kernel), "6,20", (2,)),
    "linear": (lambda m, x: x @ m.weight, "20,6", (1,)),
    "convolution of a sequence": (lambda m, x: F.conv1d(x.mT, m.kernel), "20,6", (1,)),
    "features": (lambda m, x: x @ m.weight, "6", ()),
    "rows of an image": (lambda m, x: x.squeeze(1) @ m.weight, "1,20,6", (2,)),
    "mask first": (lambda m, x: torch.ones(20, 20).tril() @ x @ m.weight, "20,6", (1,)),
    "image into a linear layer": (lambda m, x: x.flatten(1) @ m.weight.repeat(2, 1), "3,2,2", (2, 3)),
    "waveform": (lambda m, x: F.conv1d(x[:, None].expand(-1, 6, -1), m.kernel), "40", (1,)),
    "video": (lambda m, x: F.conv2d(x.flatten(0, 1), m.kernel[..., None]), "4,6,8,8", (1, 3, 4)),
    "no sum": (lambda m, x: x.relu(), "3,8,8", (2, 3)),
    "channels last": (lambda m, x: F.conv2d(x.permute(0, 3, 1, 2), m.kernel[..., None]), "8,9,6", (1, 2)),
}


@pytest.mark.parametrize(("function", "shape", "axes"), AXES.values(), ids=AXES)
def test_the_axis_that_is_summed_over_first_is_the_channels(function, shape, axes):
    fields = fields_of(lambda: Chain(function), shape)
    assert fields.axes == axes
    assert fields.input == (0 if axes else None)
    assert fields.layers[-1].status != "undefined" or not axes


def test_tokens_have_one_axis():
    fields = fields_of(lambda: nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 2)), "12:int64")
    assert fields.axes == (1,)
    assert [(layer.size, layer.status) for layer in fields.layers] == [((1,), "exact")] * 2


@pytest.mark.parametrize(("shape", "axes"), [("3,16,16", (1, 2)), ("5,3,16,16", (2, 3))])
def test_whole_shapes_may_have_a_batch_or_none(shape, axes):
    fields = fields_of(lambda: nn.Conv2d(3, 4, 3), shape, batch_size=None)
    assert fields.axes == axes
    assert fields.layers[-1].size == (3, 3)


def test_recurrent_layers_see_all_time():
    for make in (nn.LSTM, nn.GRU, nn.RNN):
        field = last(lambda make=make: make(6, 4, batch_first=True), "9,6")
        assert field.status == "global"


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Linear(8, 4)
        self.image = nn.Conv2d(3, 4, 5)
        self.sound = nn.Conv1d(2, 4, 9)

    def forward(self, features, image, sound):
        mixed = self.image(image) * self.features(features)[:, :, None, None]
        return mixed + self.sound(sound).mean(-1)[:, :, None, None]


def test_the_first_input_with_an_axis_is_looked_at_or_the_one_that_is_asked_for():
    report = traced(TwoInputs, InputSpec((8,)), "3,16,16", "2,50")
    of_image, of_sound = receptive_fields(report), receptive_fields(report, argument=2)
    assert (of_image.input, of_image.axes, of_image.input_sizes) == (1, (2, 3), (16, 16))
    assert (of_sound.input, of_sound.axes, of_sound.input_sizes) == (2, (2,), (50,))
    seen = [{layer.path: (layer.size, layer.status) for layer in fields.layers} for fields in (of_image, of_sound)]
    assert seen[0]["image"] == ((5, 5), "exact")
    assert seen[0]["sound"] == seen[1]["image"] == (None, "undefined")
    assert seen[1]["sound"] == ((9,), "exact")
    assert seen[0]["add"] == ((5, 5), "exact")
    assert seen[1]["add"] == (None, "global")
    assert receptive_fields(report, argument=0).axes == ()


# --- rows ---


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3, padding=1)
        self.drop = nn.Dropout()

    def forward(self, x):
        for _ in range(3):
            x = self.drop(self.conv(x))
        return x


def test_each_call_has_a_row_and_dropout_passes_on():
    layers = fields_of(Shared, "2,30").layers
    assert [(layer.path, layer.size) for layer in layers] == [
        (path, (size,)) for size in (3, 5, 7) for path in ("conv", "drop")
    ]
    assert all(layer.status == "exact" for layer in layers)


def test_a_row_that_may_have_passed_on_several_values_is_bounded():
    class Ambiguous(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 2, 3, padding=1)
            self.drop = nn.Dropout()

        def forward(self, x):
            y = self.conv(x)
            return self.drop(x) + y

    rows = {layer.path: layer for layer in fields_of(Ambiguous, "2,30").layers}
    assert (rows["drop"].size, rows["drop"].status) == ((3,), "upper_bound")
    assert (rows["add"].size, rows["add"].status) == ((3,), "exact")


def test_what_sees_nothing_of_the_input_is_undefined():
    class Positions(nn.Module):
        def forward(self, x):
            return x + torch.arange(20).float()

    rows = {layer.type: layer for layer in fields_of(Positions, "3,20").layers}
    assert rows["arange"].status == "undefined"
    assert (rows["arange"].size, rows["arange"].jump, rows["arange"].start) == (None, None, None)
    assert rows["add"].size == (1,)


def test_depth_sums_a_container_up_as_what_it_puts_out():
    fields = receptive_fields(traced(resnet18, "3,64,64"), depth=1)
    block = next(layer for layer in fields.layers if layer.path == "3")
    assert block.type == "BasicBlock"
    inner = {layer.path: layer for layer in fields_of(resnet18, "3,64,64").layers}
    assert block.size == inner["3.relu_1"].size
    assert receptive_fields(traced(resnet18, "3,64,64"), depth=0).layers[0].status == "global"


def test_rows_are_positions_in_the_report(report):
    for layer in receptive_fields(report).layers:
        row = report.layers[layer.row]
        assert (row.path, row.type, row.output_shapes[0]) == (layer.path, layer.type, layer.output_shape)


def test_the_share_of_the_input():
    def field(size, status="exact"):
        return LayerField(0, "", "", None, size, None, None, status)

    assert share_seen(field((5, 20)), (10, 10)) == 0.5  # no more than all of an axis
    assert share_seen(field((5, None), "global"), (10, 10)) == 0.5
    assert share_seen(field(None, "global"), (10, 10)) == 1
    assert share_seen(field(None, "undefined"), (10, 10)) is None


# --- a reach, by hand ---


def test_units_of_a_period_move_on_together():
    reach = Reach(((0, 1), (0, 3)), 2)
    assert [reach.at(unit) for unit in range(-1, 4)] == [(-2, 1), (0, 1), (0, 3), (2, 3), (2, 5)]
    assert reach.widest() == 4
    assert reach.over(range(3)) == (0, 3)


def test_twice_as_many_units_and_half_of_them_is_nothing():
    once = Reach(((-1, 1),), 1)
    twice = once.through(lambda unit: (unit // 2,), units=2)
    assert twice == Reach(((-1, 1), (-1, 1)), 1)
    assert twice.through(lambda unit: (2 * unit,), moved=2) == once


def test_reaches_that_keep_step_join_exactly_and_others_within_the_map():
    assert Reach(((0, 0),), 2).joined(Reach(((1, 1), (5, 5)), 4), 10) == Reach(((0, 1), (2, 5)), 4)
    bound = Reach(((0, 0),), 1).joined(Reach(((0, 0),), 2), 10)
    assert not bound.tight
    assert all(bound.at(unit)[0] <= unit <= 2 * unit <= bound.at(unit)[1] for unit in range(10))


def test_operators_listed_as_pointwise_lack_torchs_tag():
    def tagged(name):
        packet = getattr(torch.ops.aten, name)
        return any(torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads())

    assert not any(tagged(name) for name in SAME_PLACE.split())


def test_a_pointwise_operator_without_a_rule_sees_what_is_at_its_place():
    class Bessel(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(nn.functional.avg_pool2d(x, 2))

    last = fields_of(Bessel, "3,8,8").layers[-1]
    assert (last.size, last.jump, last.status) == ((2, 2), (2, 2), "exact")


# --- the command ---


def test_the_command_shows_sizes_and_where_it_gets_global(alexnet):
    answer = alexnet("receptive-field")
    assert (answer.code, answer.err) == (0, "")
    assert "195×195 of the input's 227×227 (exact, 73.8 % of it)" in answer.out
    assert "Linear-15 (architecture.14)" in answer.out
    pool = next(line for line in answer.out.splitlines() if line.startswith("MaxPool2d-13"))
    assert "195×195" in pool
    assert "73.8 %" in pool  # (195 / 227) squared


def test_the_json_is_as_agreed(alexnet):
    answer = alexnet("receptive-field", "--json")
    jsonschema.validate(answer.json, json_schema("receptive-field"))
    assert list(answer.json["layers"][0]) == ["row", "path", "type", "output_shape", "size", "jump", "start", "status"]
    assert answer.json["command"] == "receptive-field"
    assert (answer.json["input"], answer.json["axes"]) == (0, [2, 3])
    rows = {layer["path"]: layer for layer in answer.json["layers"]}
    assert rows["architecture.2"] == {
        "row": 4,
        "path": "architecture.2",
        "type": "MaxPool2d",
        "output_shape": [1, 96, 27, 27],
        "size": [19, 19],
        "jump": [8, 8],
        "start": [9, 9],
        "status": "exact",
    }
    assert rows["architecture.14"]["size"] is rows["architecture.14"]["start"] is None


@pytest.fixture
def saved(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    return path


def test_a_saved_report_answers_the_same_without_torch(alexnet, saved):
    fresh = alexnet("receptive-field")
    again = run_without_torch("receptive-field", str(saved))
    assert (again.returncode, again.stdout) == (0, fresh.out)


@pytest.mark.parametrize("form", ["csv", "markdown", "latex", "html", "svg"])
def test_formats(alexnet, saved, form):
    answer = alexnet("receptive-field", str(saved), "--format", form)
    assert answer.code == 0
    assert "195" in answer.out


def test_csv_has_plain_numbers(alexnet, saved):
    lines = alexnet("receptive-field", str(saved), "-f", "csv").out.splitlines()
    assert lines[0] == "layer,path,output_shape,size,jump,start,status,share"
    assert lines[1].startswith("Conv2d-1,architecture.0,1x96x55x55,11x11,4,5,exact,0.0023")
    assert lines[-1] == "log_softmax,log_softmax,1x1000,all,,,global,1.0"


@pytest.mark.parametrize("change", ["no tape", "a checkpoint", "another input"])
def test_unanswerable_questions_are_refused_with_a_hint(report, change):
    asked = {
        "no tape": (replace(report, tape=None), {}),
        "a checkpoint": (replace(report, tape=None, run=None), {}),
        "another input": (report, {"argument": 1}),
    }[change]
    with pytest.raises(UsageError) as raised:
        receptive_fields(asked[0], **asked[1])
    assert raised.value.hint


def test_a_report_without_operators_exits_2(alexnet, tmp_path):
    path = tmp_path / "short.json"
    assert alexnet("summary", "--depth", "1", "--json", "-o", str(path)).code == 0
    answer = alexnet("receptive-field", str(path))
    assert (answer.code, answer.out) == (2, "")
    assert "error: " in answer.err
    assert "hint: " in answer.err


def test_fields_larger_than_the_input_are_pointed_out(alexnet):
    answer = alexnet("receptive-field", f"{FOLDER / 'test_receptive_field.py'}:vgg16", "-i", "3,64,64")
    assert answer.code == 0
    assert "larger than the input" in answer.out
    assert "212×212 of the input's 64×64 (exact, 100.0 % of it)" in answer.out


def test_an_input_without_an_axis_is_said(alexnet):
    answer = alexnet(
        "receptive-field", "torch.nn:Linear", "--arg", "in_features=4", "--arg", "out_features=2", "-i", "4"
    )
    assert answer.code == 0
    assert "no input has a spatial or time axis" in answer.out


def test_the_rows_before_a_failure_are_shown(alexnet):
    answer = alexnet("receptive-field", "-i", "3,224,224", "--json")
    assert answer.code == 4
    assert answer.json["error"]["code"] == "forward_failed"
    assert answer.json["layers"][-1]["size"] == [195, 195]
