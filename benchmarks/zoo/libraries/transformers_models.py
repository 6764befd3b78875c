"""Every model type of `transformers` that builds from its own default config, made small."""

from __future__ import annotations

import copy
import inspect
import os
import sys
from functools import cache, partial
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from zoo.architecture import Architecture
from zoo.libraries.shrinking import divide_heads, parts_of, shrink
from zoo.libraries.transformers_inputs import INPUTS
from zoo.libraries.transformers_settings import REFUSED, SETTINGS, WHOLE

MOST_PARAMETERS = 60_000_000
_WIDTHS = (1, 2, 4, 8, 16)
_HOW = ({}, {"tokens": 0}, {"layers": 0}, {"layers": 0, "tokens": 0})
_HEADS = (
    "MODEL_MAPPING_NAMES",
    *sorted(name for name in dir(modeling_auto) if name.startswith("MODEL_FOR_") and name.endswith("_MAPPING_NAMES")),
)


def class_of(model_type: str) -> type[torch.nn.Module] | None:
    """Return the bare model of a type, or the first with a head if there is none."""
    for mapping in _HEADS:
        named = getattr(modeling_auto, mapping).get(model_type)
        named = named if isinstance(named, (str, type(None))) else named[0]
        made = named and getattr(transformers, named, None)
        if isinstance(made, type) and issubclass(made, torch.nn.Module):  # else it lacks a library
            return made
    return None


@cache
def small_config(model_type: str) -> Any:
    """Return a config of which the model is small, the mildest that is: its widths are reduced last.

    Raises:
        ValueError: none builds; the message says what the first attempt failed with.
    """
    made = class_of(model_type)
    failure: Exception | None = None
    whole = model_type in WHOLE
    for how in ({"layers": 0, "tokens": 0},) if whole else _HOW:
        for width in (1,) if whole else _WIDTHS:
            try:
                config = CONFIG_MAPPING[model_type](**SETTINGS.get(model_type, {}))
                shrink(config, width=width, **how)
                for part in parts_of(config):
                    rope = getattr(part, "rope_parameters", None)
                    if isinstance(rope, dict) and rope.get("rope_type") != "axial" and _divides_heads(type(part)):
                        divide_heads(part)
                with torch.device("meta"):
                    params = sum(each.numel() for each in made(copy.deepcopy(config)).parameters())
            except Exception as error:  # noqa: BLE001 - a config that does not fit together may fail in any way
                failure = failure or error
                continue
            if whole or params <= MOST_PARAMETERS:
                return config
            failure = failure or ValueError(f"{params:,} parameters at width / {width}")
    raise ValueError(f"{model_type} does not build small: {failure!r}") from failure


@cache
def _divides_heads(config: type[Any]) -> bool:
    """Tell whether text is rotated by time, height and width; the sections are often in no config."""
    named = config.__module__.replace("configuration_", "modeling_")
    module = sys.modules.get(named)
    return module is not None and '"mrope_section"' in inspect.getsource(module)


def make(model_type: str, *, plain: bool = False) -> torch.nn.Module:
    """Build the model of a type; `plain`: expert by expert."""
    config = copy.deepcopy(small_config(model_type))
    if plain:
        for part in (config, *(getattr(config, name) for name in config.sub_configs)):
            if part is not None:
                part._experts_implementation = "eager"  # noqa: SLF001 - has no public name
    return class_of(model_type)(config)


_SENSES = ("vision", "audio", "image", "speech", "video")
_STATE_SPACES = ("mamba", "rwkv", "xlstm", "ssm", "recurrent", "jamba", "zamba", "bamba")


def modality(model_type: str) -> str:
    """Tell what a type works on, from its config and its main input."""
    config, main = CONFIG_MAPPING[model_type], getattr(class_of(model_type), "main_input_name", "input_ids")
    inside = " ".join(config.sub_configs)
    settings = " ".join(getattr(config, "__annotations__", ()))
    kinds = {
        "multimodal": "text" in inside and any(word in inside for word in _SENSES),
        "video": "video" in main or "num_frames" in settings,
        "vision": main == "pixel_values",
        "audio": main in ("input_values", "input_features"),
        "series and states": main in ("past_values", "inputs", "state", "states"),
        "state space": any(word in model_type for word in _STATE_SPACES),
        "mixture of experts": "experts" in settings,
        "encoder-decoder": "decoder_" in settings,
    }
    return next((kind for kind, holds in kinds.items() if holds), "text")


def _has_forward(made: type[torch.nn.Module] | None) -> bool:
    """Tell whether a class runs when it is called; Bark has parts that do."""
    return made is not None and made.forward is not torch.nn.Module.forward


def _types() -> list[str]:
    return [
        model_type for model_type in CONFIG_MAPPING if model_type not in REFUSED and _has_forward(class_of(model_type))
    ]


ARCHITECTURES = [
    Architecture(
        "transformers", each, modality(each), partial(make, each), INPUTS.get(each), partial(make, each, plain=True)
    )
    for each in _types()
]
