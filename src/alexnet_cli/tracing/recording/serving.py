"""A language model at work: a prompt, or one token after a cache, and what is kept from one token to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from alexnet_cli.errors import UsageError
from alexnet_cli.targets.example import argument_names
from alexnet_cli.torch_insides import own_buffers
from alexnet_cli.tracing.inputs.context import Text, next_token, returned_state, with_cache, with_last_logits
from alexnet_cli.tracing.options import Serving
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.runs import Forward, held
from alexnet_cli.tracing.recording.taping import TapeRecorder
from alexnet_cli.tracing.recording.tensors import packed_weights, storage_of, tensors_in, tensors_within


@dataclass
class Serve:
    """A prompt with its cache, or one token after it: then the prompt runs first, unrecorded.

    Without `text` the forward's arguments are all there is: those of one token, state included, or of a prompt.
    """

    forward: Forward
    how: Serving
    text: Text | None

    def record(self, recorder: Recorder) -> None:
        """Run it with the recorder watching.

        Raises:
            UsageError: the model keeps nothing from one token to the next.
        """
        model = self.forward.model
        given = with_cache(model, _named(self.forward))
        call = Forward(model, [], with_last_logits(model, given) if self.how.last_logits else given)
        if self.forward.args and not argument_names(model):
            call = self.forward
        state: dict[str, Any] = {}
        if self.text is not None and self.how.part == "decode" and self.how.context != 1:
            with torch.no_grad(), recorder.beside().recording():
                output = call()
            state = returned_state(output, model, call.kwargs)
            if not state:
                raise _no_cache(model)
            after = next_token(self.text, call.kwargs, output, model)
            del output
            call = Forward(model, [], {**after, **state})
            recorder.feed(model, [], call.kwargs)
        _record(call, state, recorder)


def _named(forward: Forward) -> dict[str, Any]:
    return {**dict(zip(argument_names(forward.model), forward.args, strict=False)), **forward.kwargs}


def _no_cache(model: nn.Module) -> UsageError:
    return UsageError(
        f"{type(model).__name__} keeps nothing from one token to the next: no argument of its forward comes back",
        "for a cache of your own, give the arguments of one token, cache included: --inputs file.py:NAME",
    )


def _record(call: Forward, state: Mapping[str, Any], recorder: Recorder) -> None:
    """Record one forward; `state` are the arguments that are known to be kept for the next token."""
    tape, model = recorder.tape, call.model
    watch = None
    if tape is not None:
        known = _whole(tensors_within(list(state.values())))
        places = {storage_of(tensor) for tensor in known}
        given = [tensor for tensor in call.given if storage_of(tensor) not in places]
        tape.begin(given, {**held(model), "cache": known}, packed_weights(model))
        watch = _Watch(tape, call, state)
        del known, given
    with torch.no_grad(), recorder.recording():
        output = call()
        if tape is not None and watch is not None:
            tape.end_forward(output)
            tape.storages.claim(model.parameters(), "parameter")
            watch.end(output)
    if watch is not None and not watch.found:
        raise _no_cache(model)


class _Watch:
    """Finds what a run keeps for the next, by what happens to it.

    That is an argument which comes back under its name, an object among the arguments whose tensors are others
    afterwards, a tensor of which a result is a longer one, and what was there before and was written to in place: an
    argument, a buffer, a tensor in an attribute of a module. Single integers, as a count of tokens, are left aside.
    """

    def __init__(self, tape: TapeRecorder, call: Forward, state: Mapping[str, Any]) -> None:
        self.tape, self.call, self.state = tape, call, state
        self.found = False
        self.arguments = {str(key): value for key, value in (*enumerate(call.args), *call.kwargs.items())}
        self.before = {key: self._values(value) for key, value in self.arguments.items()}
        self.tensors = self._tensors()
        self.held = dict(zip(self.tensors, tape.values.numbers(self.tensors.values()), strict=True))

    def end(self, output: Any) -> None:
        """Note the state before and after on the tape; `output` is what the model returned."""
        before: list[int] = []
        after: list[int] = []
        back = returned_state(output, self.call.model, {})
        for key, value in self.arguments.items():
            now = self._values(back.get(key, value))
            if key in self.state or (not isinstance(value, Tensor) and now != self.before[key]):
                before += self.before[key]
                after += now
        if not self.state:
            after += self._values(returned_state(output, self.call.model, self.call.kwargs))
        for was, left in self._changed(output):
            before.append(was)
            after.append(left)
        self.found = bool(after)
        self.tape.end_state(before, after)

    def _changed(self, output: Any) -> Iterator[tuple[int, int]]:
        """Yield, before and after, what was written to in place or is continued by something longer."""
        tape = self.tape
        written = set(tape.storages.held_before(tape.values.written()))
        for key, tensor in self.tensors.items():
            if tape.values.storages_of([self.held[key]]) <= written:
                yield self.held[key], tape.values.numbers([tensor])[0]
        known = {*self.held.values(), *(value for values in self.before.values() for value in values)}
        yield from tape.continued(known, tape.values.numbers([*tensors_in(output), *self._tensors().values()]))

    def _tensors(self) -> dict[str, Tensor]:
        """Return the tensors that the model holds beside its parameters, and those among its arguments."""
        found = {key: value for key, value in self.arguments.items() if isinstance(value, Tensor)}
        for name, part in self.call.model.named_modules():
            plain = (*vars(part).items(), *own_buffers(part).items())
            found |= {f"{name}.{key}": value for key, value in plain if type(value) is Tensor}
        return found

    def _values(self, value: Any) -> tuple[int, ...]:
        return self.tape.values.numbers(_whole(tensors_within(value)))


def _whole(tensors: list[Tensor]) -> list[Tensor]:
    """Leave out single integers: they count tokens."""
    return [each for each in tensors if each.numel() > 1 or (each.dim() > 0 and each.is_floating_point())]
