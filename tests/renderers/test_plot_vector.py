"""The vector pictures of plots, read back as XML: places are checked against the grid lines of the numbers they are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

import plots
import pytest

from alexnet_cli.document import Axis, Document, Mark, Plot, Series
from alexnet_cli.graphics.palette import DARK, LIGHT
from alexnet_cli.graphics.plot_svg import draw
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import render

WIDTH = 800
SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """A drawn plot: its frame, its ticks, and its elements by class."""

    def __init__(self, plot: Plot, width: float = WIDTH, *, unicode: bool = True) -> None:
        drawing = draw(plot, width, Style(unicode=unicode))
        self.width, self.height = width, drawing.height
        self.root = ET.fromstring(f"<g>{''.join(drawing.elements)}</g>")
        self.texts = [(float(e.get("x")), float(e.get("y")), e.text, e.get("class")) for e in self.root.iter("text")]
        upright, level = (numbers(axis) for axis in self.of("axis"))
        self.left, self.top, _, self.foot = upright
        self.right = level[2]

    def of(self, name: str) -> list[ET.Element]:
        return [element for element in self.root.iter() if element.get("class") == name]

    def x_of(self, label: str) -> float:
        """Where the tick of this label stands on the x axis."""
        (place,) = {x for x, y, text, kind in self.texts if text == label and kind == "d" and y > self.foot}
        return place

    def y_of(self, label: str) -> float:
        """Where the tick of this label stands on the y axis: its text is 4 pixels lower."""
        (place,) = {y - 4 for x, y, text, kind in self.texts if text == label and kind == "d" and x < self.left}
        return place

    def markers(self) -> list[tuple[float, float, str, str]]:
        """Place, colour and hidden text of each point."""
        found = []
        for element in self.of("point"):
            x, y = map(float, re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", element.get("transform")).groups())
            if x > self.left and y < self.foot:
                found.append((x, y, element.get("fill"), element.findtext("title")))
        return found


def numbers(path: ET.Element) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", path.get("d"))]


def corners(path: ET.Element) -> list[tuple[float, float]]:
    """The corners of a path of M, H and V."""
    x = y = 0.0
    found = []
    for command, first, second in re.findall(r"([MHV])([-\d.]+)(?: ([-\d.]+))?", path.get("d")):
        x = float(first) if command in "MH" else x
        y = float(second) if command == "M" else float(first) if command == "V" else y
        found.append((x, y))
    return found


def same(places: Iterable[tuple[float, float]], expected: Iterable[tuple[float, float]]) -> bool:
    """Tell whether two sets of places are one but for what is lost by writing hundredths of pixels."""
    first, second = set(places), set(expected)
    near = all(any(math.dist(place, other) < 0.05 for other in second) for place in first)
    return near and all(any(math.dist(place, other) < 0.05 for other in first) for place in second)


def test_points_of_a_roofline_match_the_ticks():
    picture = Picture(plots.ROOFLINE)
    ten, tera = picture.x_of("10"), picture.y_of("1 T")
    here = [(fill, title) for x, y, fill, title in picture.markers() if (x, y) == pytest.approx((ten, tera), abs=0.02)]
    assert here == [
        ("#1f83c9", "conv (2)\nconv2, conv3\n10 FLOP/byte, 1.00 TFLOP/s"),
        ("#d55e00", "linear\nfc7\n10 FLOP/byte, 1.00 TFLOP/s"),
    ]
    assert len(picture.markers()) == 4
    hundred = picture.x_of("100")
    (conv1,) = [y for x, y, _, title in picture.markers() if title.startswith("conv\nconv1")]
    decade = picture.y_of("1 T") - picture.y_of("10 T")
    assert conv1 == pytest.approx(tera - decade * math.log10(8), abs=0.05)
    assert hundred - ten == pytest.approx((picture.right - picture.left) / (4 * 1.08), abs=0.05)


def test_a_line_goes_through_its_points():
    picture = Picture(plots.ROOFLINE)
    roof = next(element for element in picture.of("line") if element.findtext("title") == "roof")
    expected = [("0.1", "100 G"), ("10", "10 T"), ("1 k", "10 T")]
    assert numbers(roof) == pytest.approx(
        [n for x, y in expected for n in (picture.x_of(x), picture.y_of(y))], abs=0.02
    )
    assert roof.get("stroke") == "#808080"


def test_stacked_areas_reach_their_totals_in_steps():
    """Four places share the frame; 50 MiB and 75 MiB are 50/109 and 75/109 of its height."""
    picture = Picture(plots.SHORT)
    weights, saved = picture.of("area")
    step = (picture.right - picture.left) / 4
    high = picture.foot - picture.top
    level = {mib: picture.foot - high * mib / 109 for mib in (50, 75, 100)}
    outline = {(x, y) for x in (picture.left, picture.right) for y in (picture.foot, level[50])}
    assert same(corners(weights), outline)
    start, middle, end = (picture.left + step * place for place in (1, 2, 3))
    reached = {(start, level[50]), (start, level[100]), (middle, level[100]), (middle, level[75]), (end, level[75])}
    assert same(corners(saved), {*reached, (middle, level[50]), (end, level[50])})
    assert [area.get("fill") for area in (weights, saved)] == ["#d55e00", "#3a8ca3"]


def test_a_total_at_a_tick_meets_its_grid_line():
    plot = plots.timeline([64 * plots.MIB, 32 * plots.MIB], [0, 64 * plots.MIB])
    picture = Picture(plot)
    tops = {round(min(y for _, y in corners(area)), 1) for area in picture.of("area")}
    assert tops == {round(picture.y_of("64 MiB"), 1), round(picture.y_of("96 MiB"), 1)}


def test_the_peak_of_many_places_is_drawn_and_marked():
    picture = Picture(plots.LONG)
    _, saved = picture.of("area")
    places = corners(saved)
    left, right = min(x for x, _ in places), max(x for x, _ in places)
    expected = picture.left + (plots.SPIKE + 0.5) / 5000 * (picture.right - picture.left)
    assert left <= expected <= right
    assert right - left <= 2 * 1.6
    assert min(y for _, y in places) == pytest.approx(picture.foot - (picture.foot - picture.top) * 100 / 109, abs=0.02)
    (ring,) = picture.of("ring")
    assert float(ring.get("cx")) == pytest.approx(expected, abs=0.02)
    assert float(ring.get("cy")) == pytest.approx(min(y for _, y in places), abs=0.02)
    assert [text for _, _, text, kind in picture.texts if kind == "said"] == ["peak"]
    assert any(text.endswith("columns: each column shows the highest") for _, _, text, _ in picture.texts)


def test_a_stack_has_a_tooltip_with_each_area():
    told = [element.findtext("title") for element in Picture(plots.SHORT).of("pointed")]
    assert told[1] == "operator 1\nop1\n100.00 MiB\nweights: 50.00 MiB\nsaved: 50.00 MiB"
    assert told[3] == "operator 3\nop3\n50.00 MiB\nweights: 50.00 MiB"


def reach(element: ET.Element) -> float:
    """How far a marker's first corner is from its middle."""
    return max(map(abs, numbers(element.find("path"))[:2]))


