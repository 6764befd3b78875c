"""Notes which lines of the user's own source made the calls of a run.

At each call of a module or of a torch function, the frames from there to the module call around it are looked at. No
frame is kept, as it would keep the tensors in it: runs of functions are told apart by marks on their frames, which live
as long as the run. Nothing is traced by the interpreter, so that debuggers and coverage go on undisturbed.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from torch import Tensor, nn

from alexnet_cli.tape import Shape, Source, SourceCall, SourceFile, Spot, Step
from alexnet_cli.torch_insides import DisableTorchFunction
from alexnet_cli.tracing.recording.taping import TapeRecorder
from alexnet_cli.tracing.recording.tensors import tensors_in
from alexnet_cli.users_code import digest_of, is_ours, is_users_file, read_source

_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
"""Frames of their own before Python 3.12, a generator's always: their lines are the function's around."""
_PROGRAM = Path(__file__).parents[2]
_MODELS = _PROGRAM / "models"
_NO_CELLS = ("<", "/<")
_NOT_MODELS = ("torch", "builtins", "abc", "typing")


class _Mark:
    """Numbers the run of a function, as the value of `f_trace`, which nothing calls unless something traces."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Trace nothing."""


@dataclass(slots=True)
class _Call:
    trail: tuple[Step, ...]
    start: int
    within: int | None
    stop: int = -1
    shapes: tuple[Shape, ...] = ()
    makes: tuple[int, ...] = ()
    operator: str | None = None


