"""`*.pt`, `*.pth`, `*.bin`: what `torch.save` wrote, by torch's own weights-only loader."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.files import damaged, opened
from alexnet_cli.targets.checkpoint.pickles import Checked, check_pickled, python_objects
from alexnet_cli.targets.checkpoint.stored import Contents, Stored

if TYPE_CHECKING:
    from torch import Tensor

_REFUSED = re.compile(r"(?:unsupported )?GLOBAL ([\w.]+)")
_NOT_THE_MODEL = ("optim", "lr_sched", "scheduler", "scaler", "callbacks", "loops")


def read_torch_file(path: Path) -> Contents:
    """Read which tensors the state_dict in a file has.

    Raises:
        TargetError: it cannot be read, holds Python objects or no state_dict, or is cut short.
    """
    with opened(path) as (file, size):
        checked = check_pickled(path, file, size)
    loaded = _load(path, checked)
    place, state = _state_dict(path, loaded)
    try:
        tensors, taken = _describe(state)
    except Exception as error:  # kinds of tensors that have neither shape nor storage
        raise damaged(path, f"its tensors cannot be described ({error})") from error
    if taken > checked.tensor_bytes:
        there = checked.tensor_bytes
        raise damaged(path, f"its tensors should take {taken:,} bytes, the file has {there:,} for them")
    what = "a file of torch.save"
    return Contents(tensors, f"{what}, its state_dict under {place!r}" if place else what)


def _load(path: Path, checked: Checked) -> Any:
    """Load the object with tensors that have shapes but no values.

    Zip archives are loaded to the meta device, which reads no value. Loading the older format there would forget
    which tensors share memory; with the data skipped, it gets memory that is never touched.
    """
    import torch

    meta = checked.format == "zip"
    skipped = contextlib.nullcontext() if meta else torch.serialization.skip_data()
    try:
        with skipped, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # not mmap=True: on the meta device it does nothing but map the file, which fails if that exceeds the memory
            return torch.load(path, map_location="meta" if meta else "cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise nearly anything
        said = str(error)
        refused = _REFUSED.search(said)
        if refused:
            raise python_objects(path, refused[1]) from error
        reason = said.partition("WeightsUnpickler error:")[2].strip() or said or type(error).__name__
        raise damaged(path, f"torch cannot load it with weights_only ({reason.splitlines()[0]})") from error


def _state_dict(path: Path, loaded: Any) -> tuple[str, dict[str, Tensor]]:
    """Find the dict with the most tensors, and the keys that lead to it; what optimizers keep comes last."""
    best: tuple[str, dict[str, Tensor]] | None = None
    for place, mapping in _mappings(loaded):
        tensors = _tensors_in(mapping)
        if tensors and (best is None or _rank(place, tensors) > _rank(*best)):
            best = place, tensors
    if best is None:
        kind = f"a {type(loaded).__name__}" if not isinstance(loaded, dict) else "a dict without tensors"
        raise TargetError(f"{path} holds {kind}, not a state_dict", "save one: torch.save(model.state_dict(), path)")
    return best


def _mappings(loaded: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Go through the dicts in dicts, each once however often it is referred to."""
    waiting = [("", loaded)] if isinstance(loaded, dict) else []
    seen = {id(loaded)}
    for place, mapping in waiting:  # grows while it is gone through
        yield place, mapping
        for key, value in mapping.items():
            if isinstance(value, dict) and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{place}.{key}" if place else str(key), value))


def _tensors_in(mapping: dict[Any, Any]) -> dict[str, Tensor]:
    from torch import Tensor

    return {key: value for key, value in mapping.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _rank(place: str, tensors: dict[str, Tensor]) -> tuple[bool, int]:
    of_model = not any(part.startswith(_NOT_THE_MODEL) for part in place.split("."))
    return of_model, len(tensors)


def _describe(state: dict[str, Tensor]) -> tuple[dict[str, Stored], int]:
    """Return the tensors as plain values, and the bytes that their storages take in the file."""
    first: dict[tuple[int, ...], str] = {}
    storages: dict[int, int] = {}
    found = {}
    for key, tensor in state.items():
        same_as = None
        place = _place(tensor)
        if place is not None:
            same_as = first.setdefault((*place, tensor.numel()), key)
            if place[0] > 0:
                storages[place[0]] = tensor.untyped_storage().nbytes()
        found[key] = Stored(
            tuple(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            tensor.numel() * tensor.element_size(),
            None if same_as == key else same_as,
        )
    return found, sum(storages.values())


def _place(tensor: Tensor) -> tuple[int, int] | None:
    """Tell where a tensor's values are: an id of its storage, negative if it has none in the file, and the offset."""
    import torch

    if tensor.layout is not torch.strided or not tensor.numel():
        return None
    storage = tensor.untyped_storage()
    # torch marks meta storages with their place in the file; tensors that were saved from meta have none
    place = getattr(storage, "_checkpoint_offset", None) or (storage.data_ptr() if tensor.device.type == "cpu" else 0)
    return (place or -id(tensor), int(tensor.storage_offset()))
