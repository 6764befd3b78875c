"""`*.pt`, `*.pth`, `*.bin`: what `torch.save` wrote.

A file is first checked without unpickling it: its opcodes are read one by one. That keeps from torch what it would
refuse or what would make it fill the memory, and names the reason. Then torch's own weights-only loader reads it, with
tensors that have shapes but no values.
"""

from __future__ import annotations

import contextlib
import pickletools
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, BinaryIO, Literal
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from alexnet_cli.errors import TargetError, first_line
from alexnet_cli.targets.checkpoint.contents import (
    LARGEST_HEADER,
    Contents,
    Limited,
    Stored,
    damage,
    damaged,
    opened,
    python_objects,
)

if TYPE_CHECKING:
    from torch import Tensor

_Format = Literal["zip", "legacy"]
_ZIP = b"PK\x03\x04"
_LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # the magic number 0x1950a86a20f9469cfc6c, pickled
_PICKLE = b"\x80"
_TENSORS = "data/"
_LEGACY_PICKLES = 5  # magic number, protocol version, system, object, keys of the storages
_LARGEST_RATIO = 20  # torch compresses nothing
_LARGEST_DIRECTORY = 100_000_000
_HARMLESS = (
    *("collections OrderedDict", "collections Counter", "_codecs encode"),
    *("builtins set", "builtins complex", "__builtin__ set", "__builtin__ complex"),
)
"""What torch's weights-only unpickler takes beside its own names; not bytearray, which can ask for any memory."""

_SAVE = "save the state_dict: torch.save(model.state_dict(), path)"
_REFUSED = re.compile(r"(?:unsupported )?GLOBAL ([\w.]+)")
_UNAVAILABLE = re.compile("mmap|skip_data")
"""In what torch says where the file is larger than a mapping may be, or where it cannot skip data while loading."""

_NOT_THE_MODEL = ("optim", "lr_sched", "scheduler", "scaler", "callbacks", "loops")
_TIES_UNKNOWN = "this torch does not tell which tensors share memory, so shared ones are counted each time"


def read_torch_file(path: Path) -> Contents:
    """Read which tensors the state_dict in a file has.

    Raises:
        TargetError: it cannot be read, holds Python objects or no state_dict, or is cut short.
    """
    with opened(path) as (file, size):
        file_format, there = _check(path, file, size)
    loaded, ties_known = _load(path, file_format)
    place, state = _state_dict(path, loaded)
    with damage(path, "its tensors cannot be described"):  # there are kinds that have neither shape nor storage
        tensors, taken = _describe(state)
    if taken > there:
        raise damaged(path, f"its tensors should take {taken:,} bytes, but the file has {there:,} for them")
    what = "a file of torch.save"
    return Contents(
        tensors, f"{what}, its state_dict under {place!r}" if place else what, None if ties_known else _TIES_UNKNOWN
    )


def mapped_tensor(path: Path, key: str) -> Tensor | None:
    """Return a tensor of the state_dict in a file, mapped into memory; None if there is none of that key.

    Raises:
        TargetError: as for `read_torch_file`, or the file is of the older format, which cannot be mapped.
    """
    with opened(path) as (file, size):
        file_format, _ = _check(path, file, size)
    if file_format == "legacy":
        raise TargetError(
            f"{path} has torch's older format, of which no tensor can be read alone",
            "save it again: torch.save(torch.load(path, weights_only=True), path)",
        )
    loaded, failure = _attempt(path, "mapped")
    if failure is not None:
        raise damaged(path, f"torch cannot map it into memory ({first_line(failure)})") from failure
    return _state_dict(path, loaded)[1].get(key)


def _check(path: Path, file: BinaryIO, size: int) -> tuple[_Format, int]:
    """Check a file before torch sees it; return its format, and how many of its bytes are tensors."""
    start = file.read(len(_LEGACY))
    file.seek(0)
    if start.startswith(_ZIP):
        return "zip", _check_zip(path, file, size)
    if start == _LEGACY:
        _check_pickle(path, Limited(file, path), _LEGACY_PICKLES)
        return "legacy", size - file.tell()
    if start.startswith(_PICKLE):
        _check_pickle(path, Limited(file, path), 1)
        raise damaged(path, "it is a pickle, but not one that torch.save wrote")
    raise damaged(path, "it was not written by torch.save")


def _check_zip(path: Path, file: BinaryIO, size: int) -> int:
    """Check an archive, and return how many bytes of tensors it has."""
    limited: Any = Limited(file, path, _LARGEST_DIRECTORY + LARGEST_HEADER)
    with damage(path, "its zip archive is damaged"), ZipFile(limited) as archive:
        entries = archive.infolist()
        _check_entries(path, entries, size)
        for entry in entries:
            if _name(entry) == "data.pkl":
                with archive.open(entry) as pickle:
                    _check_pickle(path, Limited(pickle, path), 1)  # type: ignore[arg-type] # it can be read
        return sum(entry.file_size for entry in entries if _name(entry).startswith(_TENSORS))


def _check_entries(path: Path, entries: list[ZipInfo], size: int) -> None:
    names = [_name(entry) for entry in entries]
    if "constants.pkl" in names:
        raise TargetError(
            f"{path} is a TorchScript archive, which is a program; programs are never loaded",
            "save the state_dict: torch.save(torch.jit.load(path).state_dict(), path)",
        )
    if names.count("data.pkl") != 1:
        raise damaged(path, "it is a zip archive, but not one that torch.save wrote")
    unpacked = sum(entry.file_size for entry in entries)
    compressed = any(entry.compress_type != ZIP_STORED for entry in entries)
    read = sum(entry.file_size for entry, name in zip(entries, names, strict=True) if not name.startswith(_TENSORS))
    if unpacked > size * (_LARGEST_RATIO if compressed else 1) or read > LARGEST_HEADER:
        raise damaged(path, f"it has {size:,} bytes and would unpack to {unpacked:,} (a zip bomb)")