class SourceRecorder:
    """Notes the calls that the user's code makes; `current` is the innermost one that has not ended.

    The user's code is what is neither installed nor this program's, the file of the model's class wherever that is, and
    what `also` names: packages, modules, files, folders. `tape` notes the operations of the calls.
    """

    def __init__(self, model: nn.Module, also: Sequence[str], tape: TapeRecorder) -> None:
        self.current: int | None = None
        self._model_files = _files_of(type(model))
        self._modules = tuple(also)
        self._folders = tuple(Path(each).resolve() for each in also if Path(each).exists())
        self._tape = tape
        self._calls: list[_Call] = []
        self._files: dict[str, int | None] = {}
        self._codes: dict[str, set[CodeType]] = {}
        self._spots: dict[tuple[int, int, int], int] = {}
        self._kept: list[Spot] = []
        self._marks = 0

    def begin(self, frame: FrameType | None, edge: CodeType, operator: str | None = None) -> int | None:
        """Note a call made by a frame, if the user's code led to it in the forward; return the call around it.

        `edge` is the code that runs each module: there the trail ends. An `operator` was asked for by no torch
        function: by a scripted function, whose operators are one call until the first of them comes again.
        """
        around = self.current
        if self._tape.phase != "forward":
            return around
        trail = self._trail(frame, edge, len(self._calls), is_operator=operator is not None)
        if trail and operator is not None and self._goes_on(trail, operator):
            self.current = len(self._calls) - 1
        elif trail:
            self.current = len(self._calls)
            self._calls.append(_Call(trail, self._tape.position, around, operator=operator))
        return around

    def _goes_on(self, trail: tuple[Step, ...], operator: str) -> bool:
        """Tell whether an operator goes on with what the last call began."""
        last = self._calls[-1] if self._calls else None
        if last is None or last.operator in (None, operator) or last.within != self.current:
            return False
        return list(map(_numbers, last.trail)) == list(map(_numbers, trail))

    def end(self, around: int | None, output: object) -> None:
        """Note what the current call returned, if one began inside the call around."""
        if self.current != around and self.current is not None:
            call = self._calls[self.current]
            with DisableTorchFunction():
                returned: list[Tensor] = tensors_in(output)
                call.shapes = tuple(tuple(tensor.shape) for tensor in returned)
                call.makes = tuple(self._tape.values.known(returned))
            call.stop = self._tape.position

    def leave(self, around: int | None) -> None:
        """Go back to the call around, also after a failure; a call that did and returned nothing is forgotten."""
        if self.current != around and self.current is not None:
            call = self._calls[self.current]
            call.stop = self._tape.position
            if call.start == call.stop and not call.shapes and self.current == len(self._calls) - 1:
                self._calls.pop()
        self.current = around

    def finish(self, raised: BaseException | None) -> Source:
        """Return what was noted, on the way to what was raised too, and whether the source still is what ran."""
        failed = () if raised is None else self._way_to(raised)
        files = tuple(SourceFile(path, _digest(path, codes)) for path, codes in self._codes.items())
        calls = tuple(SourceCall(it.trail, it.start, it.stop, it.within, it.shapes, it.makes) for it in self._calls)
        return Source(files, tuple(self._kept), calls, failed)

    def _trail(self, frame: FrameType | None, edge: CodeType, number: int, *, is_operator: bool) -> tuple[Step, ...]:
        """Return the user's spots between a call and the module call around it, outermost first.

        The part of a run is known by the run of the function that the spot called, or by the call itself. What the
        recorder itself asks, while an operator runs, leads nowhere.
        """
        found: list[Step] = []
        part, inner = -1 - number, None
        while frame is not None and frame.f_code is edge:
            frame = frame.f_back  # a thread of its own began with it
        while frame is not None and frame.f_code is not edge:
            code = frame.f_code
            file = self._file(frame)
            if file is None:
                if not code.co_filename.startswith(str(_PROGRAM)):
                    part = self._run(frame)
                elif code.co_name == "__torch_dispatch__" and not is_operator:
                    return ()
            elif code.co_name in _COMPREHENSIONS and self._is_inside(frame):
                inner = inner or frame
            else:
                run, place = self._run(frame), inner or frame
                spot = self._numbered(file, code, place.f_lineno, place.f_lasti, place.f_code)
                found.append(Step(spot, run, part))
                part, inner = run, None
            frame = frame.f_back
        return tuple(reversed(found))

    def _is_inside(self, frame: FrameType) -> bool:
        """Tell whether a comprehension's frame was called by the function that it is written in."""
        around = frame.f_back
        return around is not None and frame.f_code in around.f_code.co_consts

    def _file(self, frame: FrameType) -> int | None:
        """Return the number of a frame's file, None if it is not the user's."""
        name = frame.f_code.co_filename
        if name not in self._files:
            self._files[name] = None
            if self._is_users(name, str(frame.f_globals.get("__name__"))):
                self._files[name] = len(self._codes)
                self._codes[name] = set()
        return self._files[name]

    def _is_users(self, name: str, module: str) -> bool:
        if any(module == each or module.startswith(f"{each}.") for each in self._modules):
            return True
        path = Path(name)
        if is_ours(name):
            return path.is_relative_to(_MODELS)
        if name in self._model_files or any(path.is_relative_to(folder) for folder in self._folders):
            return True
        cell = not path.exists() and name in linecache.cache and not name.startswith(_NO_CELLS)
        return cell or name.startswith("<ipython-input-") or is_users_file(name)

    def _run(self, frame: FrameType) -> int:
        """Return the number of the run of a function that a frame is; all are one where something else traces it."""
        mark = frame.f_trace
        if isinstance(mark, _Mark):
            return mark.number
        if mark is not None or sys.gettrace() is not None:
            return -1
        self._marks += 1
        frame.f_trace = _Mark(self._marks)
        return self._marks

    def _way_to(self, raised: BaseException) -> tuple[int, ...]:
        """Return the user's spots on the way to what was raised, outermost first."""
        trace, found = raised.__traceback__, []
        while trace is not None:
            file, code = self._file(trace.tb_frame), trace.tb_frame.f_code
            if file is not None:
                found.append(self._numbered(file, code, trace.tb_lineno, trace.tb_lasti, code))
            trace = trace.tb_next
        return tuple(found)

    def _numbered(self, file: int, code: CodeType, line: int, at: int, placed_in: CodeType) -> int:
        key = id(code), id(placed_in), at
        if key not in self._spots:
            self._codes[code.co_filename] |= {code, placed_in}  # alive, so that no other has its id
            self._spots[key] = len(self._kept)
            name = getattr(code, "co_qualname", code.co_name)  # from Python 3.11 on
            self._kept.append(Spot(file, line, at, name, code.co_firstlineno))
        return self._spots[key]


def _numbers(step: Step) -> tuple[int, int]:
    return step.spot, step.run


def _files_of(cls: type) -> frozenset[str]:
    """Return the files of a model's class and its bases, but for torch's own."""
    own = [each for each in cls.__mro__ if each.__module__.partition(".")[0] not in _NOT_MODELS]
    codes = (getattr(vars(each).get("forward"), "__code__", None) for each in own)
    named = (getattr(sys.modules.get(each.__module__), "__file__", None) for each in own)
    return frozenset(filter(None, (*(code.co_filename for code in codes if code is not None), *named)))


def _digest(path: str, codes: Iterable[CodeType]) -> str | None:
    """Return a hash of a file's text; None if that is not what was compiled to these codes."""
    text = read_source(path)
    if text is None:
        return None
    try:
        known = set(_keys(compile(text, path, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError):
        return None
    return digest_of(text) if known.issuperset(map(_key, codes)) else None


def _keys(code: CodeType) -> Iterator[tuple[str, int, bytes]]:
    yield _key(code)
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _keys(each)


def _key(code: CodeType) -> tuple[str, int, bytes]:
    return code.co_name, code.co_firstlineno, code.co_code
