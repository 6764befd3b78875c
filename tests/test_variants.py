"""The variants: parameters and MACs derived from their layers, and what they compute."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import NamedTuple

import pytest
import torch
from helpers import trace_target
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

from alexnet_cli.models.alexnet_owt import AlexNetOwt
from alexnet_cli.models.alexnet_paper import AlexNetPaper
from alexnet_cli.models.caffenet import CaffeNet
from alexnet_cli.models.catalogue import variants


class Conv(NamedTuple):
    """A convolution; `side` is that of its output map."""

    into: int
    out: int
    kernel: int
    side: int
    groups: int = 1

    @property
    def params(self):
        return self.out * (self.into // self.groups * self.kernel**2 + 1)

    @property
    def macs(self):
        return self.out * self.side**2 * (self.into // self.groups) * self.kernel**2


def linear(*sizes):
    return list(pairwise(sizes))


TWO_TOWERS = (
    Conv(3, 96, 11, 55),
    Conv(96, 256, 5, 27, groups=2),
    Conv(256, 384, 3, 13),
    Conv(384, 384, 3, 13, groups=2),
    Conv(384, 256, 3, 13, groups=2),
)
CONVOLUTIONS = {
    "alexnet": tuple(conv._replace(groups=1) for conv in TWO_TOWERS),
    "alexnet-paper": TWO_TOWERS,
    "alexnet-owt": (
        Conv(3, 64, 11, 55),
        Conv(64, 192, 5, 27),
        Conv(192, 384, 3, 13),
        Conv(384, 256, 3, 13),
        Conv(256, 256, 3, 13),
    ),
    "caffenet": TWO_TOWERS,
}
LINEARS = linear(256 * 6 * 6, 4096, 4096, 1000)
STATED = {  # parameters, of these in convolutions, MACs: as published
    "alexnet": (62_378_344, 3_747_200, 1_135_256_096),
    "alexnet-paper": (60_965_224, 2_334_080, 724_406_816),
    "alexnet-owt": (61_100_840, 2_469_696, 714_188_480),
    "caffenet": (60_965_224, 2_334_080, 724_406_816),
}
TORCHVISION = [  # `torchvision.models.alexnet().state_dict()`
    ("features.0.weight", (64, 3, 11, 11)),
    ("features.0.bias", (64,)),
    ("features.3.weight", (192, 64, 5, 5)),
    ("features.3.bias", (192,)),
    ("features.6.weight", (384, 192, 3, 3)),
    ("features.6.bias", (384,)),
    ("features.8.weight", (256, 384, 3, 3)),
    ("features.8.bias", (256,)),
    ("features.10.weight", (256, 256, 3, 3)),
    ("features.10.bias", (256,)),
    ("classifier.1.weight", (4096, 9216)),
    ("classifier.1.bias", (4096,)),
    ("classifier.4.weight", (4096, 4096)),
    ("classifier.4.bias", (4096,)),
    ("classifier.6.weight", (1000, 4096)),
    ("classifier.6.bias", (1000,)),
]


def test_every_variant_is_derived_here():
    assert set(variants()) >= set(STATED) == set(CONVOLUTIONS)


@pytest.mark.parametrize("name", STATED)
def test_parameters_and_macs_follow_from_the_layers(name):
    convolutions = CONVOLUTIONS[name]
    linears = [(out * (into + 1), out * into) for into, out in LINEARS]
    params = sum(conv.params for conv in convolutions) + sum(params for params, _ in linears)
    macs = sum(conv.macs for conv in convolutions) + sum(macs for _, macs in linears)
    assert (params, sum(conv.params for conv in convolutions), macs) == STATED[name]
    assert (variants()[name].params, variants()[name].macs) == (params, macs)

    report = trace_target(name)
    rows = [row for row in report.layers if row.family in ("conv", "linear")]
    assert [(row.params, row.macs) for row in rows] == [(conv.params, conv.macs) for conv in convolutions] + linears
    assert [row.settings["groups"] for row in rows[:5]] == [conv.groups for conv in convolutions]
    assert (report.totals.params, report.totals.macs) == (params, macs)
    assert report.totals.uncounted_ops == ()
    assert report.layers[0].output_shapes == ((1, 1000),)


@pytest.mark.parametrize(("name", "side"), [("alexnet-paper", 27), ("caffenet", 13)])
def test_what_stands_before_the_pooling(name, side):
    rows = trace_target(name).layers
    order = [row.path for row in rows if row.path.startswith(("norm", "pool"))]
    paper = ["norm1", "pool1", "norm2", "pool2", "pool5"]
    assert order == (paper if name == "alexnet-paper" else ["pool1", "norm1", "pool2", "norm2", "pool5"])
    second = next(row for row in rows if row.path == "norm2")
    assert second.output_shapes == ((1, 256, side, side),)


@pytest.mark.parametrize("name", ["alexnet-paper", "caffenet"])
def test_dropout_follows_the_two_hidden_linear_layers(name):
    paths = [row.path for row in trace_target(name).layers if row.leaf]
    for number in (6, 7):
        place = paths.index(f"fc{number}")
        assert paths[place : place + 3] == [f"fc{number}", f"relu{number}", f"drop{number}"]


def test_the_number_of_classes_is_an_argument(alexnet):
    for name, (params, _, macs) in STATED.items():
        totals = alexnet("summary", name, "--arg", "num_classes=10", "--json").json["totals"]
        assert totals["params"] == params - 990 * (4096 + 1)
        assert totals["macs"] == macs - 990 * 4096


def test_alexnet_owt_has_torchvisions_keys_and_shapes():
    with torch.device("meta"):
        state = AlexNetOwt().state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == TORCHVISION


def test_alexnet_owt_loads_such_a_state_dict_strictly():
    state = {key: torch.empty(shape, device="meta") for key, shape in TORCHVISION}
    with torch.device("meta"):
        AlexNetOwt().load_state_dict(state, strict=True, assign=True)


def test_alexnet_owt_takes_images_from_63_on():
    for side in (63, 224, 300):
        assert trace_target("alexnet-owt", inputs=(_size(side),)).run.complete
    failed = trace_target("alexnet-owt", inputs=(_size(62),)).error
    assert failed is not None
    assert failed.path == "features.12"


def test_groups_are_two_towers_that_meet_in_the_third_convolution():
    """The network computed again as two half-width towers, each on its own maps, from the same weights.

    The towers add up the same products, only in other calls, so what differs is the order of float64 sums of at
    most 9216 terms: relative errors near 9216 · 2⁻⁵³ ≈ 1e-12. Two orders of magnitude above that is allowed.
    """
    torch.manual_seed(0)
    net = AlexNetPaper(num_classes=20).double().eval()
    images = torch.rand(2, 3, 227, 227, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(net(images), _two_towers(net, images), rtol=1e-10, atol=1e-12)


def test_a_tower_sees_only_its_own_half_of_the_maps():
    net = AlexNetPaper(num_classes=2)
    for name, touched in (("conv2", 128), ("conv3", 384), ("conv4", 192), ("conv5", 128)):
        conv = net.get_submodule(name)
        maps = torch.zeros(1, conv.in_channels, 5, 5)
        changed = maps.clone()
        changed[:, 0] = 1.0  # the first map lies in the first tower
        with torch.no_grad():
            differs = (conv(maps) != conv(changed)).flatten(2).any(dim=2)[0]
        assert not differs[touched:].any(), name
        assert differs[:touched].all(), name


def _two_towers(net, images):
    weights = dict(net.named_parameters())
    norm, pool = net.norm1, net.pool1

    def conv(name, maps, half, **options):
        """One tower's half of the kernels."""
        return F.conv2d(
            maps, weights[f"{name}.weight"].chunk(2)[half], weights[f"{name}.bias"].chunk(2)[half], **options
        )

    towers = [F.relu(conv("conv1", images, half, stride=4)) for half in (0, 1)]
    towers = _normalised_together(towers, norm, pool)
    towers = [F.relu(conv("conv2", maps, half, padding=2)) for half, maps in enumerate(towers)]
    both = torch.cat(_normalised_together(towers, norm, pool), dim=1)
    towers = [F.relu(conv("conv3", both, half, padding=1)) for half in (0, 1)]
    towers = [F.relu(conv("conv4", maps, half, padding=1)) for half, maps in enumerate(towers)]
    towers = [pool(F.relu(conv("conv5", maps, half, padding=1))) for half, maps in enumerate(towers)]
    hidden = torch.cat(towers, dim=1).flatten(1)
    for name in ("fc6", "fc7"):
        hidden = F.relu(F.linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]))
    return F.log_softmax(F.linear(hidden, weights["fc8.weight"], weights["fc8.bias"]), dim=1)


