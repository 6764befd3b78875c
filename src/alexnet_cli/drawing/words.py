"""Writes the words of a figure: from the report and its data flow to the plan that is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import prod

from alexnet_cli import units
from alexnet_cli.analyses.flow import Flow, FlowNode, without_batch
from alexnet_cli.analyses.flow import Frame as FlowFrame
from alexnet_cli.drawing.content import Bar, Block, Frame, Node, Plan, Style
from alexnet_cli.drawing.labels import block_name, short, what, window, windows
from alexnet_cli.graphics.text import sans, shorten, visible
from alexnet_cli.report import Layer, Report, subtree
from alexnet_cli.tape import Shape

FAMILIES = {
    "conv": "convolution",
    "pool": "pooling",
    "norm": "normalisation",
    "linear": "linear",
    "embedding": "embedding",
    "recurrent": "recurrent",
    "attention": "attention",
    "softmax": "softmax",
    "other": "other",
}
"""The families that have a colour, in the order of the legend, with their names there."""
MOST_PATHS = 500
MOST_BESIDE, BLOCK_ROOM = 3, 11.0
"""The most lines of small layers below a block, and how wide its lines are at most, in em."""
_NOTES = {
    "blocks": "Above a block: height × width of its map, or its features; below it: its channels. Lengths are square "
    "roots: maps and their windows share one scale, channels and features have their own. 3×3 /2: window and stride.",
    "bars": "Output: elements, on a logarithmic scale; parameters and MACs: linear scales.",
}
_SHARED = "Shared parameters are shown once, at the layer that runs first."
_MAP, _IMAGE = 2, 3
_MACS_FIRST = 10**6
_DIGITS = "0123456789"


def settle(report: Report, flow: Flow, style: Style) -> Plan:
    """Settle every word of a figure."""
    writer = _Writer(report, flow)
    nodes = writer.nodes()
    shown = {node.family for node in nodes}
    macs = report.totals.macs
    work = "MACs unknown" if macs is None else f"{units.si(macs)} MACs"
    return Plan(
        style,
        report.model.class_name,
        f"{units.si(report.totals.params)} parameters, {work}",
        nodes,
        flow.edges,
        tuple(map(writer.frame, writer.frames)),
        tuple((family, name) for family, name in FAMILIES.items() if family in shown),
        tuple(writer.notes(style)),
        "; ".join(writer.descriptions()),
        flow.recorded,
    )


class _Writer:
    def __init__(self, report: Report, flow: Flow) -> None:
        self.report = report
        self.layers = report.layers
        self.flow = flow
        several = (frame for frame in flow.frames if frame.last > frame.first)
        self.frames = sorted(several, key=lambda frame: (frame.first, -frame.last))
        self.alone = {frame.first: frame for frame in flow.frames if frame.last == frame.first}
        heads = [self.layers[node.rows[0]] for node in flow.nodes if node.kind == "row"]
        self.one_sided = any(head.family in ("conv", "pool") and "1d" in head.type for head in heads)

    def nodes(self) -> tuple[Node, ...]:
        sources = [len(before) for before in self.flow.predecessors()]
        return tuple(self._node(node, number, sources[number]) for number, node in enumerate(self.flow.nodes))

    def _node(self, node: FlowNode, number: int, sources: int) -> Node:
        if node.kind == "row":
            return self._layer(node, number, sources)
        size, paths = self._size(node.shapes), self._paths(node)
        if node.kind == "gap":
            count = units.count(len(node.rows))
            text = f"{count} layers"
            told, block = f"{text}\n{self._sums(node)}", Block((count, "layers"))
            return Node("gap", "gap", text, size, told, paths, block=block, bar=self._bar(node, text))
        name = visible(node.name)
        told = f"{node.kind} {name}".strip() + f": {units.text(node.shapes, 'shapes')}"
        first = self._block(node, (name or "input",)) if node.kind == "input" else None
        return Node(node.kind, "input", node.kind, size, told, paths, name, block=first)

    def _layer(self, node: FlowNode, number: int, sources: int) -> Node:
        head, *others = (self.layers[row] for row in node.rows)
        alone = self.alone.get(number)
        name, inner = "", ""
        if head.kind == "module":
            name = inner = visible(span(head.path, self.layers[alone.last_row].path) if alone else head.path)
            around = [frame for frame in self.frames if frame.first <= number <= frame.last]
            if around and around[-1].whole and (within := self.layers[around[-1].first_row].path):
                inner = name.removeprefix(f"{visible(within)}.")
        beside = tuple(short(row) for row in others if row.family != "reshape")
        joins = sources > 1 and (head.kind == "function" or head.family == "reshape")
        return Node(
            "merge" if joins else "layer",
            family_of(self.layers, node.rows[0]),
            what(head),
            self._size(node.shapes),
            "\n".join(self._told(node, head, others)),
            self._paths(node),
            name,
            inner,
            f" {times_of(alone)}" if alone else "",
            beside,
            self._block(node, self._block_lines(node, head, beside), window(head)),
            self._bar(node, visible(head.path or head.type)),
        )

    def _told(self, node: FlowNode, head: Layer, others: Sequence[Layer]) -> Iterator[str]:
        """Say everything about a layer: path, type, shapes, parameters and MACs, a line each."""
        yield visible(head.path or head.type) + (f" and {node.count - 1} alike" if node.count > 1 else "")
        yield what(head)
        if head.input_shapes:
            yield f"in {units.text(head.input_shapes, 'shapes')}"
        yield f"out {units.text(head.output_shapes, 'shapes')}"
        if others:
            yield "with " + ", ".join(visible(f"{row.path} ({row.type})") for row in others)
        yield self._sums(node)

    def _sums(self, node: FlowNode) -> str:
        params, macs = self._total(node, "params_total"), self._total(node, "macs_total")
        in_all = " in all" if node.count > 1 else ""
        return f"{units.text(params, 'count')} parameters, {units.text(macs, 'count')} MACs{in_all}"

    def _total(self, node: FlowNode, key: str) -> int | None:
        values = [getattr(self.layers[row], key) for row in node.every_row]
        return None if None in values else sum(values)

    def _size(self, shapes: Sequence[Shape]) -> str:
        """Write the first of several shapes without its batch, and how many more there are: `96×55×55 +1`."""
        if not shapes:
            return ""
        more = f" +{len(shapes) - 1}" if len(shapes) > 1 else ""
        return units.shape(without_batch(shapes[0], self.report)) + more

    def _paths(self, node: FlowNode) -> tuple[str, ...]:
        """Return the paths of the rows that a node stands for, each once."""
        paths = (self.layers[row].path for row in node.every_row[:MOST_PATHS])
        return tuple(dict.fromkeys(path for path in paths if path))

    def _block(self, node: FlowNode, lines: Iterable[str], window: tuple[int, int] | None = None) -> Block:
        shape = without_batch(node.shapes[0], self.report) if node.shapes else ()
        volume, features = None, None
        if len(shape) >= _IMAGE:
            volume = shape[0], shape[-2], shape[-1]
        elif len(shape) == _MAP and self.one_sided:
            volume = shape[0], shape[1], 1
        else:
            features = shape[-1] if shape else 1
        size = units.shape(shape[1:]) if volume else self._size(node.shapes)
        fitted = tuple(shorten(line, BLOCK_ROOM, measure=sans(1, bold=True)) for line in lines)
        return Block(fitted, size, str(shape[0]) if volume else "", volume, features, window)

    def _block_lines(self, node: FlowNode, head: Layer, beside: Sequence[str]) -> Iterator[str]:
        yield block_name(head) + (f" ×{node.count}" if node.count > 1 else "")
        yield from windows(head)
        if len(beside) > MOST_BESIDE:
            beside = [*beside[: MOST_BESIDE - 1], f"+{len(beside) - MOST_BESIDE + 1} more"]
        yield from beside

    def _bar(self, node: FlowNode, name: str) -> Bar:
        times = f" ×{units.count(node.count)}" if node.count > 1 else ""
        elements = prod(without_batch(node.shapes[0], self.report)) if node.shapes else None
        return Bar(name + times, elements, self._total(node, "params_total"), self._total(node, "macs_total"))

    def frame(self, frame: FlowFrame) -> Frame:
        """Write the rows that a frame stands for: `layers.0–11 · EncoderLayer`; functions have no path to write."""
        first, last = self.layers[frame.first_row], self.layers[frame.last_row]
        name = "" if first.kind == "function" else visible(span(first.path, last.path))
        if frame.whole and first.kind != "function":
            name += f" · {visible(first.type)}"
        return Frame(frame.first, frame.last, times_of(frame), name, first.path if frame.whole else "")

    def notes(self, style: Style) -> Iterator[str]:
        """Say how to read the figure, what it leaves out and what it is not sure of."""
        if style in _NOTES:
            yield _NOTES[style]
        if style == "bars" and any(self.layers[row].reuses for node in self.flow.nodes for row in node.every_row):
            yield _SHARED
        run = self.report.run
        if run is not None and run.batch_size is not None:
            yield f"Sizes exclude the batch of {units.count(run.batch_size)}."
        if any(node.count > 1 for node in self.flow.nodes):
            yield f"×N: N equal layers, {'parameters and MACs summed' if style == 'bars' else 'one drawn'}."
        if not self.flow.recorded:
            yield "The data flow was not recorded: layers are in execution order."
        if self.report.error is not None:
            yield "The model failed: only the layers that ran are drawn."

    def descriptions(self) -> Iterator[str]:
        """Describe each layer in words, for readers who do not see the figure."""
        for node in self.flow.nodes:
            if node.kind == "row":
                times = f", {node.count} times" if node.count > 1 else ""
                yield f"{what(self.layers[node.rows[0]])} to {self._size(node.shapes)}{times}"


def family_of(layers: Sequence[Layer], position: int) -> str:
    """Return the family that colours a row: for a container, the one with most of its MACs, or parameters."""
    family = layers[position].family
    if family in FAMILIES and family != "other":
        return family
    works: Counter[str] = Counter()
    for below in subtree(layers, position)[1:]:
        row = layers[below]
        works[row.family] += (row.macs or 0) * _MACS_FIRST
        works.update(row.held)
    main = max(works, key=lambda name: works[name], default="other")
    return main if main in FAMILIES and works[main] else "other"


def times_of(frame: FlowFrame) -> str:
    """Write how often a frame runs: `×12`."""
    return f"×{units.count(frame.count)}" + (" parallel" if frame.parallel else "")


def span(first: str, last: str) -> str:
    """Write a range of paths: `layers.0` to `layers.11` is `layers.0–11`, and `conv_1` to `conv_3` is `conv_1–3`."""
    if first == last:
        return first
    left, right = first.split("."), last.split(".")
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    rest = ".".join(right[same:])
    word = rest.rstrip(_DIGITS)
    if same == len(left) - 1 == len(right) - 1 and left[-1].rstrip(_DIGITS) == word:
        rest = rest.removeprefix(word) or rest
    return f"{first}–{rest or last}"
