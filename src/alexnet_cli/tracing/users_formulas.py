"""MAC formulas of the user's own, from a Python file, for one trace."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.flop_counter import flop_registry

from alexnet_cli.errors import TargetError, users_frames
from alexnet_cli.tracing import formulas
from alexnet_cli.tracing.operators import operator


@contextmanager
def users_formulas(path: Path | None, notify: Callable[[str], None]) -> Iterator[None]:
    """Run a file that registers formulas by `macs_formula` or torch's `register_flop_formula`; forget them after.

    Raises:
        TargetError: there is no such file, or its code fails.
    """
    if path is None:
        yield
        return
    extra, torchs, missing = dict(formulas.EXTRA), dict(flop_registry), list(formulas.MISSING)
    try:
        _run(path)
        for name in formulas.MISSING[len(missing) :]:
            notify(f"{path} has a formula for {name!r}, an operator that is not there")
        operator.cache_clear()
        yield
    finally:
        for registry, before in ((formulas.EXTRA, extra), (flop_registry, torchs)):
            registry.clear()
            registry.update(before)
        formulas.MISSING[:] = missing
        operator.cache_clear()


def _run(path: Path) -> None:
    if not path.is_file():
        raise TargetError(f"there is no file {path}", "--formulas takes a Python file that registers MAC formulas")
    try:
        runpy.run_path(str(path))
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        raise TargetError(f"the formulas in {path} cannot be loaded: {said}", users_frames(error)) from error