def _name(entry: ZipInfo) -> str:
    """Return the name of an entry below the folder into which torch.save puts all entries."""
    return entry.filename.partition("/")[2]


def _check_pickle(path: Path, file: Limited, count: int) -> None:
    names: list[str] = []
    with damage(path, "its pickle is damaged"):
        for _ in range(count):
            names += _named_objects(file)
    refused = dict.fromkeys(
        name.replace(" ", ".") for name in names if name not in _HARMLESS and not name.startswith("torch")
    )
    if refused:
        raise python_objects(path, ", ".join(list(refused)[:3]), _SAVE)


def _named_objects(file: Limited) -> list[str]:
    """List the Python objects that one pickle names, as `module name`."""
    names = []
    texts = ["?", "?"]
    for opcode, argument, _ in pickletools.genops(file):  # type: ignore[arg-type] # it uses only read and readline
        if opcode.name in {"GLOBAL", "INST"}:
            names.append(str(argument))
        elif opcode.name == "STACK_GLOBAL":  # takes the last two strings; good enough to name them
            names.append(" ".join(texts[-2:]))
        elif opcode.name.startswith("EXT"):
            names.append(f"copyreg extension_{argument}")
        elif isinstance(argument, str):
            texts = [texts[-1], argument]
    return names


def _load(path: Path, file_format: _Format) -> tuple[Any, bool]:
    """Load the object, and tell whether its tensors show which memory they share.

    On `meta`, no value is read; but only newer torches mark the storages of a zip archive with their place in the
    file there, and never those of the older format. Mapped into memory, or with the data skipped, storages have
    addresses, and memory that is never touched. A mapping may not be larger than the machine's memory, so it is the
    second choice; it is needed for quantised tensors, which do not exist on `meta`.
    """
    from alexnet_cli import torch_insides

    marked = file_format == "zip" and torch_insides.meta_storages_are_marked()
    other = {"zip": "mapped", "legacy": "skipped"}[file_format]
    failures: list[Exception] = []
    for way in ("meta", other) if marked else (other, "meta"):
        loaded, failure = _attempt(path, way)
        if failure is None:
            return loaded, way != "meta" or marked
        failures.append(failure)
        if isinstance(failure, UnpicklingError) or (way == other and not _UNAVAILABLE.search(str(failure))):
            break
    refused = _REFUSED.search(str(failures[-1]))
    if refused:
        raise python_objects(path, refused[1], _SAVE) from failures[-1]
    said = str(failures[0])
    reason = said.partition("WeightsUnpickler error:")[2].strip() or said or type(failures[0]).__name__
    raise damaged(path, f"torch cannot load it with weights_only ({reason.splitlines()[0]})") from failures[0]


def _attempt(path: Path, way: str) -> tuple[Any, Exception | None]:
    import torch

    from alexnet_cli import torch_insides

    device = "meta" if way == "meta" else "cpu"
    try:
        skipped = torch.serialization.skip_data() if way == "skipped" else contextlib.nullcontext()
        with skipped, torch_insides.sparse_tensors_unchecked(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mapped = True if way == "mapped" else None
            return torch.load(path, map_location=device, weights_only=True, mmap=mapped), None
    except Exception as error:  # noqa: BLE001 - a damaged file makes torch raise nearly anything
        return None, error


def _state_dict(path: Path, loaded: Any) -> tuple[str, dict[str, Tensor]]:
    """Find the dict with the most tensors, and the keys that lead to it; those of optimizers come last."""
    from torch import Tensor

    best: tuple[str, dict[str, Tensor]] | None = None
    for place, mapping in _mappings(loaded):
        tensors = {key: held for key, held in mapping.items() if isinstance(key, str) and isinstance(held, Tensor)}
        if tensors and (best is None or _rank(place, tensors) > _rank(*best)):
            best = place, tensors
    if best is None:
        kind = f"a {type(loaded).__name__}" if not isinstance(loaded, dict) else "a dict without tensors"
        raise TargetError(f"{path} holds {kind}, not a state_dict", "save one: torch.save(model.state_dict(), path)")
    return best


def _mappings(loaded: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield the dicts in dicts with the keys that lead to them, each once however often it is referred to."""
    waiting = [("", loaded)] if isinstance(loaded, dict) else []
    seen = {id(loaded)}
    for place, mapping in waiting:  # grows during the loop
        yield place, mapping
        for key, value in mapping.items():
            if isinstance(value, dict) and id(value) not in seen:
                seen.add(id(value))
                waiting.append((f"{place}.{key}" if place else str(key), value))


def _rank(place: str, tensors: dict[str, Tensor]) -> tuple[bool, int]:
    of_model = not any(part.startswith(_NOT_THE_MODEL) for part in place.split("."))
    return of_model, len(tensors)


def _describe(state: dict[str, Tensor]) -> tuple[dict[str, Stored], int]:
    """Return the tensors as plain values, and how many bytes of the file their storages take."""
    from alexnet_cli import torch_insides

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
            torch_insides.stored_bytes(tensor),
            None if same_as == key else same_as,
        )
    return found, sum(storages.values())


def _place(tensor: Tensor) -> tuple[int, int] | None:
    """Return an id of a tensor's storage, negative if it has none in the file, and the tensor's offset in it."""
    import torch

    from alexnet_cli import torch_insides

    if tensor.layout is not torch.strided or not tensor.numel():
        return None
    storage = tensor.untyped_storage()
    place = torch_insides.place_in_file(storage) or (storage.data_ptr() if tensor.device.type == "cpu" else 0)
    return (place or -id(tensor), int(tensor.storage_offset()))
