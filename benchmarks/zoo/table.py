"""The section about the zoo in RESULTS.md, from the measured lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from zoo import verdict
from zoo.verdict import Line

TITLE = "## Architectures that people run"
HOW = """Each is run as `alexnet summary FILE.py:model --json` is, and again with `--inputs` if no input is found. The
truth is torch's alone (`benchmarks/zoo/truth.py`); MACs are compared where two forwards with other weights and inputs
agree. Times are those of one CPU, without importing the library."""
LONGEST_REASON = 160
_COLUMNS: dict[str, tuple[Callable[[Line], bool], Callable[[Line], bool]]] = {
    "answered": (verdict.is_answered, verdict.is_measured),
    "input found": (lambda line: bool(line.get("found")), verdict.is_measured),
    "on meta": (verdict.is_on_meta, verdict.is_answered),
    "parameters equal": (verdict.same_params, verdict.has_truth),
    "MACs equal": (verdict.same_macs, verdict.is_stable),
    "all counted": (lambda line: not line["uncounted"], verdict.is_answered),
}
"""Each column's share: what holds, of what it is asked."""


def section(lines: list[Line], versions: str, on_the_command_line: str, known: Mapping[str, Sequence[str]]) -> str:
    """Return the whole section as Markdown; `known` are all architectures of each library."""
    measured = [line for line in lines if verdict.is_measured(line)]
    unbuilt = [line for line in lines if not verdict.is_measured(line)]
    parts = [
        TITLE,
        f"Written by `make zoo`: {len(measured)} architectures with random weights, {versions}.",
        HOW,
        _left_out(lines, known),
        _table(measured),
        on_the_command_line,
        f"Slowest on `meta`: {_slowest(measured)}.",
        *_missed(measured),
    ]
    if unbuilt:
        names = ", ".join(f"`{line['name']}`" for line in unbuilt)
        parts.append(f"Not measured, as the library builds none from a small config here: {names}.")
    return "\n\n".join(filter(None, parts)) + "\n"


def _left_out(lines: list[Line], known: Mapping[str, Sequence[str]]) -> str:
    """Say of which libraries some architectures were not tried."""
    tried = Counter(line["library"] for line in lines)
    some = [f"{tried[name]} of the {len(all_)} of {name}" for name, all_ in known.items() if tried[name] < len(all_)]
    return f"This run tried {', '.join(some)}." if some else ""


def _table(lines: list[Line]) -> str:
    head = ["library", "modality", "architectures", *_COLUMNS]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    kind = _by("library", "modality")
    for (library, modality), group in groupby(sorted(lines, key=kind), key=kind):
        rows.append(_row(library, modality, list(group)))
    rows.append(_row("all", "", lines))
    return "\n".join(rows)


def _by(*keys: str) -> Callable[[Line], tuple[str, ...]]:
    return lambda line: tuple(line[key] for key in keys)


def _row(library: str, modality: str, lines: list[Line]) -> str:
    cells = [_share(lines, holds, asked) for holds, asked in _COLUMNS.values()]
    return f"| {' | '.join([library, modality, str(len(lines)), *cells])} |"


def _share(lines: Iterable[Line], holds: Callable[[Line], bool], asked: Callable[[Line], bool]) -> str:
    answers = [holds(line) for line in lines if asked(line)]
    return f"{sum(answers)} of {len(answers)}" if answers else ""


def _slowest(lines: list[Line]) -> str:
    on_meta = sorted(filter(verdict.is_on_meta, lines), key=lambda line: -line["seconds"])
    return ", ".join(f"{line['name']} {line['seconds']:.1f} s" for line in on_meta[:3]) or "none"


def _missed(lines: list[Line]) -> list[str]:
    missed = sorted((kind, line["library"], line["name"], why) for line in lines for kind, why in verdict.misses(line))
    parts = []
    for kind, group in groupby(missed, key=lambda each: each[0]):
        each = [f"- {library} `{name}`: {_short(why)}" for _, library, name, why in group]
        parts += [f"### {kind[0].upper()}{kind[1:]}: {len(each)}", "\n".join(each)]
    return parts


def _short(why: str) -> str:
    """Cut a reason, without the folders of files, and quote it so that Markdown takes none of it for its own."""
    line = re.sub(r"/\S*/", "", " ".join(why.split())).replace("`", "'")
    return f"`{line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + '…'}`"
