"""Whether a model runs on other inputs, tried on `meta`, and where in the user's source its layers are made."""

from __future__ import annotations

import contextlib
import io
import re
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from msgspec.structs import replace
from torch import nn

from alexnet_cli.errors import ForwardError, UsageError
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.build import build
from alexnet_cli.tracing.inputs.feed import Values, model_dtype, values_said, with_batch
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.wiring.making import Making
from alexnet_cli.users_code import is_users_file

if TYPE_CHECKING:
    from alexnet_cli.tracing.inputs.find_inputs import FoundInputs, Search


_REPR = re.compile(r"tensor\(\.\.\., device='meta'[^()]*(\([^()]*\)[^()]*)*\)")
_NO_FORWARD = "_forward_unimplemented"
"""What `nn.Module` has in place of a forward."""


class Trial:
    """Tells whether a model runs on other inputs, tried on `meta`; the model is built when it is first needed.

    `found` are the inputs that the search for some has come to, None where there is or was nothing to search for.
    """

    def __init__(self, subject: Subject, options: TraceOptions) -> None:
        self.subject = subject
        self.options = options
        self.found: FoundInputs | None = None
        self._search: Search | None = None
        self._built: nn.Module | None = None
        self._making = Making()

    def search(self) -> FoundInputs:
        """Return the inputs that were found before, or look for some; where none fit a guess for a single argument.

        Raises:
            ForwardError: there is no forward to run.
            UsageError: no inputs fit, and a guess would not tell why.
        """
        if self.found is None:
            if getattr(self._model().forward, "__name__", "") == _NO_FORWARD:
                name = type(self._model()).__name__
                raise ForwardError(f'{name} is missing the required "forward"', "name a part of it that has one")
            from alexnet_cli.tracing.inputs.find_inputs import Search  # inputs that were said need no search

            self._search = Search(self._model(), self, excused=needs_values, batch_size=self.options.batch_size)
            self.found = self._search.next()
        if self.found is None:
            self.found = self._guess(next(iter(self._search.tried), None) if self._search is not None else None)
        return self.found

    def search_on(self, failure: BaseException) -> bool:
        """Look for other inputs, where those that were found fail after all; tell whether there are any."""
        if self._search is None or self.found is None or not self.found.fits:
            return False
        others = self._search.next(failure)
        self.found = others or self._guess(replace(self.found, fits=False))
        return others is not None

    def _guess(self, first: FoundInputs | None) -> FoundInputs:
        """Return the first candidate, which does not fit, if it is for a single argument: its failure tells why.

        Raises:
            UsageError: there is none, or it is for several arguments.
        """
        from alexnet_cli.tracing.inputs.find_inputs import required_arguments

        if first is None or len(required_arguments(self._model())) > 1 or first.by_name:
            raise self.nothing_fits()
        return first

    @property
    def inputs_matter(self) -> bool:
        """Tell whether a search found no inputs that fit, though those that it tried failed in different ways."""
        return self._search is not None and not (self.found and self.found.fits) and len(self._search.failures) > 1

    def nothing_fits(self) -> UsageError:
        """Return the error that says what forward takes, what was tried and how to say other inputs."""
        from alexnet_cli.tracing.inputs.remedy import how_to_say

        model, tried = self._model(), self._search.tried if self._search is not None else []
        target = self.subject.target
        return UsageError(
            f"no input was given for {target}, and none that fits was found", how_to_say(model, tried, target)
        )

    def __call__(self, specs: Sequence[InputSpec]) -> BaseException | None:
        """Return the failure of a forward on inputs of these shapes, without the batch; None if it runs."""
        device = torch.device(META)
        model = self._model()
        try:
            inputs = with_batch(specs, self.options.batch_size, model_dtype(model), found=True)
            args, kwargs = Values(model).tensors(inputs, device, specs)
            recorder = Recorder(device)
            recorder.feed(model, args, kwargs, values_said(specs))
            with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), recorder.recording():
                model(*args, **kwargs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the user's model may raise anything
            return error
        return None

    def origin(self, path: str) -> str | None:
        """Return the line of the user's code that makes a module: `net.py:14: self.fc1 = nn.Linear(400, 120)`."""
        module = dict(self._model().named_modules()).get(path)
        return None if module is None else self._making.line(module)

    def _model(self) -> nn.Module:
        if self._built is None:
            with self._making.watched():
                self._built = build(self.subject, torch.device(META), self.options, notify=lambda _: None)
        return self._built


def needs_values(error: BaseException) -> bool:
    """Tell whether a forward failed because tensors on `meta` have no values."""
    if isinstance(error, KeyError):  # its text is the key, which may be a tensor on meta
        return False
    said = _REPR.sub("", str(error))  # a model may tell which tensors it does not like
    names_meta = re.search(r"(?<![a-z])meta(?![a-z])|unallocated storage", said, re.IGNORECASE) is not None
    return names_meta or (isinstance(error, NotImplementedError) and not _is_left_to_the_user(error))


def _is_left_to_the_user(error: NotImplementedError) -> bool:
    """Tell whether the user's code lacks a method, `forward` itself perhaps, rather than torch an operator."""
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    return innermost.name == _NO_FORWARD or is_users_file(innermost.filename)
