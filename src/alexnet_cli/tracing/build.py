"""The subject's model on a device, and whether it runs on an input."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence

import torch
from torch import nn

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.clone import copy_to
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
    model = copy_to(inner, device) if loaded.shared or elsewhere else inner
    if options.dtype is not None:
        model = model.to(getattr(torch, options.dtype))
    return model.train(options.mode == "train")


def _load(subject: Subject, device: torch.device, notify: Notify) -> Loaded:
    try:
        with device:
            return subject.load()
    except TargetError as error:
        if device.type != META:
            raise
        loaded = subject.load()
        notify(f"the model was built on the CPU, as it cannot be built on meta: {error.message}")
        return loaded


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


class Trial:
    """Tells whether a model runs on other inputs, tried on `meta`. The model is built when it is first needed."""

    def __init__(self, subject: Subject, options: TraceOptions) -> None:
        self.subject = subject
        self.options = options
        self._built: nn.Module | None = None
        self._origins = Origins()

    def __call__(self, specs: Sequence[InputSpec]) -> bool:
        """Try shapes without the batch."""
        device = torch.device(META)
        model = self._model()
        inputs = with_batch(specs, self.options.batch_size, model_dtype(model), found=True)
        args, kwargs = make_tensors(inputs, device)
        try:
            with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), Recorder(device).recording():
                model(*args, **kwargs)
        except Exception:  # noqa: BLE001 - the user's model may raise anything
            return False
        return True

    def origin(self, path: str) -> str | None:
        """Return the line of the user's code that makes the module at `path`."""
        modules = dict(self._model().named_modules())
        return self._origins.of(modules[path]) if path in modules else None

    def _model(self) -> nn.Module:
        if self._built is None:
            with self._origins.watching():
                self._built = build(self.subject, torch.device(META), self.options, notify=lambda _: None)
        return self._built
