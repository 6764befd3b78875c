"""torch_insides as it would be if torch did not have some of the private names; run as a script: the whole program so.

The arguments are the names, joined by commas, and then the program's own.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Collection
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

import alexnet_cli

NAME = "alexnet_cli.torch_insides"


class _Without:
    """Imports the package and its modules so that their `getattr` finds none of the names."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if _is_ours(name) else None
        if spec is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (setattr(module, "getattr", self.getattr), execute(module))
        return spec

    def getattr(self, owner: object, name: str, *default: object) -> object:
        return builtins.getattr(owner, "no such name" if name in self.names else name, *default)


def _is_ours(name: str) -> bool:
    return f"{name}.".startswith(f"{NAME}.")


def _forgotten() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in [*sys.modules] if _is_ours(name)}


def load_without(names: Collection[str]) -> ModuleType:
    """Import the package anew, without the names, as what the whole program will import."""
    finder = _Without(names)
    _forgotten()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(NAME)
    finally:
        sys.meta_path.remove(finder)


def insides_without(names: Collection[str]) -> ModuleType:
    """Return a copy of the package whose `getattr` finds none of the names."""
    kept = _forgotten()
    try:
        return load_without(names)
    finally:
        _forgotten()
        sys.modules.update(kept)
        if NAME in kept:
            alexnet_cli.torch_insides = kept[NAME]


if __name__ == "__main__":
    load_without(sys.argv[1].split(","))
    from alexnet_cli.__main__ import main

    sys.argv = ["alexnet", *sys.argv[2:]]
    main()
