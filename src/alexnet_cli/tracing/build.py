"""The subject's model on a device, and whether it runs on an input."""

from __future__ import annotations

import contextlib
import io
import re
import traceback
from collections.abc import Callable, Sequence

import torch
from torch import nn

from alexnet_cli.errors import DeviceError, TargetError, is_users_file, told
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.clone import copy_to
from alexnet_cli.tracing.devices import out_of_memory
from alexnet_cli.tracing.diagnoses import first_line
from alexnet_cli.tracing.feed import make_tensors, model_dtype, with_batch
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.origins import Origins
from alexnet_cli.tracing.recorder import Recorder

Notify = Callable[[str], None]


def build(subject: Subject, device: torch.device, options: TraceOptions, notify: Notify) -> nn.Module:
    """Return the model on `device`, in the dtype and mode asked for; never somebody else's instance.

    Raises:
        TargetError: the target's code fails.
    """
    loaded = _load(subject, device, notify)
    inner = _unwrapped(loaded.module, notify)
    elsewhere = any(tensor.device.type != device.type for tensor in (*inner.parameters(), *inner.buffers()))
    model = _copied(inner, device) if loaded.shared or elsewhere else inner
    if options.dtype is not None:
        model.to(getattr(torch, options.dtype))
    try:
        model.train(options.mode == "train")
    except NotImplementedError as error:  # as what torch.export makes, which has one mode for good
        notify(f"the model cannot be put into {options.mode} mode, it runs as it was made: {first_line(error)}")
    return model  # an overridden `to` or `train` may return nothing


def _load(subject: Subject, device: torch.device, notify: Notify) -> Loaded:
    try:
        with device:
            return subject.load()
    except TargetError as error:
        if error.__cause__ is not None and out_of_memory(error.__cause__):
            raise DeviceError(f"out of memory on {device}", "--device meta allocates nothing") from error.__cause__
        if device.type != META:
            raise
        loaded = subject.load()
        notify(f"the model was built on the CPU, as it cannot be built on meta: {error.message}")
        return loaded


def _copied(module: nn.Module, device: torch.device) -> nn.Module:
    try:
        return copy_to(module, device)
    except Exception as error:
        if out_of_memory(error) or isinstance(error, RecursionError):
            raise
        raise TargetError(
            f"the model cannot be copied, and it is not to be changed itself: {told(error)}",
            "name a class or a function that builds it, instead of an instance",
        ) from error


def _unwrapped(module: nn.Module, notify: Notify) -> nn.Module:
    """Return the module inside a compiled or parallel one: the wrapper has no layers of its own."""
    if isinstance(module, torch.jit.ScriptModule):
        notify("the model is scripted: it runs outside Python and is seen as one layer")
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    inner = module.module if isinstance(module, wrappers) else getattr(module, "_orig_mod", None)
    if not isinstance(inner, nn.Module):
        return module
    notify(f"the model is wrapped in {type(module).__name__}: what it wraps is shown")
    return _unwrapped(inner, notify)


def needs_values(error: BaseException) -> bool:
    """Tell whether a forward failed because tensors on `meta` have no values."""
    names_meta = re.search(r"(?<![a-z])meta(?![a-z])", str(error), re.IGNORECASE) is not None
    return names_meta or (isinstance(error, NotImplementedError) and not _is_left_to_the_user(error))


def _is_left_to_the_user(error: NotImplementedError) -> bool:
    """Tell whether a method is not there, of the user's or `forward` itself, rather than an operator."""
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    return innermost.name == "_forward_unimplemented" or is_users_file(innermost.filename)


class Trial:
    """Tells whether a model runs on other inputs, tried on `meta`. The model is built when it is first needed.

    `needs_values` is whether the last one tried `but_for_values` ran until it needed values.
    """

    def __init__(self, subject: Subject, options: TraceOptions) -> None:
        self.subject = subject
        self.options = options
        self.needs_values = False
        self._built: nn.Module | None = None
        self._origins = Origins()

    def __call__(self, specs: Sequence[InputSpec]) -> bool:
        """Try shapes without the batch."""
        return self._failure(specs) is None

    def but_for_values(self, specs: Sequence[InputSpec]) -> bool:
        """Try shapes; that the model stops where it needs values, which `meta` has not, does not speak against them."""
        failure = self._failure(specs)
        self.needs_values = failure is not None and needs_values(failure)
        return failure is None or self.needs_values

    def _failure(self, specs: Sequence[InputSpec]) -> BaseException | None:
        device = torch.device(META)
        model = self._model()
        try:
            inputs = with_batch(specs, self.options.batch_size, model_dtype(model), found=True)
            args, kwargs = make_tensors(inputs, device)
            with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), Recorder(device).recording():
                model(*args, **kwargs)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's model may raise anything
            return error
        return None

    def origin(self, path: str) -> str | None:
        """Return the line of the user's code that makes the module at `path`."""
        modules = dict(self._model().named_modules())
        return self._origins.of(modules[path]) if path in modules else None

    def _model(self) -> nn.Module:
        if self._built is None:
            with self._origins.watching():
                self._built = build(self.subject, torch.device(META), self.options, notify=lambda _: None)
        return self._built
