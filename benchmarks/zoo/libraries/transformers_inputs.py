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
    "gemma4_vision": lambda: {
        "pixel_values": torch.randn(1, 60 * 42, 3 * 16 * 16),
        "pixel_position_ids": torch.stack(torch.meshgrid(torch.arange(60), torch.arange(42), indexing="ij"), -1).view(
            1, -1, 2
        ),
    },
}
