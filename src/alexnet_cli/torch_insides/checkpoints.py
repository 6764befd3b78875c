"""How torch loads a checkpoint without its values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from threading import get_ident
from typing import Any

import torch

from alexnet_cli.torch_insides.names import look_up, replaced


def place_in_file(storage: Any) -> int | None:
    """Return where in a checkpoint a storage on meta has its values; None if torch does not mark it, or it has none."""
    return getattr(storage, "_checkpoint_offset", None) or None


@cache
def meta_storages_are_marked() -> bool:
    """Tell whether this torch marks storages that it loads on meta, as of 2.9; if not, files are mapped into memory."""
    file = BytesIO()
    torch.save(torch.zeros(1), file)
    file.seek(0)
    return place_in_file(torch.load(file, map_location="meta", weights_only=True).untyped_storage()) is not None


_check_sparse: Any = look_up("_utils._validate_loaded_sparse_tensors")


@contextmanager
def sparse_tensors_unchecked() -> Iterator[None]:
    """Let this thread load sparse tensors without their values, which torch 2.6, and 2.14 and newer, want to check.

    Without the check's name such a checkpoint is mapped into memory, or refused.
    """
    if _check_sparse is None:
        yield
        return
    thread = get_ident()

    def forget(*args: Any, **kwargs: Any) -> None:
        if get_ident() != thread:
            _check_sparse(*args, **kwargs)
        elif waiting := getattr(torch._utils, "_get_sparse_tensors_to_validate", None):
            waiting().clear()
        else:
            getattr(torch._utils, "_sparse_tensors_to_validate", []).clear()

    with replaced(torch._utils, _validate_loaded_sparse_tensors=forget):
        yield
