"""Random graphs of torch's layers and functions, with names that nobody gives: `build(seed)` is a module.

Each step is tried on the CPU when the graph is made, so that a graph runs as a whole; what a layer refuses is left out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torture.layers import ONE, TWO, layer_for

NAMES = (
    *(
        "conv",
        "fc1",
        "0",
        "7",
        "a b",
        "<blink>x",
        "</script><svg/onload=x>",
        "&amp;",
        "[/x]",
        "[red]",
        "{x}",
        "$x^2$",
        "a_b",
    ),
    *(
        r"\input{x}",
        "%s",
        "a|b",
        "`x`",
        "**x**",
        "#",
        "~",
        "=1+1",
        "-1",
        "+x",
        "@x",
        '"',
        "'",
        "a,b",
        "a;b",
        "a\nb",
        "a\rb",
    ),
    *(
        "\t",
        "\x1b[31m",
        "\x07",
        "\x00",
        "\x7f",
        "\u202edlrow",
        "\u200b",
        "\u2028",
        "é",
        "e\u0301",
        "שלום",
        "مرحبا",
        "层",
        "レイヤ",
    ),
    *(
        "👩‍👩‍👧",
        "🏳️‍🌈",
        "\U0001f600",
        "x" * 300,
        "]]>",
        "<!--",
        "-->",
        "end",
        "subgraph",
        "graph",
        "class",
        "None",
        "__x__",
        "ſ",
        "²",
    ),
    *(
        "\ufeff",
        "\ud7ff",
        "\ufffe",
        "---",
        "```",
        "![x](y)",
        "<marquee>",
        "\\",
        "//",
        "..%2f",
        "'; DROP TABLE",
        "%%{init}%%",
        "--o",
        "x-->y",
    ),
)
MOST_ELEMENTS = 40_000
MOST_RANK = 5


class Start(NamedTuple):
    """What a graph is fed: the shape with the batch, and whether it is token numbers."""

    shape: tuple[int, ...]
    tokens: bool = False

    @property
    def option(self) -> str:
        """The `--input-size` that gives it."""
        return ",".join(map(str, self.shape[1:])) + (":int64" if self.tokens else "")


class Step(NamedTuple):
    """A layer's name, or a function; the values that it takes, and for a layer nothing else."""

    layer: str | None
    function: Callable[..., Any] | None
    reads: tuple[int, ...]


class Graph(nn.Module):
    """Runs its steps in order; returns the last value, or some in a tuple or a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.returns: str = "last"

    def run(self, step: Step, values: Sequence[Tensor]) -> Any:
        """Run one step."""
        given = [values[read] for read in step.reads]
        if step.layer is None:
            return step.function(*given) if step.function else given[0]
        found: nn.Module = self
        for name in step.layer.split("."):
            found = getattr(found, name)
        return found(*given)

    def forward(self, x: Tensor) -> Any:
        """Run all steps."""
        values = [x]
        for step in self.steps:
            values.append(first(self.run(step, values)))
        match self.returns:
            case "tuple":
                return tuple(values[-2:])
            case "dict":
                return {"logits": values[-1], "<i>": values[len(values) // 2]}
            case _:
                return values[-1]


def first(made: Any) -> Tensor:
    """Return the first tensor of what a layer returns."""
    while not isinstance(made, Tensor):
        made = made[0]
    return made


def start_of(chance: random.Random) -> Start:
    """Draw what a graph is fed."""
    match chance.randrange(4):
        case 0 | 1:
            side = chance.choice((5, 8, 12))
            return Start((chance.choice((1, 2)), chance.choice((1, 3, 4)), side, side))
        case 2:
            return Start((2, chance.choice((3, 6)), chance.choice((4, 8))))
        case _:
            return Start((2, chance.choice((3, 6))), tokens=True)


def build(seed: str) -> tuple[Graph, Start]:
    """Return a graph and what it is fed, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    torch.manual_seed(chance.randrange(2**31))
    start = start_of(chance)
    graph = type(chance.choice(NAMES).replace("\0", "") or "X", (Graph,), {"__module__": __name__})()
    graph.returns = chance.choice(("last", "last", "tuple", "dict"))
    values = [torch.zeros(start.shape, dtype=torch.int64 if start.tokens else torch.float32)]
    if start.tokens:
        _added(graph, values, nn.Embedding(11, chance.choice((4, 8))), (0,), chance)
    layers: list[str] = []
    for _ in range(chance.choice((1, 3, 6, 12))):
        place = len(values) - 1 if chance.random() < 0.8 else chance.randrange(int(start.tokens), len(values))
        how = chance.random()
        if how < 0.5:
            name = _added(graph, values, layer_for(tuple(values[place].shape), chance), (place,), chance)
            layers += [name] if name else []
        elif how < 0.6 and layers:
            _tried(graph, values, Step(chance.choice(layers), None, (place,)))
        elif how < 0.8:
            _tried(graph, values, Step(None, chance.choice(ONE), (place,)))
        else:
            other = chance.randrange(int(start.tokens), len(values))
            _tried(graph, values, Step(None, chance.choice(TWO), (place, other)))
    if chance.random() < 0.1:
        graph.add_module("unused \u202e", nn.Linear(3, 3))
    if chance.random() < 0.1:
        graph.register_parameter("own", nn.Parameter(torch.zeros(3)))
    return graph, start


def _added(
    graph: Graph, values: list[Tensor], layer: nn.Module, reads: tuple[int, ...], chance: random.Random
) -> str | None:
    """Add a layer under a name of its own, perhaps in a container; return its path, None if it does not run."""
    name = chance.choice(NAMES).replace(".", "_") or "_"
    name = name if name not in graph._modules and not hasattr(graph, name) else f"{name}{len(values)}"  # noqa: SLF001
    path = name
    if chance.random() < 0.2:
        layer, path = nn.Sequential(layer, nn.Identity()), name
    elif chance.random() < 0.1:
        key = chance.choice(("0", "é", "<i>"))
        box = nn.ModuleDict({key: layer})
        layer, path = box, f"{name}.{key}"
    graph.add_module(name, layer)
    if _tried(graph, values, Step(path, None, reads)):
        return path
    delattr(graph, name)
    return None


def _tried(graph: Graph, values: list[Tensor], step: Step) -> bool:
    """Append a step if it runs, in eval mode, and its result is small."""
    graph.eval()
    try:
        with torch.no_grad():
            made = first(graph.run(step, values))
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError):
        return False
    if not made.is_floating_point() or made.numel() > MOST_ELEMENTS or made.numel() == 0 or made.ndim > MOST_RANK:
        return False
    graph.steps.append(step)
    values.append(made)
    return True


def model(seed: str) -> nn.Module:
    """Return the module of a seed, with values."""
    with torch.device("cpu"):  # the program builds models on meta, where torch lets layers pass that do not fit
        graph, _ = build(seed)
    with torch.no_grad():
        for tensor in (*graph.parameters(), *graph.buffers()):
            tensor.fill_(0.1) if tensor.is_floating_point() else tensor.zero_()
    return graph.eval()
