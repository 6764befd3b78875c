"""`*.safetensors.index.json` and `*.bin.index.json`: which tensor lies in which of several files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.files import LARGEST_HEADER, damaged, opened, read_json
from alexnet_cli.targets.checkpoint.stored import Contents, Stored

_LISTED = 5


def read_sharded(path: Path, suffixes: tuple[str, ...], read_shard: Callable[[Path], Contents]) -> Contents:
    """Read which tensors the files of an index hold; the files lie beside it and end in one of `suffixes`.

    Raises:
        TargetError: the index or a file cannot be read, a file is missing, or a tensor is not where it should be.
    """
    places = _weight_map(path, suffixes)
    names = list(dict.fromkeys(places.values()))
    missing = [name for name in names if not (path.parent / name).exists()]
    if missing:
        raise TargetError(
            f"{len(missing)} of the {len(names)} files that {path} lists are missing: {_some(missing)}",
            "put them beside it",
        )
    shards = {name: read_shard(path.parent / name).tensors for name in names}
    astray = [key for key, name in places.items() if key not in shards[name]]
    if astray:
        raise damaged(path, f"{len(astray):,} tensors are not in the files that it says: {_some(astray)}")
    tensors = {key: shards[name][key] for key, name in places.items()}
    return Contents(_with_own_ties(tensors, places), _description(tensors, shards))


def _weight_map(path: Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    with opened(path) as (file, size):
        if size > LARGEST_HEADER:
            raise damaged(path, f"an index of {size:,} bytes cannot be")
        index = read_json(file.read(), path, "content")
    places = index.get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise damaged(path, "it has no weight_map from tensors to files")
    for name in dict.fromkeys(places.values()):
        if not _is_plain_name(name) or not name.endswith(suffixes):
            raise damaged(path, f"it names {name!r}, which is not a {' or '.join(suffixes)} file beside it")
    return places


def _is_plain_name(name: str) -> bool:
    """Tell whether a name stays in the folder, on any system."""
    return name == PurePosixPath(name).name == PureWindowsPath(name).name and "\0" not in name


def _with_own_ties(tensors: dict[str, Stored], places: dict[str, str]) -> dict[str, Stored]:
    """Drop ties to tensors that the index takes from another file, or not at all."""
    return {
        key: tensor
        if tensor.same_as is None or places.get(tensor.same_as) == places[key]
        else Stored(tensor.shape, tensor.dtype, tensor.size_bytes)
        for key, tensor in tensors.items()
    }


def _description(tensors: dict[str, Stored], shards: dict[str, dict[str, Stored]]) -> str:
    left = sum(map(len, shards.values())) - len(tensors)
    unlisted = f" ({left:,} tensors in them are not in the index and not counted)" if left else ""
    return f"a checkpoint in {len(shards)} files{unlisted}"


def _some(names: Iterable[str]) -> str:
    first = list(names)
    more = f" and {len(first) - _LISTED:,} more" if len(first) > _LISTED else ""
    return ", ".join(first[:_LISTED]) + more
