"""Inputs of those types of `transformers` for which the program finds none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

INPUTS: dict[str, Callable[[], Any]] = {}
