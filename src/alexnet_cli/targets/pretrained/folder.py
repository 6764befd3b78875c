"""What a config says: its library, and how that library builds the model. `LIBRARIES` lists those that are known.

Building runs the library's own code and nothing else: code that lies in the folder runs only where it is trusted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from alexnet_cli.errors import AlexnetError, TargetError, UsageError, told
from alexnet_cli.report import Report
from alexnet_cli.report_json import load_report
from alexnet_cli.targets.checkpoint import distributed_metadata
from alexnet_cli.targets.checkpoint.contents import damaged, opened, read_json
from alexnet_cli.targets.checkpoint.read import read_contents
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.pretrained import CONFIGS, LARGEST_CONFIG, config_of
from alexnet_cli.targets.pretrained.harmless import confined
from alexnet_cli.targets.subject import Asked, Loaded, Subject

if TYPE_CHECKING:
    from torch import nn

MOST_PARTS = 100_000
"""The largest number of layers, heads or experts that is built: a config that asks for more is damaged."""
WEIGHTS = tuple(
    f"{stem}{suffix}"
    for stem in ("model", "diffusion_pytorch_model", "pytorch_model")
    for suffix in (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json")
)
"""The names of checkpoints beside a config; a distributed one is looked for where none of them is."""


@dataclass(frozen=True)
class Config:
    """A config that was read: its file and values, the part of it that was asked for, and how the model is wanted."""

    file: Path
    values: Mapping[str, Any]
    part: str
    asked: Asked

    def beside(self, file: Path) -> Config:
        """Read another config that this one names."""
        return Config(file, read_config(file), "", self.asked)

    def whole(self) -> Config:
        """Refuse the name of a part, where a config is of one model."""
        if self.part:
            raise UsageError(f"{self.file} is of one model: it has no part {self.part!r}")
        return self


class Plan(NamedTuple):
    """A model that a config describes: its class, the config that lies beside its weights, and how it is built."""

    name: str
    file: Path
    build: Callable[[], nn.Module]
    inputs: tuple[InputSpec, ...] | None = None


class Library(NamedTuple):
    """A library, which the module of its name here reads, and how its configs are recognised.

    One that `has_parts` describes more than one model.
    """

    name: str
    owns: Callable[[Config], bool]
    has_parts: bool = False

    def plan(self, config: Config) -> Plan:
        """Read one of its configs."""
        plan: Callable[[Config], Plan] = import_module(f"{__package__}.{self.name}").plan
        return plan(config if self.has_parts else config.whole())


LIBRARIES = (
    Library("peft", lambda config: "peft_type" in config.values, has_parts=True),
    Library("diffusers", lambda config: "_class_name" in config.values, has_parts=True),
    Library("transformers", lambda config: "model_type" in config.values or "auto_map" in config.values),
    Library("timm", lambda config: isinstance(config.values.get("architecture"), str)),
)
"""The first that owns a config builds from it."""


def folder_subject(asked: Asked) -> Subject | Report:
    """Return the subject of a model folder; a saved report that is called config.json is returned as it is.

    Raises:
        TargetError: the config cannot be read, or none of the libraries knows it.
        UsageError: the folder has several parts, and none or an unknown one was named.
    """
    found = config_of(asked.target)
    if found is None:
        raise TargetError(f"there is no config in {asked.target}")
    return config_subject(*found, asked)


def config_subject(file: Path, part: str, asked: Asked) -> Subject | Report:
    """Return the subject of a config, or of the part of it that is named.

    Raises:
        TargetError: as for `folder_subject`.
        UsageError: as for `folder_subject`.
    """
    config = Config(file, read_config(file), part, asked)
    if "schema_version" in config.values:
        return load_report(file)
    library, plan = planned(config)
    weights = _weights_beside(plan.file)
    return Subject(
        asked.target,
        f"{plan.name}, built by {library} from its config",
        partial(built, plan.build, f"the {plan.name} of {plan.file}"),
        inputs=plan.inputs,
        within=without_warnings,
        files=(file, plan.file),
        weights=None if weights is None else partial(read_contents, weights),
    )


def _weights_beside(config: Path) -> Path | None:
    """Return the checkpoint that a config belongs to; one of another name lies among others, and belongs to none."""
    if config.name not in CONFIGS:
        return None
    beside = (path for path in map(config.with_name, WEIGHTS) if path.is_file())
    return next(beside, distributed_metadata(config.parent))


def planned(config: Config) -> tuple[str, Plan]:
    """Return the library that owns a config, and what it makes of it.

    Raises:
        TargetError: none does.
    """
    for library in LIBRARIES:
        if library.owns(config):
            return library.name, library.plan(config)
    known = ", ".join(library.name for library in LIBRARIES)
    raise TargetError(f"{config.file} describes no known model", f"known are the configs of {known}")


def read_config(file: Path) -> dict[str, Any]:
    """Read a config.

    Raises:
        TargetError: it cannot be read, is not a JSON object, or asks for impossibly many layers.
    """
    with opened(file) as (stream, size):
        if size > LARGEST_CONFIG:
            raise damaged(file, f"{size:,} bytes are too many", "config")
        config = read_json(stream.read(), file, "content", "config")
    _check_sizes(config, file)
    return config


def _check_sizes(value: object, file: Path, name: str = "") -> None:
    """Refuse numbers of layers that no machine could build: each layer takes memory, also on meta."""
    if isinstance(value, dict):
        for key, each in value.items():
            _check_sizes(each, file, key)
    elif isinstance(value, list):
        for each in value:
            _check_sizes(each, file, name)
    elif isinstance(value, int) and value > MOST_PARTS and ("layer" in name or "num_" in name or "depth" in name):
        raise damaged(file, f"it asks for {value:,} as {name}, and at most {MOST_PARTS:,} are built", "config")


def built(build: Callable[[], nn.Module], what: str) -> Loaded:
    """Build a model by its library, which fetches nothing.

    Raises:
        TargetError: the library fails, or the model is larger than any.
    """
    try:
        with confined(), without_logs():
            return Loaded(build())
    except AlexnetError:
        raise
    except Exception as error:
        raise TargetError(f"cannot build {what}: {told(error)}") from error


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep quiet what a library has to say to those who call it: the user does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def without_logs() -> Iterator[None]:
    """Keep off stderr what libraries log; what they raise is told. Their loggers and handlers stay as they are."""
    import logging  # 3 ms, where an answer that was kept takes 50

    before = logging.root.manager.disable
    logging.disable(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.disable(before)


def on_the_cpu() -> AbstractContextManager[object]:
    """Return a context in which tensors have values, whatever device the model is built on."""
    import torch

    return torch.device("cpu")


def imported(name: str, extra: str) -> ModuleType:
    """Import a library, on the CPU whatever device the model is built on: what it makes at import has values.

    Raises:
        TargetError: it is not installed, or cannot be imported.
    """
    try:
        with on_the_cpu(), without_logs():
            return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise TargetError(f"{package} is not installed", f"pip install 'alexnet-cli[{extra}]'") from error
        raise TargetError(f"{package} cannot be imported: {told(error)}") from error
