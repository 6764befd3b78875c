"""Files changed at random, of each kind that is read, and asked about: read or refused, never run, never endless."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from mutations import changed_bytes, changed_json

from torture.judging import ran
from torture.material import Kept
from torture.trying import Tried

WORDS = (
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"-1",
    b"1e999",
    b"9" * 400,
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r\n",
)


def of_bytes(data: bytes, chance: Random) -> bytes:
    """Change bytes, cut the file, or put something into it."""
    match chance.randrange(10):
        case 0:
            return data[: chance.randrange(len(data) + 1)]
        case 1:
            at = chance.randrange(len(data) + 1)
            return data[:at] + chance.choice(WORDS) + data[at + chance.choice((0, 1, 4)) :]
        case _:
            return changed_bytes(data, chance)


def of_json(data: bytes, chance: Random) -> bytes:
    """Change values, so that it is JSON still."""
    if chance.random() < 0.2:
        return of_bytes(data, chance)
    return json.dumps(changed_json(json.loads(data), chance)).encode()


def of_header(data: bytes, chance: Random) -> bytes:
    """Change the values of a safetensors header, whose length is right then."""
    if chance.random() < 0.3:
        return of_bytes(data, chance)
    size = int.from_bytes(data[:8], "little")
    header = of_json(data[8 : 8 + size], chance)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def of_archive(data: bytes, chance: Random) -> bytes:
    """Change an entry of a zip file, whose checksums are right then; JSON stays JSON."""
    if chance.random() < 0.2:
        return of_bytes(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    small = [name for name, held in entries.items() if name.endswith((".json", ".pkl"))] or [*entries]
    name = chance.choice(small if chance.random() < 0.8 else [*entries])
    entries[name] = (of_json if name.endswith(".json") else of_bytes)(entries[name], chance)
    if chance.random() < 0.05:
        del entries[name]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for key, held in entries.items():
            archive.writestr(key, held)
    return made.getvalue()


class KindOfFile(NamedTuple):
    """Files, how one is changed, and the command lines that read it."""

    files: tuple[str, ...]
    change: Callable[[bytes, Random], bytes]
    asked: tuple[str, ...]


KINDS = {
    "saved report": KindOfFile(
        ("net.json", "words.json"),
        of_json,
        (
            "summary {} --no-cache",
            "params {} --by-type --json",
            "memory {}",
            "cost {} --gpu t4",
            "draw {} -f svg",
            "draw {}",
            "explain {}",
            "receptive-field {}",
            "compare {} words.json",
            "compare net.json {} --json",
            "scale {}",
            "summary {} -f html --columns params,macs,jump",
            "check {} --max-params 1M",
            "report {} -o page.html",
            "annotate {}",
            "check net.json --baseline {}",
            "memory {} --context 100",
            "draw {} -f dot --style graph",
        ),
    ),
    "safetensors": KindOfFile(("net.safetensors",), of_header, ("params {}", "summary {} --json", "draw {} -f svg")),
    "pt": KindOfFile(
        ("net.pt", "whole.pth"), of_archive, ("params {}", "summary {} --json", "compare {} net.safetensors")
    ),
    "index": KindOfFile(("net.safetensors.index.json",), of_json, ("params {}", "summary {} --json")),
    "config": KindOfFile(("llama/config.json",), of_json, ("params llama", "params llama --json", "summary llama")),
    "GGUF": KindOfFile(("net.gguf",), of_bytes, ("params {}", "summary {} --json", "compare {} net.safetensors")),
    "ONNX": KindOfFile(("net.onnx",), of_bytes, ("summary {} --json", "params {}", "memory {}", "draw {} -f svg")),
    "pt2": KindOfFile(("net.pt2",), of_archive, ("params {}", "summary {} --json", "cost {}")),
    "pyproject": KindOfFile(("pyproject.toml",), of_bytes, ("check net.json", "check net.json --json")),
    "formulas": KindOfFile(("formulas.py",), of_bytes, ("summary tiny.py:Tiny -i 3,8,8 --formulas {}",)),
    "snapshot": KindOfFile(("snapshot.pickle",), of_bytes, ("oom {}", "oom {} --json")),
}


@dataclass
class Files:
    """Changes one file after the other, and asks about it in one process."""

    folder: Path
    kept: Kept = field(init=False)
    opened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Import what readers import, then watch what else happens than reading."""
        from alexnet_cli.targets.pretrained import harmless

        harmless.MOST_MODULES = 10_000  # a twentieth: the time that modules take is in proportion
        self.kept = Kept(self.folder)
        for kind in KINDS.values():
            ran(kind.asked[0].format(kind.files[0]).split())
        self.kept.put_back()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen" and args[1][:2] == [sys.executable, "-I"]:
            return  # the library onnx, which could crash, has a process of its own
        if event in ("socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.fork", "pty.spawn"):
            self.opened.append(f"{event} {args!r}"[:300])

    def try_one(self, number: int, chance: Random) -> Tried:
        """Change a file and ask about it."""
        name = [*KINDS][number % len(KINDS)]
        kind = KINDS[name]
        file = chance.choice(kind.files)
        words = chance.choice(kind.asked).format(file).split()
        (self.folder / file).write_bytes(kind.change(self.kept.data(file), chance))
        self.opened.clear()
        done = ran(words)
        defect = done.defect or (f"not only read: {self.opened}" if self.opened else None)
        self.kept.put_back()
        return Tried(str(done.code), defect, " ".join(words), name)
