from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from hypothesis import settings

from alexnet_cli.__main__ import RARELY
from alexnet_cli.report import Report

os.environ.pop("COLUMNS", None)  # which the workers of pytest-xdist are given, and a terminal's user may set
settings.register_profile("untimed", deadline=None)  # a busy machine is no defect
settings.load_profile("untimed")
gc.set_threshold(*RARELY[:2])  # as in the program: with Python's own, collecting was a tenth of the workers' time


_A_LIBRARY = 100
"""More modules than a test imports for itself."""
_searched = [0]
"""How many modules there were when the garbage collector last was told to pass over them."""


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_not_searched_for_garbage() -> Iterator[None]:
    """Let the collector pass over what libraries hold: going through it took a sixth of the tests' time."""
    _pass_over_libraries()
    yield
    _pass_over_libraries()


def _pass_over_libraries() -> None:
    if len(sys.modules) > _searched[0] + _A_LIBRARY:
        _searched[0] = len(sys.modules)
        gc.collect()
        gc.freeze()


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def alexnet(capfd):
    """Run a command line in this process."""
    from alexnet_cli.cli.app import run

    def call(*arguments: str) -> Answer:
        capfd.readouterr()
        code = run(arguments)
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


_caches = count()


@pytest.fixture(scope="session", autouse=True)
def _users_cache_is_left_alone(tmp_path_factory) -> Iterator[None]:
    """Give fixtures that live long a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True)
def cache_folder(_users_cache_is_left_alone, tmp_path_factory, monkeypatch):
    """Give each test an empty cache; the folder is not there before something is kept."""
    folder = tmp_path_factory.getbasetemp() / f"cache-{next(_caches)}"
    monkeypatch.setenv("ALEXNET_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def report() -> Report:
    """The notebook's AlexNet as `alexnet summary` traces it."""
    from helpers import trace_target  # imports torch, which some tests do without

    return trace_target()
