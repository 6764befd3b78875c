"""A model as a file that other programs run: built with values, and exported by torch with inputs that fit."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace
from torch import nn

from alexnet_cli import __version__
from alexnet_cli.errors import AlexnetError, DeviceError, ForwardError, TargetError, told
from alexnet_cli.interrupts import interrupts_wait
from alexnet_cli.targets.onnx import WRITTEN_BY
from alexnet_cli.targets.subject import Subject
from alexnet_cli.torch_insides import replaced
from alexnet_cli.tracing.build import Notify, build
from alexnet_cli.tracing.devices import out_of_memory
from alexnet_cli.tracing.inputs.resolve import feed
from alexnet_cli.tracing.inputs.trial import Trial
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.recording.conditions import no_fast_path
from alexnet_cli.tracing.recording.runs import Forward
from alexnet_cli.tracing.trace import SEED
from alexnet_cli.tracing.undisturbed import undisturbed

_ONE_FILE = 2_000_000_000
"""Bytes of weights that an ONNX file holds itself: no protobuf message can be larger than 2 GiB."""


def export(subject: Subject, options: TraceOptions, path: Path, notify: Notify) -> dict[str, int]:
    """Build the model on the CPU and write it to a file; the suffix, one of `EXPORTERS`, says in which format.

    Returns how many elements of each module's own vectors are in one that is all zeros.

    Raises:
        ForwardError: torch cannot export the model.
        DeviceError: there is no memory for it.
        AlexnetError: it cannot be built, or the inputs cannot be made.
    """
    device = torch.device(subject.home)
    with undisturbed(), subject.within(), _silenced():
        torch.default_generator.manual_seed(SEED)
        try:
            model = build(subject, device, replace(options, device=str(device)), notify)
            fed = feed(model, device, Trial(subject, options), notify)
            with _without_cache(model):
                EXPORTERS[path.suffix](Forward(model, fed.args, fed.kwargs), path)
            return _zeros(model)
        except AlexnetError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise DeviceError(f"out of memory on {device}", "an export needs the weights in memory") from error
            hint = "--traceback shows where; torch.export follows no branches on values and no lists that grow"
            raise ForwardError(f"{subject.target} cannot be exported: {told(error)}", hint) from error


def _without_cache(model: nn.Module) -> AbstractContextManager[None]:
    """Let a model of transformers return no cache of keys and values: torch.export cannot write one."""
    config: Any = getattr(model, "config", None)
    return replaced(config, use_cache=False) if getattr(config, "use_cache", None) is True else nullcontext()


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what torch warns of and logs about its own exporters off stderr."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _zeros(model: nn.Module) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 and not parameter.any():
            found[name.rpartition(".")[0]] += parameter.numel()
    return dict(found)


def _program(given: Forward) -> torch.export.ExportedProgram:
    with no_fast_path():
        return torch.export.export(given.model, tuple(given.args), given.kwargs, strict=False)


def _onnx(given: Forward, path: Path) -> None:
    """Write what torch's exporter does, the weights in the same file unless they are too large for it."""
    try:
        with interrupts_wait():
            import onnxscript  # noqa: F401 - torch needs it, and says so less plainly
    except ImportError as error:
        raise TargetError(
            "an export to ONNX needs the onnxscript package", "install it with `pip install 'alexnet-cli[onnx]'`"
        ) from error
    try:
        made = torch.onnx.export(_program(given), dynamo=True, verbose=False, optimize=True)
    except torch.onnx.OnnxExporterError as error:  # its own message is a page about the exporter
        first = _origin(error)
        hint = "torch's ONNX exporter does not know how to write this; --traceback shows where"
        raise ForwardError(f"the model cannot be written as ONNX: {told(first)}", hint) from first
    if made is None:
        raise TypeError("torch's exporter returned nothing")
    made.model.metadata_props[WRITTEN_BY] = __version__
    state = (*given.model.parameters(), *given.model.buffers())
    made.save(path, external_data=sum(tensor.nbytes for tensor in state) > _ONE_FILE)


def _origin(error: BaseException) -> BaseException:
    """Return what an exception was raised from in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


EXPORTERS: Mapping[str, Callable[[Forward, Path], None]] = {
    ".pt2": lambda given, path: torch.export.save(_program(given), path),
    ".onnx": _onnx,
}
"""By suffix. A format more is a function more, and its suffix in `session.session.EXPORTED`."""
