"""A chain of layers as the blocks of a figure: what each makes, and what is written on it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli import units
from alexnet_cli.analyses.dataflow import FlowNode
from alexnet_cli.drawing import labels
from alexnet_cli.drawing.families import family_of
from alexnet_cli.drawing.plan import Plan
from alexnet_cli.graphics.text import sans, shorten, text_width, visible
from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Shape

MOST_LINES = 5
ROOM = 11.0
"""How wide a label may be, in em."""
_MAP = 2
_IMAGE = 3


class Block(Struct, frozen=True):
    """What is drawn of a node: a cuboid with `volume` (channels, height, width), a bar of `features`, or else a gap.

    `window` (height, width) is that of its layer on the block before it. `above` is written above the block and
    `channels` right below it; `below` stands further down, the first line bold.
    """

    node: FlowNode
    family: str
    above: str
    below: tuple[str, ...]
    channels: str = ""
    volume: tuple[int, int, int] | None = None
    features: int | None = None
    window: tuple[int, int] | None = None

    def label_width(self, size: float) -> float:
        """Return how wide its labels are at most."""
        first, *others = self.below
        widths = [text_width(line, size) for line in (self.above, self.channels, *others)]
        return max(text_width(first, size, bold=True), *widths)


def blocks_of(plan: Plan) -> list[Block]:
    """Return the blocks of a chain; what it returns is what its last layer makes, and no block of its own."""
    report = plan.report
    nodes = [node for node in plan.flow.nodes if node.kind != "output"]
    heads = [report.layers[node.rows[0]] for node in nodes if node.kind == "row"]
    one_sided = any(head.family in ("conv", "pool") and "1d" in head.type for head in heads)
    return [_block(node, report, one_sided=one_sided) for node in nodes]


def _block(node: FlowNode, report: Report, *, one_sided: bool) -> Block:
    layers = report.layers
    family = family_of(node, layers)
    if node.kind == "gap":
        return Block(node, family, "", (units.count(len(node.rows)), "layers"))
    shape = labels.without_batch(node.shapes[0], report) if node.shapes else ()
    volume, features = _extent(shape, one_sided=one_sided)
    above = units.shape(shape[1:]) if volume else labels.sizes_text(node.shapes, report)
    channels = str(shape[0]) if volume else ""
    if node.kind == "input":
        return Block(node, family, above, (_fitted(visible(node.name)) or "input",), channels, volume, features)
    head = layers[node.rows[0]]
    below = tuple(_fitted(line) for line in _lines(node, head, layers))
    return Block(node, family, above, below, channels, volume, features, _window(head))


def _extent(shape: Shape, *, one_sided: bool) -> tuple[tuple[int, int, int] | None, int | None]:
    """Return the volume of a map, or the number of features of what is none."""
    if len(shape) >= _IMAGE:
        return (shape[0], shape[-2], shape[-1]), None
    if len(shape) == _MAP and one_sided:
        return (shape[0], shape[1], 1), None
    return None, shape[-1] if shape else 1


def _lines(node: FlowNode, head: Layer, layers: Sequence[Layer]) -> list[str]:
    """Say what a block is: its name or what it does, its window or features, and the small layers with it."""
    name = labels.short_name(head)
    times = f" ×{node.count}" if node.count > 1 else ""
    details = [labels.kernel_text(head), labels.groups_text(head)]
    small = labels.with_it(node, layers)
    if len(small) > MOST_LINES - 2:
        small = [*small[: MOST_LINES - 3], f"+{len(small) - MOST_LINES + 3} more"]
    return [(name or _word(head)) + times, *filter(None, [*details, *small])]


def _word(head: Layer) -> str:
    """Name what a layer without a name of its own does: `conv`, `max pool`, `linear`, else its type."""
    kind = head.type.lower()
    match head.family:
        case "conv":
            return "up-conv" if head.settings.get("transposed") else "conv"
        case "pool":
            names = [name for name in ("max", "avg") if name in kind]
            return " ".join([*names, "pool"])
        case "linear" if kind == "linear":
            return "linear"
        case _:
            return visible(head.type)


def _window(head: Layer) -> tuple[int, int] | None:
    kernel = labels.kernel_of(head)
    if kernel is None or head.settings.get("transposed"):
        return None
    return (kernel[-2], kernel[-1]) if len(kernel) > 1 else (kernel[0], 1)


def _fitted(text: str) -> str:
    return shorten(text, ROOM, measure=sans(1, bold=True))
