"""When torch's compiler is imported, and who sees that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

import torch

from alexnet_cli.torch_insides.running import MODES_KNOWN, no_modes

_COMPILER = "torch._dynamo"


def compiler_is_loaded() -> bool:
    """Tell whether torch's compiler was imported, which takes a second."""
    return _COMPILER in sys.modules


def spare_compiler() -> None:
    """Let optimisers be made without importing the compiler, which they do to be hidden from it.

    A torch that does that in another way imports it: a second of start-up.
    """
    if not compiler_is_loaded():
        for method in (torch.optim.Optimizer.add_param_group, torch.optim.Optimizer.zero_grad):
            plain = getattr(method, "__wrapped__", None)
            if plain is not None:
                plain.__dynamo_disable = plain


class _ImportedWithoutModes(MetaPathFinder):
    """Imports the compiler with no mode active: it tries operators out, which would be recorded, or fail on `meta`."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find only the compiler."""
        spec = PathFinder.find_spec(name, path, target) if name == _COMPILER else None
        loader: Any = spec and spec.loader
        if loader is not None:
            loader.exec_module = no_modes()(loader.exec_module)
        return spec


@contextmanager
def imports_unwatched() -> Iterator[None]:
    """Keep the modes that are active from seeing what an import of the compiler runs, if one happens inside.

    That import reads values of tensors, which before torch 2.9 fails where `meta` is the default device, and leaves the
    compiler half imported.

    Without torch's functions for its stack of modes they see it.
    """
    if compiler_is_loaded() or not MODES_KNOWN:
        yield
        return
    finder = _ImportedWithoutModes()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def compiled_graphs() -> tuple[int, int] | None:
    """Return how many graphs were compiled in this process so far, and at how many places of the code one ended.

    Without the compiler's counters that is None.
    """
    counters: Any = getattr(sys.modules.get(f"{_COMPILER}.utils"), "counters", None)
    if counters is None:
        return None
    return int(counters["stats"]["unique_graphs"]), sum(counters["graph_break"].values())


_MISSING = {
    "InvalidCxxCompiler": ("a C++ compiler", "install g++ or clang++, or name one in CXX"),
    "TritonMissing": ("Triton", "pip install triton"),
}
"""What torch raises where a compiler of its own lacks another, by the name of the exception."""


def no_compiler(error: BaseException | None) -> tuple[str, str] | None:
    """Return what torch lacked to compile, and what to do about it; None if that was not why it failed."""
    while error is not None:
        if type(error).__name__ in _MISSING:
            return _MISSING[type(error).__name__]
        error = error.__cause__ or error.__context__
    return None
