"""What a figure shows: every word and number of it, settled before its layout.

Layouts, the terminal and the writers of other languages read a `Plan` and nothing else: no layer, no report.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Style = Literal["blocks", "graph", "bars"]


class Block(Struct, frozen=True):
    """A node as a block: a `volume` (channels, height, width), else a number of `features`, else a gap.

    `lines` stand below it: its name, its window, the small layers with it. `size` stands above it and `channels` right
    below it. `window` (height, width) slides over the block before it.
    """

    lines: tuple[str, ...]
    size: str = ""
    channels: str = ""
    volume: tuple[int, int, int] | None = None
    features: int | None = None
    window: tuple[int, int] | None = None


class Bar(Struct, frozen=True):
    """A node as a bar: its name, and the elements of its output, its parameters and its MACs; None is unknown."""

    name: str
    elements: int | None
    params: int | None
    macs: int | None


class Node(Struct, frozen=True):
    """A node with everything that a figure can say about it.

    `kind` merge joins branches, a gap stands for several layers. `what` is what it does, `times` how often it alone
    repeats, `inner` its name within the frame around it, `beside` the small layers shown with it, `told` what a viewer
    shows on pointing at it. It has a `block` and a `bar` unless it has no place in such a figure.
    """

    kind: Literal["input", "output", "layer", "merge", "gap"]
    family: str
    what: str
    size: str
    told: str
    paths: tuple[str, ...] = ()
    name: str = ""
    inner: str = ""
    times: str = ""
    beside: tuple[str, ...] = ()
    block: Block | None = None
    bar: Bar | None = None

    @property
    def is_end(self) -> bool:
        """Whether it is an input or an output of the model."""
        return self.kind in ("input", "output")

    @property
    def lines(self) -> list[str]:
        """All of it as lines of text; a merge and an end have one line."""
        if self.kind == "merge":
            return [", ".join((self.what, *self.beside))]
        if self.is_end:
            return [" ".join(part for part in (self.what, self.name, self.size) if part)]
        second = " · ".join(part for part in (self.name, self.size) if part)
        beside = f"with {', '.join(self.beside)}" if self.beside else ""
        return [line for line in (self.what + self.times, second, beside) if line]


class Frame(Struct, frozen=True):
    """A frame around the nodes from `first` to `last`, which repeat; `path` is the row that contains them, if any."""

    first: int
    last: int
    times: str
    name: str
    path: str

    @property
    def title(self) -> str:
        """How often it repeats, and which rows it stands for."""
        return f"{self.times} {self.name}".rstrip()


class Plan(Struct, frozen=True):
    """What to draw in which style. Frames come before the frames inside them; without a record edges are a guess."""

    style: Style
    model: str
    summary: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]
    frames: tuple[Frame, ...]
    legend: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    description: str
    recorded: bool

    @property
    def blocks(self) -> list[tuple[Node, Block]]:
        """The nodes that have a block: what the last layer makes is the output, which has none of its own."""
        return [(node, node.block) for node in self.nodes if node.block is not None]

    @property
    def bars(self) -> list[tuple[Node, Bar]]:
        """The nodes that have a bar."""
        return [(node, node.bar) for node in self.nodes if node.bar is not None]
