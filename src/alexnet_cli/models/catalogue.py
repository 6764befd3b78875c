"""The built-in variants, read without importing them: importing one imports torch.

Every other module in this folder that assigns a literal dict to `VARIANT` is a variant; to add one, add a file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert, field

if TYPE_CHECKING:
    from torch import nn


class Variant(Struct, frozen=True):
    """A built-in model: its input without the batch, and the totals of its trace."""

    name: str
    class_name: str = field(name="class")
    description: str
    input: tuple[int, ...]
    params: int
    macs: int
    source: str
    module: str = ""

    def build(self, **arguments: Any) -> nn.Module:
        """Import the variant, and with it torch, and build a new network."""
        model: nn.Module = getattr(import_module(self.module), self.class_name)(**arguments)
        return model


@cache
def variants() -> dict[str, Variant]:
    """Return all variants by name; `alexnet`, the original, comes first."""
    found = [_read(name, text) for name, text in _sources()]
    ordered = sorted((variant for variant in found if variant), key=lambda v: (v.name != "alexnet", v.name))
    return {variant.name: variant for variant in ordered}


def _sources() -> Iterator[tuple[str, str]]:
    """Yield each module of this folder with its text, also where the package is in a zip file."""
    here = Path(__file__).parent
    if here.is_dir():
        yield from ((path.stem, path.read_text(encoding="utf-8")) for path in here.glob("*.py"))
        return
    from importlib.resources import files  # takes longer than what it is needed for

    for file in files(__package__).iterdir():
        if file.name.endswith(".py"):
            yield file.name.removesuffix(".py"), file.read_text(encoding="utf-8")


def _read(name: str, text: str) -> Variant | None:
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="VARIANT")], value=value):
                literal = ast.literal_eval(value) | {"module": f"{__package__}.{name}"}
                return convert(literal, Variant)
    return None
