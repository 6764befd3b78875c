"""What a target names. `KINDS` lists every kind of target, with how it is recognised and who reads it."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from alexnet_cli.errors import TargetError, UsageError
from alexnet_cli.models.catalogue import Variant, variants
from alexnet_cli.report import Report
from alexnet_cli.report_json import load_report, read_report
from alexnet_cli.targets.checkpoint import SUFFIXES, is_checkpoint, is_distributed
from alexnet_cli.targets.exported import SUFFIX as EXPORTED
from alexnet_cli.targets.exported import is_exported
from alexnet_cli.targets.inputs import InputSpec, InputValue
from alexnet_cli.targets.onnx import SUFFIX as ONNX
from alexnet_cli.targets.pretrained import is_model_folder
from alexnet_cli.targets.subject import Asked, Loaded, Subject

HUBS = ("hf:", "diffusers:")
ZOOS = ("timm:", "torchvision:")
FILES = (".json", EXPORTED, ONNX, *SUFFIXES)
"""The suffixes of files that are targets."""
STDIN = ("-", "/dev/stdin")
_PYTHON = r".*\.py|(.*\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)*):[^\W\d]\w*(?:\.[^\W\d]\w*)*"


Read = Callable[[Asked], Subject | Report]


class Kind(NamedTuple):
    """A kind of target: `owns` recognises it without torch, `read` returns the model or the report it stands for.

    What is `built` takes `--arg`, and is run; what is `sized` is not run, and yet takes a batch and inputs.
    """

    owns: Callable[[str], bool]
    read: Read
    built: bool
    sized: bool = False


def _variant(asked: Asked) -> Subject:
    variant = variants()[asked.target]
    load = partial(_load_variant, variant, asked.arguments)
    return Subject(asked.target, variant.description, load, inputs=(InputSpec(variant.input),))


def _load_variant(variant: Variant, arguments: Mapping[str, Any]) -> Loaded:
    try:
        return Loaded(variant.build(**arguments))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"cannot build {variant.name} with these arguments: {error}") from error


def _by(module: str, function: str) -> Read:
    """Return what reads a target by a function of a module here, imported only then, as most need torch."""

    def read(asked: Asked) -> Subject | Report:
        found: Read = getattr(import_module(f"alexnet_cli.targets.{module}"), function)
        return found(asked)

    return read


def _checkpoint(asked: Asked) -> Report:
    from alexnet_cli.targets.checkpoint.read import checkpoint_report

    return checkpoint_report(asked.target)


def _is_saved(target: str) -> bool:
    return target in STDIN or target.endswith(".json") or target.startswith("/dev/fd/")


def _saved(asked: Asked) -> Report:
    if asked.target in STDIN:
        return read_report(sys.stdin.buffer.read(), "standard input")
    return load_report(Path(asked.target))


KINDS = (
    Kind(lambda target: target in variants(), _variant, built=True),
    Kind(lambda target: target.startswith(ZOOS), _by("pretrained.zoo", "zoo_subject"), built=True),
    Kind(lambda target: target.startswith(HUBS), _by("pretrained.hub", "hub_subject"), built=True),
    Kind(lambda target: re.fullmatch(_PYTHON, target) is not None, _by("python_code", "python_subject"), built=True),
    Kind(is_exported, _by("exported.target", "exported_subject"), built=True),
    Kind(is_checkpoint, _checkpoint, built=False),
    Kind(lambda target: target.endswith(ONNX), _by("onnx.report", "onnx_report"), built=False, sized=True),
    Kind(is_model_folder, _by("pretrained.folder", "folder_subject"), built=True),
    Kind(is_distributed, _checkpoint, built=False),
    Kind(_is_saved, _saved, built=False),
)
"""The first that owns a target reads it."""


def resolve(
    target: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    trusted: bool = False,
    batch_size: int | None = 1,
    inputs: tuple[InputSpec | InputValue, ...] | None = None,
) -> Subject | Report:
    """Return what a target names: a model to trace, or a report that was saved or read from a file.

    `arguments` are passed on to what builds the model; if `trusted`, code that a model folder brings may run.
    `batch_size` and `inputs` are the sizes for a graph that leaves them open.

    Raises:
        UsageError: the name is unknown.
        TargetError: the file cannot be read, or is not what its name says.
    """
    kind = _kind_of(target)
    if kind is None:
        raise _unknown(target)
    if arguments and not kind.built:
        raise UsageError("--arg applies only to a model that is built, such as file.py:NAME")
    with _of_any_length(target):
        return kind.read(Asked(target, arguments or {}, trusted, batch_size, inputs))


def is_stored(target: str) -> bool:
    """Tell whether a target is a saved report, a checkpoint or an ONNX file, and so is not run."""
    kind = _kind_of(target)
    return kind is not None and not kind.built


def is_built(target: str) -> bool:
    """Tell whether a target is a model that is built, and so can run."""
    kind = _kind_of(target)
    return kind is not None and kind.built


def names_checkpoint(target: str) -> bool:
    """Tell whether a target is a checkpoint in a file or a folder."""
    kind = _kind_of(target)
    return kind is not None and kind.read is _checkpoint


def takes_sizes(target: str) -> bool:
    """Tell whether a target that is not run takes a batch and inputs all the same."""
    kind = _kind_of(target)
    return kind is not None and kind.sized


def names_like(beginning: str) -> dict[str, str]:
    """Return the names of models that a beginning may be completed to, with what they are."""
    library, colon, _ = beginning.partition(":")
    if not colon:
        return {name: variant.description for name, variant in variants().items()}
    if f"{library}:" not in ZOOS:
        return {}
    from alexnet_cli.targets.pretrained.zoo import names

    return {f"{library}:{name}": f"a model of {library}" for name in names(library)}


def _kind_of(target: str) -> Kind | None:
    with _of_any_length(target):
        return next((kind for kind in KINDS if kind.owns(target)), None)


@contextmanager
def _of_any_length(target: str) -> Iterator[None]:
    """Say so where a name is longer than the system allows, which pathlib raises for where it is asked for a file."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise TargetError(f"cannot look for {target}: {error.strerror}", "no file can have a name this long") from error


def parse_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Read `--arg name=value`; a value that is not JSON is a string.

    Raises:
        UsageError: a text has no name before an equals sign.
    """
    import json  # only if there are any

    arguments = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--arg {text!r} is not of the form name=value", "for example --arg num_classes=10")
        try:
            arguments[name] = json.loads(value)
        except ValueError:
            arguments[name] = value
    return arguments


def _unknown(target: str) -> UsageError:
    near = get_close_matches(target.lower(), variants(), n=3, cutoff=0.5)
    known = (
        f"known: {', '.join(variants())}; or file.py:NAME, package.module:NAME, a model folder, hf:ORG/NAME, "
        "timm:NAME, torchvision:NAME, an exported program (.pt2), a checkpoint, an ONNX file, or a saved report"
    )
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(f"unknown target {target!r}", guess + known)
