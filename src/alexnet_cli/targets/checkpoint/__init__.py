"""Checkpoints as targets: which tensors a file holds, without loading their values or running any code in it."""

from __future__ import annotations

SAFETENSORS = (".safetensors",)
TORCH = (".pt", ".pth", ".bin")
GGUF = (".gguf",)
INDEX = ".index.json"
SUFFIXES = (*SAFETENSORS, *TORCH, *GGUF, *(suffix + INDEX for suffix in (*SAFETENSORS, *TORCH)))


def is_checkpoint(target: str) -> bool:
    """Recognise a checkpoint by its suffix."""
    return target.endswith(SUFFIXES)
