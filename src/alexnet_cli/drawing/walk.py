"""A figure to walk in: the blocks of every level with their words, and where they go, for a page that draws them.

Ranks, lanes and routes are settled here, once for each level, whatever is open; the page knows how wide its texts are
and only adds up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.analyses.dataflow import dataflow, with_function_settings
from alexnet_cli.analyses.flow import Flow, merge_small, without_batch
from alexnet_cli.analyses.flow_repeats import fold_flow
from alexnet_cli.analyses.flow_tree import Crossing, Group, crossings, flow_tree
from alexnet_cli.drawing.content import Plan
from alexnet_cli.drawing.lanes import Route, Tie, assign
from alexnet_cli.drawing.words import MOST_PATHS, family_of, settle, span, times_of
from alexnet_cli.graphics.text import visible
from alexnet_cli.report import Layer, Report, siblings, subtree_ends

SEVERAL, MOST_SIZES = 2, 8
"""How many outputs are counted, and the most sizes that are listed then."""
ROUTES = get_args(Route)


class Level(Struct, frozen=True):
    """The inside of a block: its children, and before and after them its ports, one for each key in `into` and `out`.

    Parts are the ports in, the children and the ports out. `ranks` has the rank of each; `chains` begin with their
    lane, first and last rank, and go on with their parts; `ties` are source, target, key and the place of their route
    in `ROUTES`.
    """

    children: tuple[int, ...] = msgspec.field(name="c")
    into: tuple[int, ...] = msgspec.field(name="i")
    out: tuple[int, ...] = msgspec.field(name="o")
    ranks: tuple[int, ...] = msgspec.field(name="r")
    chains: tuple[tuple[int, ...], ...] = msgspec.field(name="h")
    ties: tuple[tuple[int, int, int, int], ...] = msgspec.field(name="e")


class Block(Struct, frozen=True, omit_defaults=True):
    """What the page writes: as in a figure, but in pieces; `params` and `macs` are those of one of several alike.

    Where a block has several outputs, `size` is their number and `outputs` has the size of each.
    """

    what: str = msgspec.field(name="w")
    kind: str = msgspec.field(name="k", default="layer")
    family: str = msgspec.field(name="f", default="other")
    name: str = msgspec.field(name="n", default="")
    size: str = msgspec.field(name="s", default="")
    times: str = msgspec.field(name="t", default="")
    beside: tuple[str, ...] = msgspec.field(name="b", default=())
    paths: tuple[str, ...] = msgspec.field(name="p", default=())
    params: str = msgspec.field(name="q", default="")
    macs: str = msgspec.field(name="m", default="")
    level: Level | None = msgspec.field(name="g", default=None)
    outputs: tuple[str, ...] = msgspec.field(name="z", default=())


def walk(report: Report) -> tuple[Block, ...]:
    """Return the blocks of a model, first those without an inside; the last is the model.

    Raises:
        UsageError: nothing ran, or there is nothing to draw.
    """
    report = with_function_settings(report)
    flow = merge_small(fold_flow(dataflow(report), report.layers), report.layers)
    groups = flow_tree(flow, report.layers)
    drawn = settle(report, flow, "graph")
    ways = crossings(flow, groups)
    words = _Words(report, flow, drawn)
    leaves = map(words.leaf, range(len(flow.nodes)))
    blocks = (replace(words.group(group), level=_level(group, way)) for group, way in zip(groups, ways, strict=True))
    return (*leaves, *blocks)


def _level(group: Group, ways: Sequence[Crossing]) -> Level:
    """Settle where the parts of a group go; a port is named by the node whose output passes it."""
    into = sorted({way.key for way in ways if way.source is None})
    out = sorted({way.key for way in ways if way.target is None})
    place = {child: len(into) + number for number, child in enumerate(group.children)}
    after = len(into) + len(group.children)
    ties = sorted(
        {
            (
                into.index(way.key) if way.source is None else place[way.source],
                after + out.index(way.key) if way.target is None else place[way.target],
                way.key,
            )
            for way in ways
        }
    )
    lanes = assign(after + len(out), [Tie(*tie) for tie in ties], (len(into), len(out)))
    return Level(
        group.children,
        tuple(into),
        tuple(out),
        lanes.ranks,
        tuple((chain.lane, chain.first, chain.last, *chain.parts) for chain in lanes.chains),
        tuple((*tie, ROUTES.index(route)) for tie, route in zip(ties, lanes.routes, strict=True)),
    )


class _Words:
    def __init__(self, report: Report, flow: Flow, drawn: Plan) -> None:
        self.report, self.layers, self.flow, self.drawn = report, report.layers, flow, drawn
        self.ends = subtree_ends(report.layers)

    def leaf(self, number: int) -> Block:
        node, rows = self.drawn.nodes[number], self.flow.nodes[number].rows
        paths = tuple(map(visible, node.paths))
        name = "" if paths[:1] == (node.name,) else node.name
        numbers = _numbers([self.layers[row] for row in rows]) if node.kind in ("layer", "merge") else ("", "")
        return Block(
            node.what, node.kind, node.family, name, node.size, node.times.strip(), node.beside, paths, *numbers
        )

    def group(self, group: Group) -> Block:
        frame = group.frame
        rows = (frame.first_row,) if frame is not None and frame.whole else group.rows
        times = times_of(frame) if frame is not None else ""
        if not rows or self.layers[rows[0]].kind == "function":
            return self._run(group, times)
        row = self.layers[rows[0]]
        last = row if frame is None else self.layers[frame.last_row]
        size, outputs = self._sizes(row)
        paths = tuple(dict.fromkeys(visible(self.layers[each].path) for each in self._alike(group, rows)))
        name = visible(span(row.path, last.path)) if row.path != last.path else ""
        family = family_of(self.layers, rows[0])
        params, macs = _numbers([row])
        return Block(
            visible(row.type), "group", family, name, size, times, (), paths[:MOST_PATHS], params, macs, outputs=outputs
        )

    def _sizes(self, row: Layer) -> tuple[str, tuple[str, ...]]:
        """Write the size of a module's output; of several their number, and the size of each."""
        sizes = [units.shape(without_batch(shape, self.report)) for shape in row.output_shapes]
        if len(sizes) < SEVERAL:
            return "".join(sizes), ()
        more = [f"and {len(sizes) - MOST_SIZES} more"] if len(sizes) > MOST_SIZES else []
        return f"{units.count(len(sizes))} outputs", (*sizes[:MOST_SIZES], *more)

    def _run(self, group: Group, times: str) -> Block:
        """Describe neighbours without a module of their own."""
        inside = [self.drawn.nodes[number] for number in range(group.first, group.last + 1)]
        named = [node for node in inside if node.paths]
        name = visible(span(named[0].paths[0], named[-1].paths[0])) if named else ""
        size = next((node.size for node in reversed(inside) if node.size), "")
        families = {node.family for node in inside if node.kind == "layer"}
        family = families.pop() if len(families) == 1 else "other"
        layers = sum(node.kind == "layer" for node in inside) or len(inside)
        return Block(f"{units.count(layers)} layers", "group", family, name, size, times)

    def _alike(self, group: Group, rows: Sequence[int]) -> Iterator[int]:
        """Yield the rows that a block stands for: its own, and those of its copies."""
        yield from rows
        if group.frame is not None:
            yield from siblings(self.ends, group.frame.first_row, group.frame.last_row + 1)


def _numbers(rows: Sequence[Layer]) -> tuple[str, str]:
    """Write parameters and MACs with prefixes; those unknown, and none, are empty."""
    params = sum(row.params_total for row in rows)
    macs = [row.macs_total for row in rows if row.macs_total is not None]
    work = units.si(sum(macs)) if len(macs) == len(rows) and any(macs) else ""
    return units.si(params) if params else "", work


def encoded(blocks: Sequence[Block]) -> str:
    """Write blocks as JSON that can stand inside a page, in an element that holds text."""
    return msgspec.json.encode(blocks).decode().replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
