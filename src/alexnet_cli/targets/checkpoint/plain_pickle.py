"""Reads a pickle as plain values: nothing is imported or called, and only the names that are allowed may occur.

A machine with the few instructions that plain values need; `pickletools` documents them all. An object is a `Made`: the
name of its class, what it was called with, and its state. Any other instruction is refused. `pickle.Unpickler` would
run what it finds, and fills the memory where a file tells it to.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from pickletools import opcodes
from types import MethodType
from typing import Any, NamedTuple

from alexnet_cli.targets.checkpoint.contents import damage, python_objects

_KNOWN = {each.code: each.name for each in opcodes}
_INT = struct.Struct("<i")
_FLOAT = struct.Struct(">d")


class _Refused(Exception):  # noqa: N818 - it says what happened
    """A pickle that holds more than plain values: the name that it wants, or the instruction."""


class Name(NamedTuple):
    """A class or a function, by its module and name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Made:
    """An object of an allowed class. Compared by identity, so that it can be a key."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: Name, arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.arguments = arguments
        self.state: Any = None

    def get(self, key: str) -> Any:
        """Return a field; None if there is none."""
        return self.state.get(key) if isinstance(self.state, dict) else None


def read_plain(path: Path, data: bytes, allowed: Callable[[Name], bool], hint: str, kind: str = "checkpoint") -> Any:
    """Return what a pickle holds, with a `Made` for each object and a `Name` for each class that is not called.

    Raises:
        TargetError: it is damaged, names what is not allowed, or uses other instructions than those of plain values;
            `hint` is for the last two.
    """
    with damage(path, "its pickle is damaged", kind):
        try:
            return _Machine(data, allowed).run()
        except _Refused as error:
            raise python_objects(path, error, hint) from error


class _Machine:
    def __init__(self, data: bytes, allowed: Callable[[Name], bool]) -> None:
        self.data = data
        self.at = 0
        self.allowed = allowed
        self.names: dict[Name, Name] = {}
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []

    def run(self) -> Any:
        steps: list[Callable[[], object] | None] = [None] * 256
        for code, run in _INSTRUCTIONS.items():
            steps[ord(code)] = MethodType(run, self)
        data, stop = self.data, ord(".")
        while (instruction := data[self.at]) != stop:
            self.at += 1
            step = steps[instruction]
            if step is None:
                known = _KNOWN.get(chr(instruction))
                raise _Refused(f"the instruction {known}") if known else ValueError("it is no pickle")
            step()
        return self.stack.pop()

    def take(self, count: int) -> bytes:
        """Return the next bytes; a length beyond the end is a lie."""
        begin, self.at = self.at, self.at + count
        if self.at > len(self.data):
            raise EOFError("it ends too early")
        return self.data[begin : self.at]

    def size(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def line(self) -> str:
        begin, self.at = self.at, self.data.index(b"\n", self.at) + 1
        return self.data[begin : self.at - 1].decode()

    def put(self, place: int) -> None:
        """Keep the last value; pickle numbers what it keeps one after the other."""
        if place == len(self.memo):
            self.memo.append(self.stack[-1])
        else:
            self.memo[place] = self.stack[-1]

    def since_mark(self) -> list[Any]:
        begin = self.marks.pop()
        items = self.stack[begin:]
        del self.stack[begin:]
        return items

    def popped(self, count: int) -> tuple[Any, ...]:
        """Take the last values off the stack."""
        return tuple([self.stack.pop() for _ in range(count)][::-1])

    def append(self) -> None:
        item = self.stack.pop()
        self.top(list).append(item)

    def appends(self) -> None:
        items = self.since_mark()
        self.top(list).extend(items)

    def fill(self, items: Sequence[Any]) -> None:
        """Put keys and values into a dict; keys that can be made to collide would take forever, so few are taken."""
        held = self.top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str and type(key) is not Made:
                raise _Refused(f"a key that is a {type(key).__name__}")
            held[key] = value

    def named(self, name: Name) -> None:
        if name not in self.names:
            if not self.allowed(name):
                raise _Refused(str(name))
            self.names[name] = name
        self.stack.append(self.names[name])

    def call(self) -> None:
        name, arguments = self.popped(2)
        if type(name) is not Name or type(arguments) is not tuple:
            raise _Refused("a call of what is no class")
        self.stack.append(Made(name, arguments))

    def build(self) -> None:
        state = self.stack.pop()
        self.top(Made).state = state

    def top(self, kind: type) -> Any:
        top = self.stack[-1]
        if type(top) is not kind:
            raise _Refused(f"a change of a {type(top).__name__}")
        return top


_VALUES: dict[str, Callable[[_Machine], Any]] = {
    "N": lambda _: None,
    "\x88": lambda _: True,
    "\x89": lambda _: False,
    ")": lambda _: (),
    "]": lambda _: [],
    "}": lambda _: {},
    "K": lambda machine: machine.size(1),
    "M": lambda machine: machine.size(2),
    "J": lambda machine: _INT.unpack(machine.take(4))[0],
    "\x8a": lambda machine: int.from_bytes(machine.take(machine.size(1)), "little", signed=True),
    "G": lambda machine: _FLOAT.unpack(machine.take(8))[0],
    "\x8c": lambda machine: machine.take(machine.size(1)).decode(),
    "X": lambda machine: machine.take(machine.size(4)).decode(),
    "\x8d": lambda machine: machine.take(machine.size(8)).decode(),
    "t": lambda machine: tuple(machine.since_mark()),
    "\x85": lambda machine: machine.popped(1),
    "\x86": lambda machine: machine.popped(2),
    "\x87": lambda machine: machine.popped(3),
    "h": lambda machine: machine.memo[machine.size(1)],
    "j": lambda machine: machine.memo[machine.size(4)],
}
"""Instructions that put a value on the stack."""


def _pushing(read: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.stack.append(read(machine))


_INSTRUCTIONS: dict[str, Callable[[_Machine], object]] = {
    **{code: _pushing(read) for code, read in _VALUES.items()},
    "\x80": lambda machine: machine.take(1),  # the protocol
    "\x95": lambda machine: machine.take(8),  # the length of a frame
    "\x94": lambda machine: machine.memo.append(machine.stack[-1]),
    "q": lambda machine: machine.put(machine.size(1)),
    "r": lambda machine: machine.put(machine.size(4)),
    "0": lambda machine: machine.stack.pop(),
    "1": _Machine.since_mark,
    "(": lambda machine: machine.marks.append(len(machine.stack)),
    "a": _Machine.append,
    "e": _Machine.appends,
    "s": lambda machine: machine.fill(machine.popped(2)),
    "u": lambda machine: machine.fill(machine.since_mark()),
    "c": lambda machine: machine.named(Name(machine.line(), machine.line())),
    "\x93": lambda machine: machine.named(Name(*map(str, machine.popped(2)))),
    "R": _Machine.call,
    "\x81": _Machine.call,
    "b": _Machine.build,
}
