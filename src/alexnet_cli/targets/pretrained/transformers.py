"""A config of transformers: the class that it names, or the library's own choice for its model type."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.pretrained.folder import Config, Plan, imported, on_the_cpu
from alexnet_cli.targets.pretrained.harmless import harmless

if TYPE_CHECKING:
    from torch import nn


def plan(config: Config) -> Plan:
    """Return the model that a config of transformers describes."""
    name = _architecture(config) or str(config.values.get("model_type", "model"))
    return Plan(name, config.file, partial(_build, config))


def _build(config: Config) -> nn.Module:
    if config.asked.trusted and isinstance(config.values.get("auto_map"), dict):
        return _with_its_own_code(config, config.values["auto_map"])
    transformers = imported("transformers", "hf")
    known = imported("transformers.models.auto.configuration_auto", "hf").CONFIG_MAPPING
    kind = config.values.get("model_type")
    if not isinstance(kind, str) or kind not in known:
        raise _unknown(config, transformers.__version__)
    settings = known[kind].from_dict(harmless({**config.values, **config.asked.arguments}))
    with on_the_cpu():  # asking for a name imports what defines it
        named: Any = getattr(transformers, _architecture(config) or "", None)
        is_model = isinstance(named, type) and issubclass(named, transformers.PreTrainedModel)
    build = named._from_config if is_model else transformers.AutoModel.from_config  # noqa: SLF001 - as its AutoModel does
    made: nn.Module = build(settings)
    return made


def _with_its_own_code(config: Config, places: dict[str, Any]) -> nn.Module:
    """Run the code that lies in the folder, as was asked for; `places` says what is where in it."""
    if config.file.name != "config.json":
        raise TargetError(f"the code that {config.file} names runs only beside a config.json", "name it so")
    transformers = imported("transformers", "hf")
    name = _architecture(config)
    owner = next((key for key, place in places.items() if str(place).endswith(f".{name}")), "AutoModel")
    settings = transformers.AutoConfig.from_pretrained(
        config.file.parent, trust_remote_code=True, local_files_only=True, **config.asked.arguments
    )
    made: nn.Module = getattr(transformers, owner).from_config(settings, trust_remote_code=True)
    return made


def _architecture(config: Config) -> str | None:
    match config.values.get("architectures"):
        case [str(name), *_]:
            return name
    return None


def _unknown(config: Config, version: str) -> TargetError:
    what = f"transformers {version} knows no model type {config.values.get('model_type')!r}, as {config.file} says"
    if "auto_map" in config.values:
        return TargetError(what, "--trust-remote-code runs the code beside it with all your rights: read it first")
    return TargetError(what, "a newer transformers may know it")
