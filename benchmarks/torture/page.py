"""RELIABILITY.md, from the cases that were tried: how many, with which seed, and how each kind ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from alexnet_cli.cli.commands import COMMANDS
from torture.files import KINDS as FILES
from torture.judging import LONGEST_S
from torture.parsers import RUN, SLOW

Case = dict[str, Any]
OTHER = "no command"
TITLES = {"lines": "Command lines", "files": "Changed files", "modules": "Generated modules", "faults": "Faults"}
HOW = {
    "lines": """Commands and options at random, half of them as they are meant, the others with values that nearly
fit or that nobody types, run in one process one after the other. Exit 2 is a usage error, 3 a target that cannot be
loaded.""",
    "files": """A good file of each kind, cut, or with bytes or values changed, left out, repeated or moved; archives
and headers have right checksums and lengths most of the time. A file is read or refused; no connection is made and no
process started but the one that reads ONNX. Configs may ask for a twentieth of the modules that the program
allows.""",
    "modules": """Random graphs of layers and functions under names with markup, controls, right-to-left marks and
emoji, each tried on the CPU as it is made. Rows add up to the totals, parameters are those that torch counts, `meta`
and the CPU agree row by row, the JSON validates against its schema, and each format is read by a real parser.""",
    "faults": """Processes of their own. An answer's file is the old one or the new one, nothing is left beside it, and
the exit code is the contract's or the signal's. An interrupt before the program's first line is left to Python.""",
}
MACHINES = """Not drawn, but tests that CI runs (`tests/test_foreign_machines.py`): locale C, an unknown locale, cp1252,
UTF-16, byte order marks and CRLF, 20 columns, `TERM=dumb`, no environment, no docstrings, every warning an error, the
package in a zip file, paths of blanks, scripts, emoji and 400 characters, and a process without what Windows lacks,
which refuses names and replacements as Windows does. By Python 3.10, 3.12, 3.13 and 3.14 they were run without torch
(`make pythons`), and by 3.14 with torch 2.13 the whole suite; all else by 3.11 on Linux.
Windows and macOS have only been read for, not run."""
KINDS = {
    "SIGINT": "SIGINT at a random moment of a run with `-o`",
    "SIGTERM": "SIGTERM at a random moment of a run with `-o`",
    "SIGKILL": "SIGKILL at a random moment of a run with `-o`",
    "at a write": "a full, read-only or failing disk, or a signal, at each of the first writes of a run with `-o`",
    "disk full": "no more bytes in a file than a random number (`RLIMIT_FSIZE`)",
    "closed stdout": "a reader that leaves after some bytes",
    "changing file": "a file that is changed again and again while it is read",
    "unruly model": "models that fork, exit, recurse, flood, patch torch, close streams (`unruly.py`)",
    "clock": "a clock that jumps by up to ten years each time that it is read",
    "crowded cache": "50 processes on one cache, some killed, its entries' times set to 1970 and 2100",
}


def page(cases: list[Case], seed: int, full: Mapping[str, int]) -> str:
    """Return the whole page as Markdown; `full` are the sizes of a full run."""
    parts = ["# What was tried to break it", _summary(cases, seed, full)]
    for part, group in groupby(sorted(cases, key=_place), key=lambda case: case["part"]):
        some = list(group)
        kinds = _table(some) if part != "modules" else _parsers(len(some))
        parts += [f"## {TITLES[part]}: {len(some):,}", HOW[part], kinds, _extremes(some)]
    parts += ["## Other machines", MACHINES]
    found = [case for case in cases if case["defect"]]
    if found:
        parts += [
            "## Defects",
            "\n".join(f"- {case['part']} {case['number']}: {_short(case['defect'])}" for case in found),
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _place(case: Case) -> tuple[int, int]:
    return [*TITLES].index(case["part"]), case["number"]


def _summary(cases: list[Case], seed: int, full: Mapping[str, int]) -> str:
    many = Counter(case["part"] for case in cases)
    run = ", ".join(f"{many[part]:,} of {size:,} {TITLES[part].lower()}" for part, size in full.items())
    defects = sum(bool(case["defect"]) for case in cases)
    return f"""Written by `make torture`. Tried with seed {seed}: {run}; **{defects} defects**.
A case that found one is tried again once that is mended; the others stay as they ended.

A case depends on the seed and its number alone: `cd benchmarks; python -m torture --case PART NUMBER` tries it again. A
defect is a traceback, an exit code that [the README](../README.md) does not state, more than {LONGEST_S} s of CPU, a
process that dies (of memory too: it has 6 GiB of address space), or an answer without what its section says."""


def _table(cases: list[Case]) -> str:
    by_kind: dict[str, list[Case]] = {}
    for case in cases:
        known = case["kind"] if case["part"] != "lines" or case["kind"] in COMMANDS else OTHER
        by_kind.setdefault(known, []).append(case)
    ends = sorted({case["ended"] for case in cases}, key=_numbers_first)
    head = ["kind", "tried", *(f"exit {end}" if _is_number(end) else end for end in ends)]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for kind in sorted(by_kind, key=[*COMMANDS, OTHER, *FILES, *KINDS].index):
        ended = Counter(case["ended"] for case in by_kind[kind])
        cells = [
            KINDS.get(kind, kind if kind == OTHER else f"`{kind}`"),
            f"{len(by_kind[kind]):,}",
            *(f"{ended[end]:,}" for end in ends),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _numbers_first(end: str) -> tuple[int, int, str]:
    return (0, abs(int(end)), end) if _is_number(end) else (1, 0, end)


def _is_number(end: str) -> bool:
    return end.lstrip("-").isdecimal()


def _parsers(many: int) -> str:
    how = []
    for name, parser in RUN.items():
        each = f", one of {SLOW[name]}" if name in SLOW else ""
        how.append(f"{name}: {parser}{each}" if parser else f"{name}: written, but no parser was there")
    return f"Formats of the {many:,} modules and what read them: {'; '.join(how)}."


def _extremes(cases: Iterable[Case]) -> str:
    some = list(cases)
    slowest = max(some, key=lambda case: case["cpu_s"])
    most = max(case["bytes"] for case in some)
    what = f" (`{_short(slowest['what'], 80)}`)" if slowest["what"] else ""
    return f"The slowest took {slowest['cpu_s']:.1f} s of CPU{what}; a process held at most {most / 2**20:,.0f} MiB."


def _short(text: str, most: int = 300) -> str:
    line = ascii(" ".join(text.split()))[1:-1].replace("`", "'").replace("|", "/")
    return line if len(line) <= most else line[: most - 1] + "…"
