"""The geometry of figures: everything on the page, no overlapping labels, text inside its box, no line through one."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from pathlib import Path

import draw_checks
import pytest
from draw_reports import report_of, row
from helpers import trace_target
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alexnet_cli.drawing import scene_of
from alexnet_cli.drawing.plan import plan
from alexnet_cli.drawing.terminal import UNICODE, rails_of
from alexnet_cli.errors import UsageError
from alexnet_cli.graphics.scene import Area, Box, Label, Line, Mark, Polygon, Scene
from alexnet_cli.graphics.text import sans, shorten, text_width, wrap
from alexnet_cli.report import Report
from alexnet_cli.targets.inputs import parse_input

MODELS = Path(__file__).parent / "draw_models.py"
NETWORKS = Path(__file__).parent.parent / "docs" / "networks.py"
TARGETS = {
    "alexnet": ("alexnet", ()),
    "alexnet-paper": ("alexnet-paper", ()),
    "alexnet-owt": ("alexnet-owt", ()),
    "caffenet": ("caffenet", ()),
    "mlp": (f"{MODELS}:mlp", ("1,28,28",)),
    "resnet": (f"{NETWORKS}:ResNet", ("3,224,224",)),
    "unet": (f"{NETWORKS}:UNet", ("3,224,224",)),
    "encoder": (f"{NETWORKS}:Encoder", ("128:int64",)),
    "torch encoder": (f"{MODELS}:torch_encoder", ("128,256",)),
    "alike": (f"{MODELS}:alike", ("16",)),
    "unlike": (f"{MODELS}:unlike", ("8",)),
    "inception": (f"{MODELS}:Inception", ("3,32,32",)),
    "two inputs": (f"{MODELS}:TwoInputs", ("32", "32")),
    "dense": (f"{MODELS}:Dense", ("8,16,16",)),
    "odd names": (f"{MODELS}:OddNames", ("4",)),
    "nothing": (f"{MODELS}:Nothing", ("4",)),
}


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {}


@pytest.fixture(params=TARGETS)
def report(request, reports) -> Report:
    if request.param not in reports:
        target, inputs = TARGETS[request.param]
        reports[request.param] = trace_target(target, inputs=tuple(map(parse_input, inputs)) or None)
    return reports[request.param]


@pytest.mark.parametrize("width", ["page", "slide", 320])
@pytest.mark.parametrize("style", ["auto", "graph", "bars"])
def test_every_figure_passes_all_geometry_checks(report, style, width):
    if style == "bars" and report.model.class_name == "Nothing":
        with pytest.raises(UsageError, match="no bars"):
            plan(report, style)
        return
    scene = scene_of(plan(report, style), width)
    draw_checks.check(scene)
    assert len(draw_checks.labels_of(scene.marks)) > 3
    assert any(mark.role == "layer" for mark in scene.marks)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_graphs_at_every_depth_pass_all_geometry_checks(report, depth):
    draw_checks.check(scene_of(plan(report, "graph", depth), "page"))


def test_figures_have_the_requested_width_and_slides_larger_text(report):
    page, slide = (scene_of(plan(report, "graph"), width) for width in ("page", "slide"))
    assert page.shown_width == 680
    assert slide.shown_width == 1280
    assert slide.em > page.em


def test_two_thousand_layers_are_drawn_as_few_boxes(reports):
    for name in ("alike", "unlike"):
        target, inputs = TARGETS[name]
        found = reports.get(name) or trace_target(target, inputs=tuple(map(parse_input, inputs)))
        assert found.totals.layers == 2000
        for style in ("auto", "graph", "bars"):
            scene = scene_of(plan(found, style), "page")
            assert len([mark for mark in scene.marks if mark.role == "layer"]) <= 62


# The blocks of AlexNet


def front(mark: Mark) -> Area:
    return next(item for item in mark.items if isinstance(item, Polygon) and item.look == "front").area()


@pytest.fixture(scope="module")
def alexnet_blocks() -> tuple[Scene, list[Mark], list[str]]:
    drawn = plan(trace_target())
    assert drawn.style == "blocks"
    scene = scene_of(drawn, "page")
    marks = [mark for mark in scene.marks if mark.role == "layer"]
    return scene, marks, [block.size for _, block in drawn.blocks]


def test_blocks_run_from_left_to_right_without_touching(alexnet_blocks):
    _, marks, _ = alexnet_blocks
    fronts = [front(mark) for mark in marks]
    assert len(fronts) == 12  # the input, five convolutions, three poolings, three linear layers
    assert all(a.right < b.left for a, b in pairwise(fronts))


def test_sides_channels_and_features_are_drawn_as_square_roots(alexnet_blocks):
    _, marks, sizes = alexnet_blocks
    sides = [227, 55, 27, 27, 13, 13, 13, 13, 6]
    channels = [3, 96, 96, 256, 256, 384, 384, 256, 256]
    assert sizes == [f"{side}×{side}" for side in sides] + ["4096", "4096", "1000"]
    fronts = [front(mark) for mark in marks]
    for place, side in zip(fronts, sides, strict=False):
        assert place.height / fronts[0].height == pytest.approx(sqrt(side / 227))
    for place, count in list(zip(fronts, channels, strict=False))[1:]:
        assert place.width / fronts[1].width == pytest.approx(sqrt(count / 96))
    assert fronts[-1].height / fronts[-2].height == pytest.approx(sqrt(1000 / 4096))


def test_windows_have_the_scale_of_the_map_they_slide_over(alexnet_blocks):
    _, marks, _ = alexnet_blocks
    kernels = [11, 3, 5, 3, 3, 3, 3, 3]  # of what reads each map
    for mark, kernel, side in zip(marks, kernels, [227, 55, 27, 27, 13, 13, 13, 13], strict=False):
        window = next(item for item in mark.items if isinstance(item, Polygon) and item.look == "window")
        (_, top), _, _, (_, bottom) = window.points  # its left edge is upright
        assert (bottom - top) / front(mark).height == pytest.approx(sqrt(kernel / side))
        rays = [item for item in mark.items if isinstance(item, Line) and item.look == "ray"]
        assert {ray.points[0] for ray in rays} == set(window.points)
        following = front(marks[marks.index(mark) + 1])
        assert {ray.points[1][0] for ray in rays} == {following.left}


def test_depth_goes_to_the_upper_right_at_half_length(alexnet_blocks):
    _, marks, _ = alexnet_blocks
    side = next(item for item in marks[0].items if isinstance(item, Polygon) and item.look == "side")
    (x0, y0), (x1, y1) = side.points[:2]
    assert x1 - x0 == pytest.approx(y0 - y1)
    assert sqrt(2) * (x1 - x0) == pytest.approx(front(marks[0]).height / 2, rel=0.02)  # 0.35 for half of the root of 2


# Any graph


@st.composite
def graphs(draw) -> Report:
    """Draw rows that each read up to three earlier values."""
    count, inputs = draw(st.integers(1, 24)), draw(st.integers(1, 3))
    rows, reads = [], []
    for number in range(count):
        function = draw(st.booleans())
        name = "layer" * draw(st.integers(1, 5)) + str(number)
        known = inputs + number
        nearest = max(0, known - draw(st.sampled_from([1, 2, 5, 30])))
        rows.append(
            row(name, "add" if function else "Linear", "other" if function else "linear", function=function, params=1)
        )
        reads.append(draw(st.lists(st.integers(nearest, known - 1), min_size=1, max_size=3, unique=True)))
    return report_of(rows, reads, inputs)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.sampled_from(["page", "slide", 400]))
def test_random_graphs_pass_all_geometry_checks(report, width):
    draw_checks.check(scene_of(plan(report, "graph"), width))


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_rails_connect_the_same_nodes_as_the_edges(report):
    """Following the rails from each node reaches exactly its readers."""
    drawn = plan(report, "graph")
    rails = rails_of(len(drawn.nodes), drawn.edges, UNICODE)
    assert reached(rails) == set(drawn.edges)


def reached(rails) -> set[tuple[int, int]]:
    """Read the edges back from the characters."""
    found, carried = set(), {}
    for node, rail in enumerate(rails):
        own = rail.at.index("●") // 2
        arriving = {column for column, _ in joints(rail.above[0], own)} if rail.above else {own} & carried.keys()
        for column in arriving & carried.keys():
            found.update((source, node) for source in carried[column])
        if rail.above:
            for column, char in joints(rail.above[0], own):
                if char in "╰╯┴":
                    del carried[column]
        elif own in carried:
            del carried[own]
        carried.pop(own, None)
        after = rails[node + 1].before if node + 1 < len(rails) else ""
        if after[2 * own : 2 * own + 1] == "│":
            carried[own] = {node}
        if rail.below:
            (column,) = [column for column, _ in joints(rail.below[0], own) if column != own]
            carried[column] = {node}
    return found


def joints(line: str, own: int) -> list[tuple[int, str]]:
    """Return the columns where a line meets a rail."""
    return [(place // 2, char) for place, char in enumerate(line) if place % 2 == 0 and char not in "│─ "]


# The measures and the checks themselves


def test_bold_text_is_wider_and_wide_characters_exceed_one_em():
    assert text_width("Conv2d", 10, bold=True) > text_width("Conv2d", 10)
    assert text_width("합", 10) > 10
    assert text_width("", 10) == 0


@given(st.text(max_size=60), st.floats(12, 300))
def test_shortened_text_fits_and_keeps_both_ends(text, room):
    shown = shorten(text, room, measure=sans(10))
    assert text_width(shown, 10) <= room
    if shown != text:
        before, after = shown.split("…")[0], shown.split("…")[-1]
        assert text.startswith(before)
        assert text.endswith(after)


@given(st.lists(st.text("abcW", min_size=1, max_size=9), min_size=1), st.floats(60, 300))
def test_wrapped_text_keeps_all_words_in_lines_that_fit(words, room):
    lines = wrap(" ".join(words), room, sans(5))
    assert " ".join(lines) == " ".join(words)
    assert all(text_width(line, 5) <= room for line in lines)


def bad_scenes() -> dict[str, Scene]:
    """Return a correct small figure, and one for each possible fault."""
    box = Box(10, 10, 40, 20, "node")
    node = Mark((box, Label(15, 24, "ab", 10)))
    other = Mark((Box(10, 60, 40, 20, "node"), Label(15, 74, "cd", 10)))
    edge = Mark((Line(((30, 30), (30, 60)), arrow=True),), "edge")
    good = Scene(100, 100, 100, "", "", (node, other, edge), 10)

    def with_marks(*marks: Mark) -> Scene:
        return replace(good, marks=marks)

    return {
        "": good,
        "nothing_outside": with_marks(node.moved(60, 0)),
        "labels_are_disjoint": with_marks(node, other, Mark((Label(16, 24, "x", 10),), "text")),
        "text_is_in_its_box": with_marks(Mark((box, Label(15, 24, "a long text", 10)))),
        "boxes_are_disjoint": with_marks(node, other.moved(5, -45)),
        "lines_pass_no_box": with_marks(node, other, Mark((Line(((30, 5), (30, 60))),), "edge")),
        "lines_are_tied": with_marks(node, other, Mark((Line(((30, 30), (30, 50))),), "edge")),
    }


@pytest.mark.parametrize("what", bad_scenes())
def test_each_geometry_check_can_fail(what):
    scene = bad_scenes()[what]
    if not what:
        draw_checks.check(scene)
        return
    with pytest.raises(AssertionError):
        getattr(draw_checks, what)(scene)
