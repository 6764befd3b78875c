"""Inputs of those types of `transformers` for which the program finds none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

INPUTS: dict[str, Callable[[], Any]] = {
    "gemma3n_audio": lambda: {
        "audio_mel": torch.randn(1, 100, 128),
        "audio_mel_mask": torch.zeros(1, 100, dtype=torch.bool),
    },
}