def _normalised_together(towers, norm, pool):
    """Norms look at neighbouring maps, across the towers' border too."""
    return pool(norm(torch.cat(towers, dim=1))).chunk(2, dim=1)


@pytest.mark.parametrize(
    ("norm", "k", "alpha"),
    [(AlexNetPaper, 2.0, 1e-4), (CaffeNet, 1.0, 1e-4 / 5)],  # the paper multiplies the sum, Caffe the mean
)
def test_response_normalisation_is_that_of_its_source(norm, k, alpha):
    with torch.device("meta"):
        layer = norm().norm1
    torch.manual_seed(0)
    maps = 100 * torch.rand(1, 8, 2, 2, dtype=torch.float64)  # large enough for alpha to matter
    expected = torch.empty_like(maps)
    for i in range(8):
        neighbours = maps[:, max(0, i - 2) : min(8, i + 3)]  # n = 5 maps around i, fewer at the ends
        expected[:, i] = maps[:, i] / (k + alpha * neighbours.pow(2).sum(dim=1)) ** 0.75
    assert torch.allclose(layer(maps), expected, rtol=1e-12)


def test_all_but_the_owt_network_give_log_probabilities():
    torch.manual_seed(0)
    for cls in (AlexNetPaper, CaffeNet):
        with torch.no_grad():
            out = cls(num_classes=7).eval()(torch.rand(2, 3, 227, 227))
        assert torch.allclose(out.exp().sum(dim=1), torch.ones(2))
    with torch.no_grad():
        scores = AlexNetOwt(num_classes=7).eval()(torch.rand(2, 3, 63, 63))
    assert scores.shape == (2, 7)
    assert prod(scores.exp().sum(dim=1).tolist()) != 1.0


def _size(side):
    from alexnet_cli.targets.inputs import InputSpec

    return InputSpec((3, side, side))
