"""Inputs that fit a model, found from its layers and by trying on `meta`."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, islice, product

from msgspec import Struct
from msgspec.structs import replace
from torch import Tensor, nn

from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs.by_failure import Suggestions
from alexnet_cli.tracing.inputs.by_kind import Inputs
from alexnet_cli.tracing.inputs.by_layer import (
    feature_counts,
    first_layers,
    images_of_any_size,
    late_embeddings,
    lengths,
    raw_parameters,
    shapes_for,
)
from alexnet_cli.tracing.inputs.by_name import Guesser, by_name
from alexnet_cli.tracing.inputs.senses import beside, left_out, with_kinds
from alexnet_cli.tracing.inputs.sources import Config

Tried = Callable[[Sequence[InputSpec]], BaseException | None]
"""Returns the failure of a forward on inputs of these shapes, None if it runs."""
Excused = Callable[[BaseException], bool]

MOST_COMBINATIONS = 200
AT_ONCE = 4
"""So many candidates are tried before what their failures suggest."""
SECONDS = 10.0


class FoundInputs(Struct, frozen=True):
    """Shapes without the batch, where they were found, and whether the model runs on them.

    `left_out` are optional arguments for pictures and sound that are not given.
    """

    specs: Inputs
    how: str
    fits: bool = False
    by_name: bool = False
    left_out: tuple[str, ...] = ()


Fits = Generator[FoundInputs, BaseException | None, None]


def _nothing(_: BaseException) -> bool:
    return False


class Search:
    """Tries one candidate after the other for `SECONDS` of its own work, however long a busy machine takes for them.

    What the failure of a candidate suggests is tried next; to a text that fits, pictures and sound are added. `scan`
    tries every image size if the usual ones do not fit. A failure that is `excused` counts as a fit, until `next` is
    told that it is none. `batch_size` is that of the trials. `tried` are those that did not fit, `failures` what they
    raised.
    """

    def __init__(
        self,
        model: nn.Module,
        failure_on: Tried,
        *,
        scan: bool = True,
        excused: Excused | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.tried: list[FoundInputs] = []
        self.failures: set[str] = set()
        self._failure_on = failure_on
        self._excused = excused or _nothing
        self._guesser = _guesser(model, batch_size or 1)
        self._candidates = _candidates(model, self._guesser, scan=scan)
        self._seen: set[Inputs] = set()
        self._began = time.monotonic(), time.process_time()
        self._fits = self._all()

    def next(self, failure: BaseException | None = None) -> FoundInputs | None:
        """Return the next inputs that fit, None if none do in the time that is left.

        `failure` is what those that were returned last failed with after all.
        """
        try:
            return self._fits.send(failure)
        except StopIteration:
            return None

    def _spent(self) -> float:
        """Return the seconds since the search began, without those in which the machine did other work."""
        clock, work = self._began
        return min(time.monotonic() - clock, time.process_time() - work)

    def _all(self) -> Fits:
        while self._spent() < SECONDS and (some := list(islice(self._candidates, AT_ONCE))):
            yield from self._grown(some, SECONDS, self._excused, widen=True)

    def _grown(self, candidates: Sequence[FoundInputs], until: float, excused: Excused, *, widen: bool) -> Fits:
        """Yield those of some candidates that fit, and then what the failures of the others make of them."""
        suggestions = Suggestions[FoundInputs](self._guesser)
        waiting = list(candidates)
        while self._spent() < until:
            if waiting:
                found = waiting.pop(0)
            elif (suggested := suggestions.next()) is not None:
                found = replace(suggested[1], specs=suggested[0])
            else:
                return
            found = replace(found, specs=with_kinds(found.specs, self._guesser))
            if found.specs in self._seen:
                continue
            self._seen.add(found.specs)
            failure = self._failure_on(found.specs)
            if failure is None or excused(failure):
                if widen:
                    yield from self._widened(found, excused if failure else _nothing)
                failure = yield replace(found, fits=True, left_out=left_out(found.specs, self._guesser))
            if failure is not None:
                self.tried.append(found)
                self.failures.add(str(failure))
                if found.by_name or not self._guesser.takes_batch_for_channels(found.specs):
                    suggestions.learn(found.specs, found, failure)

    def _widened(self, found: FoundInputs, excused: Excused) -> Fits:
        """Yield inputs for all senses, in half of the time that is left; they need no values unless the text does."""
        until = (self._spent() + SECONDS) / 2
        wider = [replace(found, specs=specs) for specs in beside(found.specs, self._guesser)]
        yield from self._grown(wider, until, excused, widen=False)


def find_inputs(model: nn.Module, failure_on: Tried, *, scan: bool = True) -> FoundInputs | None:
    """Return the first candidate that the model runs on.

    If none does within `SECONDS`, return the first candidate with `fits` False, or None if there are no candidates.
    """
    search = Search(model, failure_on, scan=scan)
    return search.next() or next(iter(search.tried), None)


def _guesser(model: nn.Module, batch: int) -> Guesser:
    by_layer = (spec for _, layer in first_layers(model) for spec in islice(shapes_for(layer, model), 2))
    first = sorted(by_layer, key=lambda spec: spec.dtype is not None)
    return Guesser(model, Config(model), lengths(model), feature_counts(model), first, batch)


def _candidates(model: nn.Module, guesser: Guesser, *, scan: bool) -> Iterator[FoundInputs]:
    yield from _declared(model)
    by_layer = [(name, list(shapes_for(layer, model))) for name, layer in first_layers(model)]
    for named in _with_senses(by_name(guesser), guesser):
        yield FoundInputs(named, "the names of forward's arguments", by_name=True)
    yield from _dummies(model)
    arguments = required_arguments(model)
    if not arguments:
        yield FoundInputs((), "what forward takes")
    names = arguments or (None,)
    for name, specs in by_layer:
        for spec in specs:
            yield FoundInputs(_named((spec,) * len(names), names), f"the layer {name}")
    if len(names) > 1:
        every = [spec for _, specs in by_layer for spec in specs[:3]]
        for combination in islice(product(every, repeat=len(names)), MOST_COMBINATIONS):
            yield FoundInputs(_named(combination, names), "its first layers")
    late = ((spec, f"the layer {name}") for name, spec in late_embeddings(model))
    raw = ((spec, "the sizes of its parameters") for spec in raw_parameters(model))
    scanned = ((spec, f"the layer {name}") for name, spec in images_of_any_size(model)) if scan else ()
    for spec, how in chain(late, raw, scanned):
        yield FoundInputs(_named((spec,) * len(names), names), how)


def _with_senses(named: Iterator[Inputs], guesser: Guesser) -> Iterator[Inputs]:
    """Put pictures and sound beside the first text, as some models need both and do not say so."""
    for place, specs in enumerate(named):
        yield specs
        yield from beside(specs, guesser) if place == 0 else ()


def _named(specs: Sequence[InputSpec], names: Sequence[str | None]) -> tuple[InputSpec, ...]:
    return tuple(replace(spec, name=name) for spec, name in zip(specs, names, strict=True))


def _declared(model: nn.Module) -> Iterator[FoundInputs]:
    """Yield what Lightning's and timm's models say they take; nothing if the attributes mean something else."""
    with contextlib.suppress(Exception):
        example = getattr(model, "example_input_array", None)
        if isinstance(example, Tensor):
            example = (example,)
        if isinstance(example, dict):
            specs = tuple(_spec_of(value, name) for name, value in example.items())
            yield FoundInputs(specs, "its example_input_array")
        elif isinstance(example, (tuple, list)) and all(isinstance(item, Tensor) for item in example):
            yield FoundInputs(tuple(map(_spec_of, example)), "its example_input_array")
        default = getattr(model, "default_cfg", None) or getattr(model, "pretrained_cfg", None)
        if isinstance(default, dict) and "input_size" in default:
            yield FoundInputs((InputSpec(tuple(default["input_size"])),), "its default_cfg")


def _dummies(model: nn.Module) -> Iterator[FoundInputs]:
    """Yield the inputs that transformers makes up to try a model, which are short."""
    with contextlib.suppress(Exception):
        dummies = getattr(model, "dummy_inputs", None)
        if isinstance(dummies, dict) and all(isinstance(value, Tensor) for value in dummies.values()):
            yield FoundInputs(tuple(_spec_of(value, name) for name, value in dummies.items()), "its dummy_inputs")


def required_arguments(model: nn.Module) -> tuple[str | None, ...]:
    """Return an entry for each argument that forward requires: its name if it is keyword-only, else None."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return (None,)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        p for p in parameters if p.default is p.empty and p.kind in (*positional, inspect.Parameter.KEYWORD_ONLY)
    ]
    takes_any = any(p.kind in (*positional, inspect.Parameter.VAR_POSITIONAL) for p in parameters)
    names = tuple(None if p.kind in positional else p.name for p in required)
    return names or ((None,) if takes_any else ())


def _spec_of(tensor: Tensor, name: str | None = None) -> InputSpec:
    floating = tensor.is_floating_point()
    dtype = None if floating else str(tensor.dtype).removeprefix("torch.")
    return InputSpec(tuple(tensor.shape[1:]), dtype, name)
