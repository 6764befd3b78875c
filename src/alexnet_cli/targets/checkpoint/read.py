"""A checkpoint of any kind, in one file or in several with an index, as a report of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from alexnet_cli.errors import TargetError
from alexnet_cli.report import Model, Report, Totals
from alexnet_cli.report_json import generator
from alexnet_cli.stored import StoredTensor
from alexnet_cli.targets.checkpoint import GGUF, INDEX, SAFETENSORS, SUFFIXES, TORCH, distributed_metadata
from alexnet_cli.targets.checkpoint.contents import (
    LARGEST,
    LARGEST_HEADER,
    Contents,
    Stored,
    damaged,
    is_plain_name,
    opened,
    read_json,
)
from alexnet_cli.targets.checkpoint.distributed import read_distributed
from alexnet_cli.targets.checkpoint.layers import is_buffer, module_tree, rows
from alexnet_cli.targets.checkpoint.quantised import as_the_model_has_them, quantisation_beside
from alexnet_cli.targets.checkpoint.safetensors import read_safetensors
from alexnet_cli.targets.exported import is_exported

_LISTED = 5
_NOT_SAID = (
    "layer types are inferred from names and shapes, and a checkpoint does not say which parameters are trainable"
)


def checkpoint_report(target: str) -> Report:
    """Return the report of a checkpoint in a file or a folder.

    Raises:
        TargetError: the file cannot be read, is damaged, or holds more than tensors.
    """
    return report_of(read_contents(Path(target)), target)


def report_of(contents: Contents, target: str) -> Report:
    """Return a checkpoint's report: a row for each module in its keys, with inferred layer types and no MACs.

    Raises:
        TargetError: the tensors cannot be of one checkpoint.
    """
    path = Path(target)
    if sum(max(tensor.size_bytes, tensor.elements) for tensor in contents.tensors.values()) > LARGEST:
        raise damaged(path, "its tensors are larger than any file")
    try:
        layers = rows(module_tree(contents.tensors))
    except ValueError as error:
        raise damaged(path, str(error)) from error
    params = sum(layer.params for layer in layers)
    totals = Totals(
        params=params,
        trainable_params=params,
        frozen_params=0,
        buffers=sum(layer.buffers for layer in layers),
        param_bytes=sum(layer.param_bytes for layer in layers),
        macs=None,
        flops=None,
        layers=sum(layer.leaf for layer in layers),
    )
    about = "; ".join(filter(None, (contents.description, contents.note, _NOT_SAID)))
    return Report(generator(), Model(target, "Checkpoint", about), None, None, layers, totals)


def stored_tensors(path: Path) -> tuple[StoredTensor, ...]:
    """Return the tensors of a checkpoint of any kind, in the order of its file.

    Raises:
        TargetError: as for `read_contents`.
    """
    return tuple(
        StoredTensor(
            key=key,
            shape=held.shape,
            dtype=held.dtype,
            elements=held.elements,
            bytes=held.size_bytes,
            buffer=is_buffer(key.rpartition(".")[2], held),
            same_as=held.same_as,
            packed=held.packed,
        )
        for key, held in read_contents(path).tensors.items()
    )


def read_contents(path: Path) -> Contents:
    """Read which tensors a checkpoint of any kind holds; quantised weights are as the model has them.

    Raises:
        TargetError: as for `checkpoint_report`, or the suffix is not one of a checkpoint.
    """
    return as_the_model_has_them(_contents(path), quantisation_beside(path))


def _contents(path: Path) -> Contents:
    metadata = distributed_metadata(path)
    if metadata is not None:
        return read_distributed(metadata)
    if path.name.endswith(GGUF):
        from alexnet_cli.targets.checkpoint.gguf import read_gguf

        return read_gguf(path)
    if is_exported(path.name):
        from alexnet_cli.targets.exported.program import read_weights

        return read_weights(path)
    name, read = path.name.removesuffix(INDEX), read_safetensors
    suffixes = TORCH if name.endswith(TORCH) else SAFETENSORS
    if suffixes is TORCH:
        from alexnet_cli.targets.checkpoint.torch_file import read_torch_file

        read = read_torch_file
    elif not name.endswith(SAFETENSORS):
        raise damaged(path, f"its name does not end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    return read(path) if name == path.name else _sharded(path, suffixes, read)


def _sharded(path: Path, suffixes: tuple[str, ...], read: Callable[[Path], Contents]) -> Contents:
    """Read which tensors the files of an index hold; they are beside it, and end in one of `suffixes`."""
    places = weight_map(path, suffixes)
    names = list(dict.fromkeys(places.values()))
    missing = [name for name in names if not (path.parent / name).exists()]
    if missing:
        raise TargetError(
            f"{len(missing)} of the {len(names)} files listed in {path} are missing: {_some(missing)}",
            "put them in the same folder",
        )
    return merged(path, places, {name: read(path.parent / name) for name in names})


def merged(path: Path, places: dict[str, str], shards: dict[str, Contents]) -> Contents:
    """Return which tensors the files of the index at `path` hold together.

    Raises:
        TargetError: a tensor is not in the file that the index names.
    """
    astray = [key for key, name in places.items() if key not in shards[name].tensors]
    if astray:
        raise damaged(path, f"{len(astray):,} tensors are not in the files it names: {_some(astray)}")
    tensors = {key: shards[name].tensors[key] for key, name in places.items()}
    notes = [shard.note for shard in shards.values() if shard.note]
    return Contents(
        _with_own_ties(tensors, places),
        _description(tensors, shards),
        notes[0] if notes else None,
        {key: value for shard in shards.values() for key, value in shard.values.items()},
        {key: value for shard in shards.values() for key, value in shard.metadata.items()},
    )


def weight_map(path: Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Read in which file an index says that each tensor is.

    Raises:
        TargetError: it is no such index, or names a file that is not beside it.
    """
    with opened(path) as (file, size):
        if size > LARGEST_HEADER:
            raise damaged(path, f"{size:,} bytes are too many for an index")
        index = read_json(file.read(), path, "content")
    places = index.get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise damaged(path, "it has no weight_map from tensors to files")
    for name in dict.fromkeys(places.values()):
        if not is_plain_name(name) or not name.endswith(suffixes):
            raise damaged(path, f"it names {name!r}, which is not a {' or '.join(suffixes)} file beside it")
    return places


def _with_own_ties(tensors: dict[str, Stored], places: dict[str, str]) -> dict[str, Stored]:
    """Drop ties to tensors that the index takes from another file, or leaves out."""
    return {
        key: tensor
        if tensor.same_as is None or places.get(tensor.same_as) == places[key]
        else Stored(tensor.shape, tensor.dtype, tensor.size_bytes)
        for key, tensor in tensors.items()
    }


def _description(tensors: dict[str, Stored], shards: dict[str, Contents]) -> str:
    left = sum(len(shard.tensors) for shard in shards.values()) - len(tensors)
    unlisted = f" ({left:,} tensors in them are missing from the index and not counted)" if left else ""
    return f"a checkpoint in {len(shards)} files{unlisted}"


def _some(names: Iterable[str]) -> str:
    first = list(names)
    more = f" and {len(first) - _LISTED:,} more" if len(first) > _LISTED else ""
    return ", ".join(first[:_LISTED]) + more
