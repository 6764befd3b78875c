"""Which module ran which operators of an exported program: a tree of calls from the flat list of nodes. No torch.

Each node says in which modules it ran. Neighbours in the same call of a module are that call, and neighbours in a
module that one torch function ran are that function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import UNSET

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.exported.schema import Argument, Graph, Inner, Node

_INLINED = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled": 1,
    "torch.ops.higher_order.wrap_with_autocast": 4,
}
"""Operators that run a graph and do nothing else on shapes, with how many arguments stand before the graph."""

_CONVERTS = ("torch.ops.aten.to.dtype", "torch.ops.aten.to.device")
_SETS_GRAD = "torch.ops.higher_order.wrap_with_set_grad_enabled"
_PATH = re.compile(r"(?:L\['self'\]|L__self__)\.?(.*)", re.DOTALL)
_NEVER = -1


class Level(NamedTuple):
    """A module that a node ran in: what tells its calls apart, its path, and its class as `module.Class`."""

    key: str
    path: str
    cls: str


@dataclass(frozen=True)
class Op:
    """A node, with the names in it made unique; `grad` says whether gradients are on, None as around the program."""

    target: str
    inputs: tuple[tuple[str, Argument], ...]
    outputs: tuple[str | tuple[str, ...] | None, ...]
    levels: tuple[Level, ...]
    function: tuple[str, str] | None
    rename: Callable[[str], str]
    grad: bool | None = None

    def reads(self) -> Iterator[str]:
        """Yield the names of the values that it reads."""
        for _, argument in self.inputs:
            yield from map(self.rename, argument.names())

    def makes(self) -> Iterator[str]:
        """Yield the names of the values that it makes."""
        for made in self.outputs:
            yield from (made,) if isinstance(made, str) else made or ()


@dataclass
class Call:
    """A call of a module (`cls` is its class) or of a function (`cls` is empty) with what it reads and hands on."""

    path: str
    cls: str
    name: str
    parts: list[Call | Op] = field(default_factory=list)
    reads: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()

    def ops(self) -> Iterator[Op]:
        """Yield the operators that ran in it and not in a module below."""
        for part in self.parts:
            if isinstance(part, Op):
                yield part
            elif not part.cls:
                yield from part.ops()


def flattened(graph: Graph) -> tuple[list[Op], Callable[[str], str]]:
    """Return all operators in order, with those of inner graphs in the place of the operator that runs them.

    Also return what tells the name of a value: `x.to(dtype)` is `x` itself where that is its dtype already.

    Raises:
        TargetError: the program branches or loops by an operator that runs graphs.
    """
    same: dict[str, str] = {}

    def rename(name: str) -> str:
        return same.get(name, name)

    return list(_ops(graph, rename, same, grad=None)), rename


def _ops(graph: Graph, rename: Callable[[str], str], same: dict[str, str], *, grad: bool | None) -> Iterator[Op]:
    for node in graph.nodes:
        if node.target in _INLINED:
            yield from _inlined(node, rename, same, grad=grad)
            continue
        if any(given.arg.kind == "as_graph" for given in node.inputs):
            name = node.target.rpartition(".")[2]
            raise TargetError(
                f"the program branches or loops by {name!r}, which is not followed",
                "export it to ONNX with torch.onnx.export: of an ONNX file the branches are listed",
            )
        inputs = tuple((given.name, given.arg) for given in node.inputs)
        made = tuple(_made(output, rename) for output in node.outputs)
        yield Op(node.target, inputs, made, _levels(node), _function(node), rename, grad)
        if node.target.startswith(_CONVERTS):
            names = [name for given in (node.inputs[0].arg, *node.outputs) for name in given.names()]
            if len(names) == 2 and len({_dtype(graph, name) for name in names}) == 1:  # noqa: PLR2004 - in and out
                same[rename(names[1])] = rename(names[0])


def _dtype(graph: Graph, name: str) -> int | None:
    meta = graph.tensor_values.get(name)
    return None if meta is None else meta.dtype


def _inlined(node: Node, rename: Callable[[str], str], same: dict[str, str], *, grad: bool | None) -> Iterator[Op]:
    """Yield the operators of the graph in a node, under names that no others have."""
    before = _INLINED[node.target]
    arguments = [given.arg for given in node.inputs]
    given = arguments[before].as_graph if len(arguments) > before else UNSET
    if not isinstance(given, Inner):
        raise TargetError(f"the program's {node.target!r} has no graph")
    graph = given.graph
    taken = [name for argument in arguments[before + 1 :] for name in argument.names()]
    takes = [name for argument in graph.inputs for name in argument.names()]
    outer = dict(zip(takes, map(rename, taken), strict=False))
    made = [name for output in node.outputs for name in output.names()]
    makes = [name for output in graph.outputs for name in output.names()]
    for inner, name in zip(makes, map(rename, made), strict=False):
        if outer.setdefault(inner, name) != name:  # the graph returns what it was given, or one value twice
            same[name] = outer[inner]
    prefix = f"{rename(given.name)}/"

    def inside(name: str) -> str:
        unique = outer.get(name, f"{prefix}{name}")
        return same.get(unique, unique)

    if node.target == _SETS_GRAD and isinstance(arguments[0].as_bool, bool):
        grad = arguments[0].as_bool
    yield from _ops(graph, inside, same, grad=grad)


def _made(output: Argument, rename: Callable[[str], str]) -> str | tuple[str, ...] | None:
    names = tuple(map(rename, output.names()))
    return names if output.kind == "as_tensors" else names[0] if names else None


def _levels(node: Node) -> tuple[Level, ...]:
    """Read the modules around a node, without the model itself; the names are text of the file."""
    levels = []
    for text in node.metadata.get("nn_module_stack", "").split(";")[1:]:
        parts = text.split(",", 2)
        if len(parts) == len(Level._fields):
            key, path, cls = parts
            found = _PATH.fullmatch(path)
            levels.append(Level(key, (found[1] if found else path).partition("@")[0], cls))
    return tuple(levels)


def _function(node: Node) -> tuple[str, str] | None:
    """Return what tells the torch function that ran a node from others, and its name."""
    which, _, name = node.metadata.get("torch_fn", "").partition(";")
    name = name.rpartition(".")[2]
    return (which, name) if which and name.isidentifier() else None


def root_class(graph: Graph) -> str:
    """Return the class of the model as `module.Class`, empty if the program does not tell."""
    for node in graph.nodes:
        first = node.metadata.get("nn_module_stack", "").split(";")[0].split(",", 2)
        if len(first) == len(Level._fields) and not first[1]:
            return first[2]
    return ""


def call_tree(ops: Sequence[Op], cls: str, inputs: Iterable[str], outputs: Iterable[str], state: set[str]) -> Call:
    """Return the model's call; `state` are the names of parameters, buffers and constants."""
    return _Builder(_whole_stacks(ops), state, inputs, outputs).call("", cls or "Module", 0, len(ops), 0)


