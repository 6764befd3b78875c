"""A config of PEFT: an adapter, such as LoRA's, put into its base model. The base is frozen, the adapter is trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.pretrained import config_of
from alexnet_cli.targets.pretrained.folder import Config, Plan, imported, planned, read_config
from alexnet_cli.targets.pretrained.harmless import harmless

if TYPE_CHECKING:
    from torch import nn

_BASE = "base_model_name_or_path"


def plan(config: Config) -> Plan:
    """Return the base model with the adapter that a config describes."""
    settings = harmless({**config.values, **config.asked.arguments})
    base = _base_of(config, settings.get(_BASE))
    _, below = planned(base)
    name = f"{below.name} with an adapter ({settings['peft_type']})"
    return Plan(name, config.file, partial(_build, settings, below), below.inputs)


def _build(settings: dict[str, Any], base: Plan) -> nn.Module:
    peft = imported("peft", "hf")
    known = imported("peft.mapping", "hf").PEFT_TYPE_TO_CONFIG_MAPPING
    kind = settings["peft_type"]
    if kind not in known:
        raise TargetError(f"peft {peft.__version__} knows no adapter {kind!r}", f"known: {', '.join(map(str, known))}")
    fields = known[kind].__dataclass_fields__
    config = known[kind](**{key: value for key, value in settings.items() if key in fields and key != "peft_type"})
    config.inference_mode = False  # saved adapters have it on, and would then count as frozen
    made: nn.Module = peft.get_peft_model(base.build(), config, low_cpu_mem_usage=True)
    return made


def _base_of(config: Config, name: object) -> Config:
    places = [config.file.parent / str(name), Path(str(name))] if name else []
    found = next(filter(None, (config_of(str(place)) for place in places)), None)
    if found is None:
        raise TargetError(
            f"{config.file} is an adapter for {name}, and there is no such folder",
            f"name the folder of the base model: --arg {_BASE}=FOLDER",
        )
    file, part = found
    values = read_config(file)
    if "peft_type" in values:
        raise TargetError(f"{config.file} is an adapter for {name}, which is an adapter too")
    return Config(file, values, part, replace(config.asked, arguments={}))
