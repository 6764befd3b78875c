"""Faults: signals at any moment, full and read-only disks, readers that leave, crowded caches, unruly models."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from torture.judging import CODES, TRACEBACK
from torture.trying import Tried

LONGEST_S = 90
"""Seconds after which a program hangs; it shares its core with others."""
WRITES = (
    ("summary net.json -o out.json", "out.json"),
    ("summary net.json -f html -o out.html", "out.html"),
    ("draw net.json -o out.svg", "out.svg"),
    ("params net.safetensors -o out.csv", "out.csv"),
    ("report net.json words.json -o out.html", "out.html"),
    ("summary tiny.py:Tiny -i 3,8,8 --cache -o out.md", "out.md"),
    ("export tiny.py:Tiny -i 3,8,8 -o out.pt2", "out.pt2"),
)
READS = (
    "summary net.json --json",
    "schema summary",
    "summary net.json",
    "draw net.json",
    "models",
    "--help",
    "params net.onnx --json",
)
INTERRUPTED = 130
OLD = b"what was there before\n"
_IN_MAIN = re.compile(r"__main__\.py\", line \d+, in main")
"""Before the program's first line Python itself answers an interrupt, with a traceback of its start-up."""


@dataclass
class Faults:
    """Runs the program in processes of its own, and disturbs them."""

    folder: Path
    whole: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    unruly: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make the places that are used."""
        here = Path(__file__)
        self.hook = self.folder.parent / "hook"
        self.hook.mkdir(exist_ok=True)
        shutil.copy(here.with_name("fault.py"), self.hook / "sitecustomize.py")
        text = here.with_name("unruly.py").read_text(encoding="utf-8")
        self.unruly = tuple(re.findall(r"^class (\w+)\(Base\)", text, re.MULTILINE))
        every = [self._killed] * 5 + [self._at_a_write, self._full, self._pipe, self._changing, self._unruly]
        self.every: list[Callable[[int, Random], Tried]] = every

    def try_one(self, number: int, chance: Random) -> Tried:
        """Disturb one run, of the kind that its number says; each hundredth is many at once, each fiftieth a clock."""
        if number % 100 == 99:
            return self._crowd(number, chance)
        if number % 50 == 48:
            return self._clock(number, chance)
        return self.every[number % 10](number, chance)

    def _start(self, line: str, **how: Any) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **how.pop("env", {})}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **how}
        command = [sys.executable, "-m", "alexnet_cli", *line.split()]
        return subprocess.Popen(command, cwd=self.folder, env=environment, **streams)

    def _undisturbed(self, line: str, name: str) -> tuple[bytes, float]:
        """Return what a command line writes, and how long it takes."""
        if line not in self.whole:
            began = time.monotonic()
            self._start(line).communicate()
            took = time.monotonic() - began
            self.whole[line] = (self.folder / name).read_bytes(), took
            (self.folder / name).unlink()
        return self.whole[line]

    def _left(self, before: set[str], name: str, line: str, *, old: bool) -> str | None:
        """Say what is wrong with what a run left in the folder."""
        file = self.folder / name
        found = file.read_bytes() if file.exists() else None
        new, _ = self.whole[line]
        whole = found == new or (found is not None and name.endswith((".pt2", ".html")) and _same_kind(found, new))
        if not whole and found != (OLD if old else None):
            return f"half a file: {len(found or b'')} bytes of {len(new)}"
        litter = {path.name for path in self.folder.rglob("*")} - before - {name, "__pycache__"}
        litter = {each for each in litter if not each.endswith(".pyc")}
        for each in (file, *(path for path in self.folder.iterdir() if path.name in litter)):
            shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
        return f"left behind: {sorted(litter)}" if litter else None

    def _killed(self, number: int, chance: Random) -> Tried:
        del number
        line, name = chance.choice(WRITES)
        _, took = self._undisturbed(line, name)
        before, old = {path.name for path in self.folder.rglob("*")}, chance.random() < 0.5
        if old:
            (self.folder / name).write_bytes(OLD)
        which = chance.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        process = self._start(line, preexec_fn=_with_default_signals)
        moment = chance.random() * took * 1.1
        time.sleep(moment)
        process.send_signal(which)
        code, err, defect = _ended(process)
        allowed = {0, -which} | ({130} if which == signal.SIGINT else set())
        if defect is None and code not in allowed:
            defect = f"exit {code}: {err[-800:]}"
        if which == signal.SIGKILL and line.startswith("export"):
            self._forget_folders()
        left = self._left(before, name, line, old=old)  # always, as it removes what is there
        defect = defect or left
        return Tried(str(code), defect, f"{which.name} after {moment:.3f} s: {line}", which.name)

    def _forget_folders(self) -> None:
        """Remove where files were made that are not put in place yet: torch exports to a folder of its own."""
        for path in self.folder.glob(".alexnet-*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _at_a_write(self, number: int, chance: Random) -> Tried:
        del number
        line, name = chance.choice(WRITES)
        self._undisturbed(line, name)
        before, old = {path.name for path in self.folder.rglob("*")}, chance.random() < 0.5
        if old:
            (self.folder / name).write_bytes(OLD)
        how = chance.choice(("ENOSPC", "EROFS", "EACCES", "EIO", "EDQUOT", "SIGINT", "SIGTERM", "SIGKILL"))
        at = chance.randrange(1, 9)
        paths = os.pathsep.join((str(self.hook), os.environ["PYTHONPATH"]))
        fault = {"PYTHONPATH": paths, "TORTURE_FAULT": f"{at}:{how}"}
        process = self._start(line, env=fault, preexec_fn=_with_default_signals)
        code, err, defect = _ended(process)
        allowed = {0, 2, 130} | ({-getattr(signal, how)} if how.startswith("SIG") else {3, 4})
        if defect is None and code not in allowed:
            defect = f"exit {code}: {err[-800:]}"
        if how == "SIGKILL":  # between two calls of the system nothing can be cleaned up
            self._forget_folders()
        left = self._left(before, name, line, old=old)
        defect = defect or left
        return Tried(str(code), defect, f"{how} at write {at}: {line}", "at a write")

    def _full(self, number: int, chance: Random) -> Tried:
        del number
        line, name = chance.choice(WRITES[:5])
        data, _ = self._undisturbed(line, name)
        before, old = {path.name for path in self.folder.rglob("*")}, chance.random() < 0.5
        if old:
            (self.folder / name).write_bytes(OLD)
        most = chance.randrange(len(data))
        limit = (most, most)
        process = self._start(line, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        code, err, defect = _ended(process)
        if defect is None and code != 2:
            defect = f"exit {code}: {err[-800:]}"
        left = self._left(before, name, line, old=old)
        defect = defect or left
        return Tried(str(code), defect, f"no more than {most} bytes: {line}", "disk full")

    def _pipe(self, number: int, chance: Random) -> Tried:
        del number
        line = chance.choice(READS)
        process = self._start(line)
        many = chance.choice((0, 1, 10, 100, 5000))
        if process.stdout is not None:
            process.stdout.read(many)
            process.stdout.close()
        process.stdout = None
        code, err, defect = _ended(process)
        defect = defect or (f"exit {code}: {err[-800:]}" if code or err else None)
        return Tried(str(code), defect, f"{line} | head -c {many}", "closed stdout")

    def _changing(self, number: int, chance: Random) -> Tried:
        """Change a file again and again while it is read."""
        del number
        name, line = chance.choice(
            (
                ("net.json", "summary net.json"),
                ("net.safetensors", "params net.safetensors"),
                ("net.pt2", "params net.pt2"),
                ("tiny.py", "summary tiny.py:Tiny -i 3,8,8"),
                ("net.onnx", "params net.onnx"),
                ("net.pt", "params net.pt"),
            )
        )
        file, process = self.folder / name, None
        good = file.read_bytes()
        process = self._start(line)
        until = time.monotonic() + LONGEST_S
        while process.poll() is None and time.monotonic() < until:
            at = chance.randrange(len(good))
            match chance.randrange(4):
                case 0:
                    file.write_bytes(good[:at])
                case 1:
                    file.unlink(missing_ok=True)
                case 2:
                    file.write_bytes(good[:at] + bytes([chance.randrange(256)]) + good[at + 1 :])
                case _:
                    file.write_bytes(good)
            time.sleep(0.002)
        file.write_bytes(good)
        code, err, defect = _ended(process)
        if defect is None and code not in CODES:
            defect = f"exit {code}: {err[-800:]}"
        return Tried(str(code), defect, f"{name} changes: {line}", "changing file")

    def _clock(self, number: int, chance: Random) -> Tried:
        """Ask twice while the clock jumps: for a new answer that is kept, and for the kept one."""
        paths = os.pathsep.join((str(self.hook), os.environ["PYTHONPATH"]))
        line = chance.choice(("summary tiny.py:Tiny -i 3,8,8 --cache --json", "profile tiny.py:Tiny -i 3,8,8 --json"))
        expected, _ = self._start("summary tiny.py:Tiny -i 3,8,8 --no-cache --json").communicate()
        code, defect = 0, None
        for seed in (f"{number} a", f"{number} b"):
            process = self._start(line, env={"PYTHONPATH": paths, "TORTURE_CLOCK": seed})
            out, told = process.communicate(timeout=10 * LONGEST_S)
            code = process.returncode
            same = out == expected if line.startswith("summary") else json.loads(out or b"{}").get("layers")
            if code or told or not same:
                defect = defect or f"exit {code}: {told.decode(errors='replace')[-800:]} {out[:300]!r}"
        return Tried(str(code), defect, f"{line} while the clock jumps", "clock")

    def _unruly(self, number: int, chance: Random) -> Tried:
        name = self.unruly[number // 10 % len(self.unruly)]
        shutil.copy(Path(__file__).with_name("unruly.py"), self.folder)
        line = f"{chance.choice(('summary', 'summary', 'memory', 'explain', 'params'))} unruly.py:{name} -i 4 --json"
        process = self._start(line)
        try:
            out, told = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Tried("hang", f"hang beyond {LONGEST_S} s", line, "unruly model")
        code, err, defect = process.returncode, told.decode("utf-8", "replace"), None
        if code not in CODES and not (name == "ClosesDescriptors" and code == 120):
            defect = f"exit {code}: {err[-800:]}"
        elif TRACEBACK in err and name not in ("RaisesInAtexit", "RaisesAsItGoes"):  # Python's, about the model's code
            defect = f"traceback: {err[-1500:]}"
        elif code != INTERRUPTED:  # a model that raises an interrupt is one
            try:
                json.loads(out)
            except ValueError as error:
                defect = None if name == "ClosesDescriptors" else f"{error} in {out[:300]!r}"
        (self.folder / "unruly.py").unlink(missing_ok=True)
        return Tried(str(code), defect, line, "unruly model")

    def _crowd(self, number: int, chance: Random) -> Tried:
        """Ask many processes at once with one cache, kill some, and set the times of its entries far off."""
        del number
        cache = self.folder.parent / "crowded"
        line = "summary tiny.py:Tiny -i 3,8,8 --cache --json"
        expected, _ = self._start(line, env={"ALEXNET_CACHE_DIR": str(cache)}).communicate()
        processes = []
        for _ in range(50):
            processes.append(self._start(line, env={"ALEXNET_CACHE_DIR": str(cache)}))
            if chance.random() < 0.3:
                chance.choice(processes).kill()
            if chance.random() < 0.2:
                for entry in cache.glob("*.report"):
                    moment = chance.choice((0, time.time(), 4_102_444_800))
                    try:
                        os.utime(entry, (moment, moment))
                        if chance.random() < 0.3:
                            entry.unlink()
                    except FileNotFoundError:
                        pass
        defects = []
        for process in processes:
            out, err = process.communicate(timeout=10 * LONGEST_S)
            if process.returncode not in (0, -signal.SIGKILL) or (process.returncode == 0 and out != expected):
                defects.append(f"exit {process.returncode}: {err.decode(errors='replace')[-500:]} {out[:200]!r}")
        again, _ = self._start(line, env={"ALEXNET_CACHE_DIR": str(cache)}).communicate()
        if again != expected:
            defects.append("another answer from the cache")
        shutil.rmtree(cache)
        killed = sum(process.returncode != 0 for process in processes)
        return Tried("held", "; ".join(defects) or None, f"50 processes, {killed} killed", "crowded cache")


def _with_default_signals() -> None:
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.SIG_DFL)  # a shell's background jobs ignore interrupts


def _ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str | None]:
    """Wait for a program; return its exit code, what it said, and the defect if it hangs or shows a traceback."""
    try:
        _, told = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return 0, "", f"hang beyond {LONGEST_S} s"
    err = told.decode("utf-8", "replace")
    if err.rstrip().endswith("KeyboardInterrupt") and not _IN_MAIN.search(err):
        return -signal.SIGINT, err, None
    return process.returncode, err, f"traceback: {err[-1500:]}" if TRACEBACK in err else None


def _same_kind(found: bytes, new: bytes) -> bool:
    """Tell whether a file that differs from run to run is as whole as another: its length and its end are the same."""
    return abs(len(found) - len(new)) <= len(new) // 50 and found[-6:] == new[-6:]
