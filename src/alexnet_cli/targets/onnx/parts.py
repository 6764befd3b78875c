"""The modules and functions that a graph's nodes belong to, as a tree like that of the calls of the Python model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from alexnet_cli.targets.onnx.graph import Node, Scope

_FOLDED_INTO = ("Conv", "ConvTranspose")
_SPATIAL = 2


@dataclass(eq=False, slots=True)
class Part:
    """A call of a module or a function; `type` is a class, or empty where that is not known. `nodes` are its own.

    `folded` is the path of a batch norm that the exporter worked into this convolution; `has_bodies` if
    it is a node with graphs in it, or one of those.
    """

    path: str
    type: str
    kind: Literal["module", "function"]
    parent: Part | None = None
    nodes: list[Node] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    folded: str | None = None
    has_bodies: bool = False

    @property
    def has_modules(self) -> bool:
        """Whether it called a module."""
        return any(part.kind == "module" for part in self.parts)

    def chain(self) -> Iterator[Part]:
        """Yield it and all that are around it, from the inside out."""
        part: Part | None = self
        while part is not None:
            yield part
            part = part.parent

    def preorder(self) -> Iterator[tuple[Part, int]]:
        """Yield it and all below it, each with its depth."""
        waiting = [(self, 0)]
        while waiting:
            part, depth = waiting.pop()
            yield part, depth
            waiting += [(below, depth + 1) for below in reversed(part.parts)]


class Tree:
    """Puts nodes in their parts, in the order in which they run."""

    def __init__(self) -> None:
        self.root = Part("", "", "module")
        self._calls: dict[tuple[int, str], Part] = {}
        self._open = [self.root]
        self._names: dict[str, int] = {}

    def add(self, node: Node) -> Part:
        """Return the part of a node of the main graph; modules that are left are called anew when they come back."""
        scopes, folded = _unfolded(node)
        self.root.type = self.root.type or scopes[0][1]
        same = 0
        for part, (path, _) in zip(self._open, scopes, strict=False):
            if part.path != path:
                break
            same += 1
        del self._open[max(same, 1) :]
        for path, kind in scopes[len(self._open) :]:
            part = Part(path, kind, "module", self._open[-1], folded=folded if (path, kind) == scopes[-1] else None)
            self._open[-1].parts.append(part)
            self._open.append(part)
        return self.function(node, self._open[-1], node.call)

    def function(self, node: Node, parent: Part, call: str = "") -> Part:
        """Return a node's function below a module; nodes of one `call` share one, any other has its own."""
        known = self._calls.get((id(parent), call)) if call else None
        if known is not None:
            known.nodes.append(node)
            return known
        label = node.name if call or not node.name.startswith("/") else node.name.rpartition("/")[2]
        part = Part(self._path(parent, node.function if call else label), node.function, "function", parent)
        part.nodes.append(node)
        parent.parts.append(part)
        if call:
            self._calls[id(parent), call] = part
        return part

    def body(self, path: str, kind: str, parent: Part) -> Part:
        """Return a new module for a node with graphs in it, or for one of those graphs."""
        part = Part(self._path(parent, path), kind, "module", parent, has_bodies=True)
        parent.parts.append(part)
        return part

    def _path(self, parent: Part, name: str) -> str:
        path = f"{parent.path}.{name}" if parent.path else name
        before = self._names.get(path, 0)
        self._names[path] = before + 1
        return f"{path}_{before}" if before else path


def _unfolded(node: Node) -> tuple[tuple[Scope, ...], str | None]:
    """Return the modules around a node; a convolution that took in a batch norm is found by the name of its weight.

    torch's exporter writes such a convolution as part of the norm.
    """
    path, kind = node.scopes[-1]
    module, dot, last = node.inputs[1].rpartition(".") if len(node.inputs) > 1 else ("", "", "")
    if node.op not in _FOLDED_INTO or "Norm" not in kind or not dot or last != "weight" or module == path:
        return node.scopes, None
    around = [scope for scope in node.scopes[:-1] if not scope[0] or module.startswith(f"{scope[0]}.")]
    dimensions = node.attributes.get("kernel_shape")
    count = f"{len(dimensions)}d" if isinstance(dimensions, list) else ""
    return (*around, (module, f"{node.op}{count}")), path
