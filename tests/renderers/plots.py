"""Plots made by hand: a roofline, a timeline of memory, and plots that try to break a renderer."""

from __future__ import annotations

from documents import HOSTILE_NAMES

from alexnet_cli.document import Axis, Document, Mark, Note, Plot, Series

MIB = 2**20
INF, NAN = float("inf"), float("nan")
INTENSITY = Axis("arithmetic intensity", "intensity", log=True)
PERFORMANCE = Axis("performance", "flops_per_s", log=True)
OPERATORS, LIVE = Axis("operator"), Axis("live memory", "bytes")

BANDWIDTH, PEAK = 1e12, 1e13
ROOFLINE = Plot(
    "roofline",
    INTENSITY,
    PERFORMANCE,
    (
        Series("roof", ((0.1, 0.1 * BANDWIDTH), (PEAK / BANDWIDTH, PEAK), (1000.0, PEAK)), "other", "line"),
        Series("conv", ((100.0, 8e12), (10.0, 1e12), (10.0, 1e12)), "conv", names=("conv1", "conv2", "conv3")),
        Series("linear", ((1.0, 3e11), (10.0, 1e12)), "linear", names=("fc6", "fc7")),
    ),
    "Roofline",
    (Mark(PEAK / BANDWIDTH, PEAK, "ridge point"),),
)
"""On a log axis: x from 0.1 to 1,000, y from 1e11 to 1e13; a point of each family lies on (10, 1e12)."""


def timeline(weights: list[float], saved: list[float]) -> Plot:
    """Two areas over operators 0, 1, 2, …, the first highest place marked."""
    totals = [sum(pair) for pair in zip(weights, saved, strict=True)]
    at = totals.index(max(totals))
    return Plot(
        "timeline",
        OPERATORS,
        LIVE,
        (
            Series("weights", tuple(enumerate(weights)), "linear", "area", tuple(f"op{i}" for i in range(len(totals)))),
            Series("saved", tuple(enumerate(saved)), "pool", "area"),
        ),
        "Live memory",
        (Mark(at, totals[at], "peak"),),
    )


SHORT = timeline([50 * MIB] * 4, [0, 50 * MIB, 25 * MIB, 0])
SPIKE = 3210
LONG = timeline([50 * MIB] * 5000, [50 * MIB if i == SPIKE else 0 for i in range(5000)])


def single(*series: Series, log: bool = False, marks: tuple[Mark, ...] = ()) -> Plot:
    return Plot("plot", Axis("x", log=log), Axis("y", log=log), series, "A plot", marks)


AWKWARD = {
    "no series": single(),
    "empty series": single(Series("none", ()), Series("area", (), kind="area"), Series("line", (), kind="line")),
    "one point": single(Series("one", ((3.0, 4.0),))),
    "one of a line": single(Series("one", ((3.0, 4.0),), kind="line")),
    "one of an area": single(Series("one", ((3.0, 4.0),), kind="area")),
    "one on a log axis": single(Series("one", ((3.0, 4.0),)), log=True),
    "equal": single(Series("same", ((1.0, 1.0),) * 5)),
    "zeros": single(Series("zero", ((0.0, 0.0),)), Series("area", ((0.0, 0.0), (1.0, 0.0)), kind="area")),
    "zero area on a log axis": single(Series("area", ((1.0, 0.0), (2.0, 0.0)), kind="area"), log=True),
    "area on a log axis": single(Series("area", ((1.0, 0.0), (10.0, 5.0), (100.0, 1e-200)), kind="area"), log=True),
    "not finite": single(Series("odd", ((NAN, 1.0), (1.0, INF), (-INF, NAN), (2.0, 3.0))), marks=(Mark(NAN, 1, "m"),)),
    "nothing finite": single(Series("odd", ((NAN, 1.0), (1.0, INF))), Series("area", ((NAN, NAN),), kind="area")),
    "below zero on a log axis": single(Series("low", ((0.0, 1.0), (1.0, -1.0), (2.0, 3.0))), log=True),
    "an area below zero": single(Series("area", ((0.0, -1.0), (1.0, 5.0)), kind="area")),
    "huge": single(Series("huge", ((-1e99, 1e99), (1e99, -1e99), (1e300, 1.0)))),
    "tiny": single(Series("tiny", ((1e-320, 5e-324), (2e-300, 1e-310)))),
    "tiny areas": single(Series("tiny", ((0.0, 1e-310), (1e-310, 1e-320)), kind="area")),
    "wide log": single(Series("wide", ((1e-99, 1e99), (1e99, 1e-99))), log=True),
    "nearly equal": single(Series("near", ((1e6, 1.0), (1e6 + 1e-9, 1 + 1e-15)))),
    "negative": single(Series("below", ((-5.0, -10.0), (-1.0, -2.0)))),
    "unordered areas": single(
        Series("a", ((2.0, 1.0), (0.0, 3.0), (2.0, 2.0)), kind="area"), Series("b", ((1.0, 1.0),), kind="area")
    ),
    "too few names": single(Series("named", ((1.0, 1.0), (2.0, 2.0)), names=("first",))),
    "many series": single(*(Series(f"series {i}", ((i, i),)) for i in range(40))),
    "no labels": Plot("plot", Axis(""), Axis(""), (Series("", ((1.0, 1.0),)),)),
    "marks in one place": single(
        Series("one", ((1.0, 1.0),)), marks=(Mark(1, 1, "a"), Mark(1, 1, "b"), Mark(1, 1, "c"))
    ),
    "all kinds": single(
        Series("area", ((0.0, 1.0), (1.0, 2.0)), "conv", "area"),
        Series("line", ((0.0, 2.0), (1.0, 0.0)), "linear", "line"),
        Series("points", ((0.5, 1.0),), "norm"),
    ),
}


def hostile() -> Plot:
    """Every text of a plot taken by hostile names."""
    series = tuple(Series(name, ((i + 1.0, i + 1.0),), names=(name,)) for i, name in enumerate(HOSTILE_NAMES))
    area = Series(HOSTILE_NAMES[4], ((1.0, 1.0), (2.0, 1.0)), "conv", "area", HOSTILE_NAMES[:2])
    line = Series(HOSTILE_NAMES[4], ((1.0, 1.0), (2.0, 1.0)), "conv", "line", HOSTILE_NAMES[:2])
    marks = tuple(Mark(i + 1.0, 1.0, name) for i, name in enumerate(HOSTILE_NAMES))
    axes = Axis(HOSTILE_NAMES[3]), Axis(HOSTILE_NAMES[15])
    return Plot(HOSTILE_NAMES[1], *axes, (*series, area, line), HOSTILE_NAMES[4], marks)


DOCUMENTS = {
    "roofline": Document("AlexNet", (ROOFLINE, Note("predicted"))),
    "short": Document("AlexNet", (SHORT,)),
    "long": Document("AlexNet", (LONG,)),
    "hostile": Document("", (hostile(),)),
    **{name: Document(name, (plot,)) for name, plot in AWKWARD.items()},
}
