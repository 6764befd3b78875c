"""A config of diffusers: of one model, or of a pipeline whose parts are models of diffusers and transformers."""

from __future__ import annotations

from functools import partial
from os.path import isfile
from typing import TYPE_CHECKING, Any

from alexnet_cli.errors import TargetError, UsageError, nearest
from alexnet_cli.targets.pretrained.folder import Config, Plan, imported, on_the_cpu, planned
from alexnet_cli.targets.pretrained.harmless import harmless

if TYPE_CHECKING:
    from torch import nn


def plan(config: Config) -> Plan:
    """Return the model that a config of diffusers describes, or the part of a pipeline that was asked for."""
    is_index = config.file.name == "model_index.json"
    parts = [] if config.file.name == "config.json" else _parts(config)
    if not (is_index or parts):
        return Plan(str(config.values["_class_name"]), config.file, partial(_build, config.whole()))
    target = config.file.parent if is_index else config.file
    if not config.part:
        raise UsageError(
            f"{target} is a pipeline of several models", f"name one of its parts, as in {target}:{_first(parts)}"
        )
    if config.part not in parts:
        raise UsageError(f"{target} has no model {config.part!r}", nearest(config.part, parts))
    return planned(config.beside(config.file.parent / config.part / "config.json"))[1]


def _parts(config: Config) -> list[str]:
    """Return the names of a pipeline's models, each of which has its folder."""
    folder = config.file.parent
    return [name for name in config.values if isfile(folder / name / "config.json")]  # noqa: PTH113 - of any length


def _first(parts: list[str]) -> str:
    return f"{parts[0]} (it has {', '.join(parts)})" if parts else "PART"


def _build(config: Config) -> nn.Module:
    diffusers = imported("diffusers", "diffusers")
    name = config.values["_class_name"]
    with on_the_cpu():  # asking for a name imports what defines it
        found: Any = getattr(diffusers, name, None) if isinstance(name, str) else None
        is_model = isinstance(found, type) and issubclass(found, diffusers.ModelMixin)
    if not is_model:
        raise TargetError(f"diffusers {diffusers.__version__} has no model {name!r}", "a newer diffusers may have it")
    made: nn.Module = found.from_config(harmless({**config.values, **config.asked.arguments}))
    return made
