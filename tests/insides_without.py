"""torch_insides as it would be if torch did not have some of the private names; run as a script: the whole program so.

The arguments are the names, joined by commas, and then the program's own.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import Collection
from types import ModuleType

import alexnet_cli

NAME = "alexnet_cli.torch_insides"


def insides_without(names: Collection[str]) -> ModuleType:
    """Return a copy of the module whose `getattr` finds none of the names."""
    spec = importlib.util.find_spec(NAME)
    module = importlib.util.module_from_spec(spec)
    module.getattr = lambda owner, name, *default: builtins.getattr(
        owner, "no such name" if name in names else name, *default
    )
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.modules[NAME] = alexnet_cli.torch_insides = insides_without(sys.argv[1].split(","))
    from alexnet_cli.__main__ import main

    sys.argv = ["alexnet", *sys.argv[2:]]
    main()
