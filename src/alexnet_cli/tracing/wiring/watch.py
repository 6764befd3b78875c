"""Watches a training step for its wiring: what is trained, updated, kept, and in which mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from alexnet_cli.torch_insides import own_buffers
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.taping import TapeRecorder
from alexnet_cli.tracing.recording.tensors import bytes_of, tensors_in
from alexnet_cli.tracing.wiring.lines import NO_LINE, Lines
from alexnet_cli.tracing.wiring.making import Making
from alexnet_cli.tracing.wiring.modes import Modes, is_called_as_function, is_modal
from alexnet_cli.tracing.wiring.updated import updated_by
from alexnet_cli.wiring import Grown, Mode, Trained, Wiring

_REGISTERED = ("_parameters", "_buffers", "_modules")


class Held(NamedTuple):
    """The tensors of one buffer or one attribute."""

    kind: Literal["buffer", "attribute"]
    tensors: tuple[Tensor, ...]

    @property
    def bytes(self) -> int:
        """The bytes of their elements."""
        return sum(map(bytes_of, self.tensors))


class Watch:
    """Made before the step, whose `tape` notes lines from then on; `wiring` is asked for after it.

    `below` is the code below which frames are not the model's, `again` runs its forward once more.
    """

    def __init__(self, model: nn.Module, made: Making | None, below: CodeType, again: Callable[[], object]) -> None:
        self.model, self.made, self.below, self.again = model, made or Making(), below, again
        self.lazy = tuple(name for name, parameter in model.named_parameters() if is_lazy(parameter))
        self._before: dict[str, int] = {}

    def start(self, tape: TapeRecorder) -> None:
        """Begin: what the model holds is what it holds before the step."""
        tape.lines = Lines(self.below)
        self._before = {name: held.bytes for name, held in held_by(self.model).items()}

    def wiring(self, recorder: Recorder, tape: TapeRecorder) -> Wiring:
        """Return what the step has shown, right after it; the forward may be run again, without a trace."""
        trained = {name: each for name, each in self.model.named_parameters() if each.requires_grad}
        missed = {name for name, parameter in trained.items() if parameter.grad is None}
        updated = updated_by(self.model)
        left = None if updated.ids is None else {name for name, it in trained.items() if id(it) not in updated.ids}
        lines = tape.lines or Lines(self.below)
        places = tuple(draft.line for draft in tape.drafts)
        modes = self._modes(recorder, tape)
        return Wiring(
            trained=len(trained),
            without_gradient=tuple(self._told(name, trained, recorder) for name in trained if name in missed),
            left_out=None if left is None else tuple(self._told(it, trained, recorder) for it in trained if it in left),
            unknown=updated.unknown,
            why=updated.why,
            grown=self._grown(recorder, tape),
            modes=tuple(modes),
            lazy=self.lazy,
            lines=lines.texts(),
            places=places,
        )

    def _told(self, name: str, trained: dict[str, nn.Parameter], recorder: Recorder) -> Trained:
        module = dict(self.model.named_modules()).get(name.rpartition(".")[0])
        line = None if module is None else self.made.line(module)
        parameter = trained[name]
        return Trained(name, parameter.numel(), id(parameter) in recorder.touched, line)

    def _grown(self, recorder: Recorder, tape: TapeRecorder) -> tuple[Grown, ...]:
        """Return what the step has made larger, if another forward makes it larger again."""
        once = held_by(self.model)
        larger = {name: held for name, held in once.items() if held.bytes > self._before.get(name, 0)}
        if not larger:
            return ()
        found = {name: (held, held.bytes, _line_of(held, tape)) for name, held in larger.items()}
        with _whatever_it_raises(), recorder.beside().recording():
            self.again()
        twice = held_by(self.model)
        return tuple(
            Grown(name, held.kind, before, twice[name].bytes, any(it.grad_fn is not None for it in held.tensors), line)
            for name, (held, before, line) in found.items()
            if name in twice and twice[name].bytes > before
        )

    def _modes(self, recorder: Recorder, tape: TapeRecorder) -> list[Mode]:
        modes = Modes(self.model, self.made)
        found = modes.of_step(recorder.root) if recorder.root is not None else []
        if not any(is_modal(draft) and is_called_as_function(draft) for draft in tape.drafts):
            return found
        before = {id(module): module.training for module in self.model.modules()}
        evaluated = recorder.beside(self.model, taping=True)
        if evaluated.tape is None:
            return found
        evaluated.tape.lines = Lines(self.below)
        try:
            with _whatever_it_raises():
                self.model.eval()
                with torch.no_grad(), evaluated.recording():
                    self.again()
                found += modes.in_eval(evaluated.tape)
        finally:
            for module in self.model.modules():
                module.training = before.get(id(module), True)
        return found


@contextmanager
def _whatever_it_raises() -> Iterator[None]:
    """Go on where the model cannot run once more, as its step has run; only an interrupt ends it."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001, S110 - the user's model may raise anything
        pass


def _line_of(held: Held, tape: TapeRecorder) -> str | None:
    """Return the line that made the last of these tensors in the step."""
    last = tape.values.storages_of(tape.values.numbers(held.tensors[-1:]))
    texts = tape.lines.texts() if tape.lines is not None else ()
    made = [draft.line for draft in tape.drafts if not last.isdisjoint(tape.values.storages_of(draft.makes))]
    return next((texts[line] for line in reversed(made) if line != NO_LINE), None)


def held_by(model: nn.Module) -> dict[str, Held]:
    """Return what modules hold in buffers and in attributes, by name, lists and dicts of tensors included."""
    found: dict[str, Held] = {}
    for path, module in model.named_modules():
        for name, buffer in own_buffers(module).items():
            if buffer is not None and not is_lazy(buffer):
                found[_name(path, name)] = Held("buffer", (buffer,))
        for name, value in vars(module).items():
            if name in _REGISTERED or not isinstance(value, (Tensor, list, tuple, dict, set)):
                continue
            tensors = tuple(tensor for tensor in tensors_in(value) if not isinstance(tensor, nn.Parameter))
            if tensors:
                found[_name(path, name)] = Held("attribute", tensors)
    return found


def _name(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
