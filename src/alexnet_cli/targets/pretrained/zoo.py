"""`timm:NAME` and `torchvision:NAME`: the models that these libraries register, built without weights."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet_cli.errors import UsageError
from alexnet_cli.targets.pretrained.folder import built, imported, without_warnings
from alexnet_cli.targets.subject import Asked, Subject

if TYPE_CHECKING:
    from torch import nn

_REGISTERED = re.compile(
    r"^@register_model(?:\((?:name=\"(?P<name>\w+)\")?\))?\n(?:@.*\n|[ )].*\n)*def (?P<function>\w+)", re.MULTILINE
)
_MOST_NEAR = 3


def zoo_subject(asked: Asked) -> Subject:
    """Return the subject of `timm:NAME` or `torchvision:NAME`.

    Raises:
        UsageError: the library has no such model.
    """
    library, _, name = asked.target.partition(":")
    known = names(library)
    if known and name not in known:
        raise UsageError(f"{library} has no model {name!r}", _near(library, name, known))
    build = partial(_timm if library == "timm" else _torchvision, name, asked.arguments)
    load = partial(built, build, f"{library}'s {name}")
    return Subject(asked.target, f"{name}, built by {library} without weights", load, within=without_warnings)


@cache
def names(library: str) -> tuple[str, ...]:
    """Return the models that an installed library registers, read from its source: importing it takes seconds."""
    spec = find_spec(library)
    if spec is None or not spec.submodule_search_locations:
        return ()
    files = sorted(Path(spec.submodule_search_locations[0], "models").rglob("*.py"))
    found = (match for file in files for match in _REGISTERED.finditer(file.read_text(encoding="utf-8")))
    return tuple(sorted({match["name"] or match["function"] for match in found}))


def _near(library: str, name: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=_MOST_NEAR)
    return f"did you mean {' or '.join(f'{library}:{each}' for each in near)}?" if near else f"it has {len(known):,}"


def _timm(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    made: nn.Module = imported("timm", "timm").create_model(name, pretrained=False, **arguments)
    return made


def _torchvision(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    models = imported("torchvision.models", "torchvision")
    build: Callable[..., nn.Module] = models.get_model_builder(name)
    taken = inspect.signature(build).parameters
    no_weights = {each: None for each in ("weights", "weights_backbone") if each in taken}
    return build(**{**no_weights, **arguments})
