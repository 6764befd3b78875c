"""A folder of `torch.distributed.checkpoint`: its `.metadata` has all names, shapes and dtypes.

That file is a pickle of `Metadata` (torch/distributed/checkpoint/metadata.py). It is read as plain values, without
torch; whatever names another class than those below is refused. The files with the values are only looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.contents import (
    LARGEST,
    LARGEST_HEADER,
    Contents,
    Stored,
    damaged,
    is_plain_name,
    is_size,
    opened,
)
from alexnet_cli.targets.checkpoint.plain_pickle import Made, Name, read_plain
from alexnet_cli.targets.checkpoint.safetensors import BITS, MOST_DIMENSIONS

_ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo", "_StoragePrefix"},
    "torch.serialization": {"_get_layout"},
    "collections": {"OrderedDict"},
    "pathlib": {"Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "pathlib._local": {"Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
}
_SHOWN = 100
_NOT_THE_MODEL = ("optim", "lr_sched", "scheduler", "scaler", "train_state", "dataloader")


def read_distributed(path: Path) -> Contents:
    """Read which tensors of the model the checkpoint with this metadata has; those of optimizers are left out.

    Raises:
        TargetError: it cannot be read, holds Python objects, or is damaged.
    """
    with opened(path) as (file, size):
        if size > LARGEST_HEADER:
            raise damaged(path, f"{size:,} bytes are too many for metadata")
        data = file.read()
    found = read_plain(path, data, _is_allowed, "it is not what torch.distributed.checkpoint writes")
    entries = found.get("state_dict_metadata") if isinstance(found, Made) and found.name.name == "Metadata" else None
    if not isinstance(entries, dict):
        raise damaged(path, "it holds no metadata of torch.distributed.checkpoint")
    held = {key: _tensor(path, key, entry) for key, entry in entries.items() if _is_tensor(key, entry)}
    place, tensors = _of_the_model(held, found.get("planner_data"))
    if not tensors:
        raise TargetError(f"{path} has no tensors", "save a state_dict with torch.distributed.checkpoint")
    where = f", the model under {place!r}" if place else ""
    left = f" ({len(held) - len(tensors):,} other tensors are not counted)" if len(tensors) < len(held) else ""
    return Contents(tensors, f"a distributed checkpoint{where}{left}", _missing(path, found.get("storage_data")))


def _is_allowed(name: Name) -> bool:
    return name.name in _ALLOWED.get(name.module, ()) or (
        name.module == "torch" and (name.name == "Size" or name.name in BITS)
    )


def _is_tensor(key: object, entry: object) -> bool:
    return isinstance(key, str) and isinstance(entry, Made) and entry.name.name == "TensorStorageMetadata"


def _tensor(path: Path, key: str, entry: Made) -> Stored:
    shape, properties = _sizes(entry.get("size")), entry.get("properties")
    state = properties.state if isinstance(properties, Made) else ()
    dtype = state[0] if isinstance(state, tuple) and state else None
    if shape is None or not isinstance(dtype, Name) or dtype.name not in BITS:
        raise damaged(path, f"the tensor {key[:_SHOWN]!r} has no shape or no dtype")
    elements = prod(shape)
    if elements > LARGEST:
        raise damaged(path, f"the tensor {key[:_SHOWN]!r} has an impossible shape")
    return Stored(shape, dtype.name, -(-elements * BITS[dtype.name] // 8))


def _sizes(value: object) -> tuple[int, ...] | None:
    """Read a `torch.Size`, which is made of a tuple."""
    if not isinstance(value, Made) or value.name != Name("torch", "Size") or len(value.arguments) > 1:
        return None
    sizes = value.arguments[0] if value.arguments else ()
    if not isinstance(sizes, tuple) or len(sizes) > MOST_DIMENSIONS:
        return None
    return sizes if all(map(is_size, sizes)) else None


def _of_the_model(held: dict[str, Stored], planner_data: Any) -> tuple[str, dict[str, Stored]]:
    """Return the place of the model in what was saved, and its tensors by their own keys.

    The planner says by which keys each was reached; without it the keys are those of a flat state_dict.
    """
    paths = planner_data if isinstance(planner_data, dict) else {}
    keys = {key: _place(paths.get(key), key) for key in held}
    places = Counter(path[0] for path in keys.values())
    of_model = [place for place in places if not place.startswith(_NOT_THE_MODEL)] or list(places)
    place = max(of_model, key=lambda each: places[each], default="")
    return place, {keys[key][1]: tensor for key, tensor in held.items() if keys[key][0] == place}


def _place(path: Any, key: str) -> tuple[str, str]:
    """Return the first of the keys that lead to a tensor, and the rest; the first is empty in a flat state_dict."""
    first, _, rest = key.partition(".")
    if isinstance(path, tuple) and len(path) > 1:
        first = path[0] if isinstance(path[0], str) else ""
        return (first, key[len(first) + 1 :]) if first and key.startswith(f"{first}.") else ("", key)
    return (first, rest) if path is None and rest and first.startswith(_NOT_THE_MODEL) else ("", key)


def _missing(path: Path, storage_data: Any) -> str | None:
    """Say which of the files with the values are not there; only plain names are looked for."""
    names = set(_file_names(storage_data))
    missing = sorted(name for name in names if not is_plain_name(name) or not (path.parent / name).is_file())
    return f"{len(missing):,} of its {len(names):,} files are not in the folder" if missing else None


def _file_names(storage_data: Any) -> Iterator[str]:
    for info in storage_data.values() if isinstance(storage_data, dict) else ():
        name = info.get("relative_path") if isinstance(info, Made) else None
        if isinstance(name, str):
            yield name
