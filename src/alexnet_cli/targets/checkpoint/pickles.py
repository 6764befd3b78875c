"""What a file that `torch.save` wrote would do when loaded, told without loading it.

Nothing here unpickles: the opcodes of the pickles are read one by one. It keeps from torch what it would refuse, or
what would make it fill the memory, and names what stands in the way.
"""

from __future__ import annotations

import pickletools
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.files import LARGEST_HEADER, damaged


class Checked(NamedTuple):
    """A file that torch may load: its format, and how many bytes of it are tensors."""

    format: Literal["zip", "legacy"]
    tensor_bytes: int


_ZIP = b"PK\x03\x04"
_LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # the magic number 0x1950a86a20f9469cfc6c, pickled
_PICKLE = b"\x80"
_TENSORS = "data/"
_LEGACY_PICKLES = 5  # magic number, protocol version, system, object, keys of the storages
_LARGEST_RATIO = 20  # torch compresses nothing
_LARGEST_DIRECTORY = 100_000_000

_HARMLESS = frozenset(
    {
        "collections OrderedDict",
        "collections Counter",
        "_codecs encode",
        "builtins set",
        "builtins complex",
        "__builtin__ set",
        "__builtin__ complex",
    }
)
"""What torch's weights-only unpickler takes beside its own names; not bytearray, which can ask for any memory."""


def check_pickled(path: Path, file: BinaryIO, size: int) -> Checked:
    """Check a file before torch sees it.

    Raises:
        TargetError: it was not written by `torch.save`, it would grow out of all proportion, or its pickle names
            Python objects.
    """
    start = file.read(len(_LEGACY))
    file.seek(0)
    if start.startswith(_ZIP):
        return Checked("zip", _check_zip(path, file, size))
    if start == _LEGACY:
        _check_pickle(path, _Limited(file, path), _LEGACY_PICKLES)
        return Checked("legacy", size - file.tell())
    if start.startswith(_PICKLE):
        _check_pickle(path, _Limited(file, path), 1)
        raise damaged(path, "it is a pickle, but not one that torch.save wrote")
    raise damaged(path, "it was not written by torch.save")


def python_objects(path: Path, names: str) -> TargetError:
    """Return the error that a checkpoint holds more than tensors."""
    return TargetError(
        f"{path} contains Python objects ({names}) that are never loaded, because loading would run code",
        "save the state_dict: torch.save(model.state_dict(), path)",
    )


class _Limited:
    """A file of which only so much can be read: lengths that a file states can be lies."""

    def __init__(self, file: BinaryIO, path: Path, limit: int = LARGEST_HEADER) -> None:
        self._file = file
        self._path = path
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or to the end if that is negative.

        Raises:
            TargetError: that is more than the limit.
        """
        if size > self._left:
            raise damaged(self._path, "its directory or pickle is too large")
        data = self._file.read(self._left + 1 if size < 0 else size)
        if len(data) > self._left:
            raise damaged(self._path, "its directory or pickle is too large")
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        """Read a line, which a pickle has in the names of Python objects."""
        line = self._file.readline(self._left)
        self._left -= len(line)
        return line

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Tell the place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Say that it can be moved in."""
        return True


def _check_zip(path: Path, file: BinaryIO, size: int) -> int:
    limited = _Limited(file, path, _LARGEST_DIRECTORY + LARGEST_HEADER)
    try:
        with ZipFile(limited) as archive:
            entries = archive.infolist()
            _check_entries(path, entries, size)
            for entry in entries:
                if _name(entry) == "data.pkl":
                    with archive.open(entry) as pickle:
                        _check_pickle(path, _Limited(pickle, path), 1)  # type: ignore[arg-type] # it can be read
            return sum(entry.file_size for entry in entries if _name(entry).startswith(_TENSORS))
    except TargetError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds for damaged archives
        raise damaged(path, f"its zip archive is damaged ({error or type(error).__name__})") from error


def _check_entries(path: Path, entries: list[ZipInfo], size: int) -> None:
    names = [_name(entry) for entry in entries]
    if "constants.pkl" in names:
        raise TargetError(
            f"{path} is a TorchScript archive: a program, of which nothing is ever loaded",
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
    """Return the name of an entry below the folder that torch.save puts all of them in."""
    return entry.filename.partition("/")[2]


def _check_pickle(path: Path, file: _Limited, count: int) -> None:
    names: list[str] = []
    try:
        for _ in range(count):
            names += _named_objects(file)
    except TargetError:
        raise
    except Exception as error:  # pickletools raises many kinds for what is not a pickle
        raise damaged(path, f"its pickle is damaged ({error})") from error
    refused = dict.fromkeys(
        name.replace(" ", ".") for name in names if name not in _HARMLESS and not name.startswith("torch")
    )
    if refused:
        raise python_objects(path, ", ".join(list(refused)[:3]))


def _named_objects(file: _Limited) -> list[str]:
    """List the Python objects that one pickle names, as `module name`."""
    names = []
    texts = ["?", "?"]
    for opcode, argument, _ in pickletools.genops(file):  # type: ignore[arg-type] # read and readline are all it uses
        if opcode.name in {"GLOBAL", "INST"}:
            names.append(str(argument))
        elif opcode.name == "STACK_GLOBAL":  # takes the last two strings; good enough to name them
            names.append(" ".join(texts[-2:]))
        elif opcode.name.startswith("EXT"):
            names.append(f"copyreg extension_{argument}")
        elif isinstance(argument, str):
            texts = [texts[-1], argument]
    return names
