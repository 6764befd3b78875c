"""A model as a file that other programs run: built with values, and exported by torch with inputs that fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alexnet_cli.errors import AlexnetError, DeviceError, ForwardError, told
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.build import Notify, build
from alexnet_cli.tracing.devices import out_of_memory
from alexnet_cli.tracing.inputs.trial import Trial
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import SEED, feed
from alexnet_cli.tracing.undisturbed import undisturbed


@dataclass(frozen=True)
class Exportable:
    """A model with values, and what its forward is called with."""

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def export(subject: Subject, options: TraceOptions, path: Path, notify: Notify) -> None:
    """Build the model on the CPU and write it to a file; the suffix, one of `EXPORTERS`, says in which format.

    Raises:
        ForwardError: torch cannot export the model.
        DeviceError: there is no memory for it.
        AlexnetError: it cannot be built, or the inputs cannot be made.
    """
    device = torch.device(subject.home)
    with undisturbed(), subject.within(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(SEED)
        try:
            model = build(subject, device, replace(options, device=str(device)), notify)
            fed = feed(model, device, Trial(subject, options), notify)
            EXPORTERS[path.suffix](Exportable(model, tuple(fed.args), fed.kwargs), path)
        except AlexnetError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise DeviceError(f"out of memory on {device}", "an export needs the weights in memory") from error
            hint = "--traceback shows where; torch.export follows no branches on values and no lists that grow"
            raise ForwardError(f"{subject.target} cannot be exported: {told(error)}", hint) from error


def _pt2(given: Exportable, path: Path) -> None:
    """Write what `torch.export.save` does. Attention is exported as the operators that it is in Python."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        program = torch.export.export(given.model, given.args, given.kwargs, strict=False)
        torch.export.save(program, path)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


EXPORTERS: Mapping[str, Callable[[Exportable, Path], None]] = {".pt2": _pt2}
"""By suffix. A format more is a function more, and its suffix in `session.session.EXPORTED`."""