def _whole_stacks(ops: Sequence[Op]) -> list[tuple[Op, tuple[Level, ...]]]:
    """Give operators that do not say where they ran (sizes of tensors) to the module of the one before."""
    found: list[tuple[Op, tuple[Level, ...]]] = []
    before: tuple[Level, ...] = ()
    for op in ops:
        before = op.levels if op.levels or op.function else before
        found.append((op, before))
    return found


class _Builder:
    def __init__(
        self, ops: list[tuple[Op, tuple[Level, ...]]], state: set[str], inputs: Iterable[str], outputs: Iterable[str]
    ) -> None:
        self.ops = ops
        self.state = state
        self.made = dict.fromkeys(inputs, _NEVER) | {
            name: place for place, (op, _) in enumerate(ops) for name in op.makes()
        }
        self.last = {name: place for place, (op, _) in enumerate(ops) for name in op.reads()}
        self.last |= dict.fromkeys(outputs, len(ops))

    def call(self, path: str, cls: str, start: int, stop: int, depth: int) -> Call:
        """Return the call that the operators from `start` to before `stop` are."""
        call = Call(path, cls, cls.rpartition(".")[2])
        place = start
        while place < stop:
            levels = self.ops[place][1]
            end = place + 1
            if len(levels) > depth:
                level = levels[depth]
                while end < stop and self.ops[end][1][depth : depth + 1] == (level,):
                    end += 1
                call.parts.append(self.call(level.path, level.cls, place, end, depth + 1))
            else:
                function = self.ops[place][0].function
                while end < stop and function and self._is_part(end, depth, function):
                    end += 1
                call.parts.append(self._function(place, end))
            place = end
        call.reads = self._reads(start, stop, without=self.state)
        call.makes = self._makes(start, stop)
        return call

    def _is_part(self, place: int, depth: int, function: tuple[str, str]) -> bool:
        op, levels = self.ops[place]
        return len(levels) == depth and op.function == function

    def _function(self, start: int, stop: int) -> Call:
        first = self.ops[start][0]
        name = first.function[1] if first.function else (first.target.split(".")[-2:] or [""])[0]
        call = Call("", "", name, [op for op, _ in self.ops[start:stop]])
        call.reads, call.makes = self._reads(start, stop, without=set()), self._makes(start, stop)
        return call

    def _reads(self, start: int, stop: int, without: set[str]) -> tuple[str, ...]:
        names = dict.fromkeys(name for op, _ in self.ops[start:stop] for name in op.reads())
        return tuple(name for name in names if not start <= self.made.get(name, _NEVER) < stop and name not in without)

    def _makes(self, start: int, stop: int) -> tuple[str, ...]:
        """Return what is read later, with the other results of those operators; if nothing is, what is made last."""
        found = []
        for op, _ in self.ops[start:stop]:
            names = list(op.makes())
            later = [name for name in names if self.last.get(name, _NEVER) >= stop]
            if later:
                found += [name for name in names if name in later or name not in self.last]
        return tuple(found) or tuple(self.ops[stop - 1][0].makes())
