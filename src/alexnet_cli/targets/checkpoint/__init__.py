"""Checkpoints as targets: which tensors a file holds, without loading their values or running any code in it."""

from __future__ import annotations

from pathlib import Path

SAFETENSORS = (".safetensors",)
TORCH = (".pt", ".pth", ".bin")
GGUF = (".gguf",)
INDEX = ".index.json"
SUFFIXES = (*SAFETENSORS, *TORCH, *GGUF, *(suffix + INDEX for suffix in (*SAFETENSORS, *TORCH)))


METADATA = ".metadata"
"""What torch.distributed.checkpoint calls the file that says what is in its folder."""
_FSDP = f"pytorch_model_fsdp_*/{METADATA}"
"""Where accelerate puts the model, beside its optimizer."""


def is_checkpoint(target: str) -> bool:
    """Recognise a checkpoint by its suffix."""
    return target.endswith(SUFFIXES)


def is_distributed(target: str) -> bool:
    """Recognise a folder of torch.distributed.checkpoint by its metadata."""
    return distributed_metadata(Path(target)) is not None


def distributed_metadata(path: Path) -> Path | None:
    """Return the metadata of the distributed checkpoint in a folder, or itself; None if there is none."""
    if path.name == METADATA:
        return path if path.is_file() else None
    if not path.is_dir():
        return None
    return next((file for file in (path / METADATA, *sorted(path.glob(_FSDP))) if file.is_file()), None)