def test_points_that_coincide_stay_visible():
    """Each series below another is drawn 3 pixels wider than it is alone, where it has a radius of 4."""
    families = ("conv", "linear", "norm")
    together = Picture(plots.single(*(Series(name, ((1.0, 1.0),), name) for name in families)))
    apart = Picture(plots.single(*(Series(name, ((float(i), 1.0),), name) for i, name in enumerate(families))))
    here, alone = ([e for e in picture.of("point") if e.findtext("title")] for picture in (together, apart))
    assert len({element.get("transform") for element in here}) == 1
    wider = [reach(first) / reach(second) for first, second in zip(here, alone, strict=True)]
    assert wider == pytest.approx([10 / 4, 7 / 4, 1])


def test_a_tooltip_lists_six_names_and_counts_the_rest():
    names = tuple(f"layer{i}" for i in range(9))
    (point,) = Picture(plots.single(Series("a", ((1.0, 1.0),) * 9, names=names))).markers()
    assert point[3] == "a (9)\nlayer0, layer1, layer2, layer3, layer4, layer5 and 3 more\n1, 1"


def test_areas_of_one_colour_fade():
    areas = [Series(name, ((0.0, 1.0),), "conv", "area") for name in "abc"]
    assert [area.get("fill-opacity") for area in Picture(plots.single(*areas)).of("area")] == [None, "0.6", "0.35"]


def test_labels_of_marks_stay_in_the_frame():
    marks = tuple(Mark(x, 1.0, "a label of some length " * words) for x in (0.0, 50.0, 100.0) for words in (1, 20))
    picture = Picture(plots.single(Series("a", ((0.0, 0.0), (100.0, 2.0))), marks=marks))
    said = [element for element in picture.root.iter("text") if element.get("class") == "said"]
    assert len(said) == len(picture.of("ring")) == 6
    for element in said:
        x, wide = float(element.get("x")), 7.3 * len(element.text)
        start = x - wide if element.get("text-anchor") == "end" else x
        assert picture.left <= start
        assert start + wide <= picture.right + 0.1


