"""Checks of the geometry of any figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise

from alexnet_cli.graphics.scene import Area, Box, Label, Line, Mark, Scene

SLACK = 0.05


def check(scene: Scene) -> None:
    """Run all checks on a figure."""
    nothing_outside(scene)
    labels_are_disjoint(scene)
    text_is_in_its_box(scene)
    boxes_are_disjoint(scene)
    lines_pass_no_box(scene)
    lines_are_tied(scene)


def overlap(one: Area, other: Area) -> bool:
    return (
        one.left + SLACK < other.right
        and other.left + SLACK < one.right
        and one.top + SLACK < other.bottom
        and other.top + SLACK < one.bottom
    )


def holds(outer: Area, inner: Area) -> bool:
    return (
        outer.left <= inner.left + SLACK
        and outer.top <= inner.top + SLACK
        and inner.right <= outer.right + SLACK
        and inner.bottom <= outer.bottom + SLACK
    )


def labels_of(marks: Iterable[Mark]) -> list[Label]:
    return [item for mark in marks for item in mark.items if isinstance(item, Label)]


def node_boxes(scene: Scene) -> list[tuple[Mark, Box]]:
    return [
        (mark, item)
        for mark in scene.marks
        for item in mark.items
        if isinstance(item, Box) and item.look in ("node", "node gap")
    ]


def nothing_outside(scene: Scene) -> None:
    page = Area(0, 0, scene.width, scene.height)
    for mark in scene.marks:
        assert holds(page, mark.area()), mark


def labels_are_disjoint(scene: Scene) -> None:
    for one, other in combinations(labels_of(scene.marks), 2):
        assert not overlap(one.area(), other.area()), (one, other)


def text_is_in_its_box(scene: Scene) -> None:
    for mark, box in node_boxes(scene):
        for label in labels_of([mark]):
            assert holds(box.area(), label.area()), label
    for mark in scene.marks:
        if mark.role == "frame":
            border = next(item for item in mark.items if isinstance(item, Box))
            for label in labels_of([mark]):
                assert holds(border.area(), label.area()), label


def boxes_are_disjoint(scene: Scene) -> None:
    boxes = [box.area() for _, box in node_boxes(scene)]
    frames = [mark.area() for mark in scene.marks if mark.role == "frame"]
    for one, other in combinations(boxes, 2):
        assert not overlap(one, other)
    for frame in frames:
        for area in (*boxes, *frames):
            assert not overlap(frame, area) or holds(frame, area) or holds(area, frame)


def lines_pass_no_box(scene: Scene) -> None:
    """Follow each edge of a graph in small steps: it may end at a box, but cross neither a box nor a text."""
    boxes = node_boxes(scene)
    texts = [label.area() for mark in scene.marks if mark.role == "frame" for label in labels_of([mark])]
    solid = [Area(b.x + 1, b.y + 1, b.x + b.width - 1, b.y + b.height - 1) for _, b in boxes]
    for mark in scene.marks if boxes else ():
        for line in (item for item in mark.items if isinstance(item, Line) and mark.role == "edge"):
            for x, y in points_on(line):
                for area in (*solid, *texts):
                    assert not (area.left < x < area.right and area.top < y < area.bottom), (line, area)


def points_on(line: Line, steps: int = 40) -> Iterator[tuple[float, float]]:
    for (x0, y0), (x1, y1) in pairwise(line.points):
        for step in range(steps + 1):
            t = step / steps
            if line.bend == "smooth" and x0 != x1:  # a cubic curve whose handles are at half the height
                across = 3 * (1 - t) * t**2 + t**3
                down = 0.5 * (3 * (1 - t) ** 2 * t + 3 * (1 - t) * t**2) + t**3
                yield x0 + across * (x1 - x0), y0 + down * (y1 - y0)
            else:
                yield x0 + t * (x1 - x0), y0 + t * (y1 - y0)


def lines_are_tied(scene: Scene) -> None:
    """Check that each end of an edge touches a box, a frame or the end of another edge, or goes on beyond a title."""
    lines = [item for mark in scene.marks if mark.role == "edge" for item in mark.items if isinstance(item, Line)]
    ends = [line.points[place] for line in lines for place in (0, -1)]
    borders = [box.area() for _, box in node_boxes(scene)]
    borders += [mark.area() for mark in scene.marks if mark.role == "frame"]
    titles = [title_of(mark) for mark in scene.marks if mark.role == "frame"]
    for end in ends if node_boxes(scene) else ():
        others = sum(abs(end[0] - x) + abs(end[1] - y) < SLACK for x, y in ends)
        tied = others > 1 or any(at_border(area, end) for area in borders)
        assert tied or any(interrupts(title, end, ends) for title in titles), end


def title_of(frame: Mark) -> Area:
    areas = [label.area() for label in labels_of([frame])]
    return Area(
        min(area.left for area in areas),
        min(area.top for area in areas),
        max(area.right for area in areas),
        max(area.bottom for area in areas),
    )


def interrupts(title: Area, end: tuple[float, float], ends: Iterable[tuple[float, float]]) -> bool:
    """Whether a title stands in the way of a line that ends close to it, and begins again on its other side."""
    height = title.bottom - title.top
    near = title.left - height < end[0] < title.right + height
    above, below = (
        title.top - height < end[1] <= title.top + SLACK,
        title.bottom - SLACK <= end[1] < title.bottom + height,
    )
    beyond = [y for x, y in ends if abs(x - end[0]) < SLACK and title.top - height < y < title.bottom + height]
    return near and ((above and max(beyond) >= title.bottom - SLACK) or (below and min(beyond) <= title.top + SLACK))


def at_border(area: Area, point: tuple[float, float]) -> bool:
    grown = Area(area.left - SLACK, area.top - SLACK, area.right + SLACK, area.bottom + SLACK)
    shrunk = Area(area.left + SLACK, area.top + SLACK, area.right - SLACK, area.bottom - SLACK)
    x, y = point
    inside = shrunk.left < x < shrunk.right and shrunk.top < y < shrunk.bottom
    return grown.left <= x <= grown.right and grown.top <= y <= grown.bottom and not inside
