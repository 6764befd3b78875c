"""All architectures of the zoo, by library."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from zoo.architecture import Architecture

LIBRARIES = {
    "transformers": "transformers_models",
    "timm": "timm_models",
    "torchvision": "torchvision_models",
    "diffusers": "diffusers_models",
    "segmentation-models-pytorch": "smp_models",
}
"""The modules in `zoo.libraries`; each has `ARCHITECTURES`."""


def of_library(library: str) -> dict[str, Architecture]:
    """Return a library's architectures by their names."""
    module = import_module(f"zoo.libraries.{LIBRARIES[library]}")
    return {each.name: each for each in module.ARCHITECTURES}


def model(library: str, name: str) -> Any:
    """Build an architecture; what the target files call."""
    return of_library(library)[name].make()


def inputs(library: str, name: str) -> Any:
    """Return what an architecture's forward is called with."""
    made = of_library(library)[name].inputs
    return None if made is None else made()