@pytest.mark.parametrize("name", [*plots.AWKWARD, "hostile"])
@pytest.mark.parametrize("width", [504, 800])
def test_marks_points_and_areas_stay_in_the_frame(name, width):
    plot = plots.hostile() if name == "hostile" else plots.AWKWARD[name]
    if name in ("no series", "empty series", "nothing finite", "zero area on a log axis"):
        drawing = draw(plot, width, Style())
        assert "no points" in drawing.elements[0]
        return
    picture = Picture(plot, width)
    box = (picture.left - 0.01, picture.right + 0.01, picture.top - 0.01, picture.foot + 0.01)
    places = [(x, y) for x, y, _, _ in picture.markers()]
    places += [corner for area in picture.of("area") for corner in corners(area)]
    places += [(float(ring.get("cx")), float(ring.get("cy"))) for ring in picture.of("ring")]
    assert all(box[0] <= x <= box[1] and box[2] <= y <= box[3] for x, y in places)
    assert all(0 <= x <= width and 0 < y < picture.height for x, y, _, _ in picture.texts)
    assert picture.right <= width


@pytest.mark.parametrize("plot", [plots.ROOFLINE, plots.LONG, plots.timeline([1.0] * 1000, [0.0] * 1000)])
def test_labels_at_the_ends_of_an_axis_stay_in_the_picture(plot):
    """The last plot is moved by half a place, so that its axis ends at 1,000, which is labelled."""
    if len(plot.series[0].points) == 1000:
        moved = [Series(s.label, tuple((x + 0.5, y) for x, y in s.points), s.family, s.kind) for s in plot.series]
        plot = Plot(plot.name, plot.x, plot.y, tuple(moved))
        assert "1,000" in {text for _, _, text, _ in Picture(plot).texts}
    for element in Picture(plot).root.iterfind("text"):
        wide = 7.3 * len(element.text)
        left = float(element.get("x")) - wide * {"middle": 0.5, "end": 1}.get(element.get("text-anchor"), 0)
        assert left >= -0.1
        assert left + wide <= WIDTH + 0.1


def svg(document: Document, width: int | None = None, *, unicode: bool = True) -> str:
    return render(document, "svg", Style(width, unicode=unicode))


@pytest.mark.parametrize("name", plots.DOCUMENTS)
def test_svg_pages_are_xml_that_stands_alone(name):
    text = svg(plots.DOCUMENTS[name])
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert text == svg(plots.DOCUMENTS[name])
    assert svg(plots.DOCUMENTS[name], 60, unicode=False).isascii()
    drawn = {element.tag for element in root.iter()}
    assert drawn <= {SVG + tag for tag in ("svg", "title", "style", "rect", "text", "g", "path", "circle")}


def test_svg_pages_place_plots_between_text_lines():
    root = ET.fromstring(svg(Document("T", (plots.ROOFLINE, plots.SHORT))))
    places = [
        float(re.search(r" ([\d.]+)\)", g.get("transform"))[1])
        for g in root.iter(f"{SVG}g")
        if g.get("class") == "plot"
    ]
    first, second = (draw(plot, 90 * 8.4, Style()).height for plot in (plots.ROOFLINE, plots.SHORT))
    titles = {e.text: float(e.get("y")) for e in root.iter(f"{SVG}text") if e.text in ("Roofline", "Live\xa0memory")}
    assert titles["Roofline"] < places[0] < places[0] + first < titles["Live\xa0memory"] < places[1]
    assert places[1] + second <= float(root.get("height"))


def test_svg_plots_follow_light_and_dark_pages():
    text = svg(plots.DOCUMENTS["roofline"])
    identity = re.search(r'id="(alexnet-\w+)"', text)[1]
    light, dark = text.rsplit("@media (prefers-color-scheme: dark)", 1)
    assert f"#{identity} .plot .grid {{ stroke: {LIGHT.faint}; }}" in light
    assert f"#{identity} .plot .grid {{ stroke: {DARK.faint}; }}" in dark
    assert f"#{identity} .plot text {{ fill: #e6edf3;" in dark


def test_svg_pages_are_as_wide_as_asked():
    def width(columns: int | None) -> float:
        return float(ET.fromstring(svg(plots.DOCUMENTS["short"], columns)).get("width"))

    assert width(None) == pytest.approx(90 * 8.4 + 40)
    assert width(60) == width(10) == pytest.approx(60 * 8.4 + 40)
    assert width(75) == pytest.approx(75 * 8.4 + 40)


def test_axes_without_labels_have_only_numbers():
    picture = Picture(plots.AWKWARD["no labels"])
    assert [text for _, _, text, kind in picture.texts if kind != "d"] == [" (1)"]
    rate = Picture(Plot("p", Axis("", "intensity"), Axis(""), plots.AWKWARD["no labels"].series))
    assert [text for _, _, text, kind in rate.texts if kind != "d"] == ["FLOP/byte", " (1)"]
