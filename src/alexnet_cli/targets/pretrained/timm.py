"""A config of timm, as lies on model hubs: an architecture by name, its number of classes and its input."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.pretrained.folder import Config, Plan, imported
from alexnet_cli.targets.pretrained.harmless import harmless

if TYPE_CHECKING:
    from torch import nn


def plan(config: Config) -> Plan:
    """Return the model that a config of timm describes."""
    values = {**config.values, **config.asked.arguments}
    return Plan(values["architecture"], config.file, partial(_build, values), _input(values))


def _build(values: dict[str, Any]) -> nn.Module:
    settings = dict(harmless(values.get("model_args") or {}))
    if ":" in values["architecture"]:
        raise TargetError(f"{values['architecture']!r} is not the name of a model of timm")  # but of one elsewhere
    if "num_classes" in values:
        settings["num_classes"] = values["num_classes"]
    made: nn.Module = imported("timm", "timm").create_model(values["architecture"], pretrained=False, **settings)
    return made


def _input(values: dict[str, Any]) -> tuple[InputSpec, ...] | None:
    """Return the image that the weights were trained on, if the config says so."""
    match values:
        case {"pretrained_cfg": {"input_size": [int(channels), int(height), int(width)]}}:
            return (InputSpec((channels, height, width)),)
    return None
