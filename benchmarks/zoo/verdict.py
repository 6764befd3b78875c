"""What a measured line says: what went right and what did not, by name and reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Line = dict[str, Any]
SLOW = 20.0
"""CPU seconds that no model may take on `meta`."""
VALUES_NEEDED = "this model needs values to run"


def is_measured(line: Line) -> bool:
    """Tell whether the library itself could build the model."""
    return "unbuilt" not in line


def is_answered(line: Line) -> bool:
    """Tell whether the program answered, with its own inputs or the zoo's."""
    return line.get("exit") == 0


def is_on_meta(line: Line) -> bool:
    """Tell whether the model ran without values."""
    return is_answered(line) and line["device"] == "meta"


def has_truth(line: Line) -> bool:
    """Tell whether torch ran the model on the same inputs."""
    return is_answered(line) and bool(line["truth"]["macs"])


def is_stable(line: Line) -> bool:
    """Tell whether two forwards of other weights and inputs do as many MACs."""
    return has_truth(line) and len(set(line["truth"]["macs"])) == 1


def same_params(line: Line) -> bool:
    """Tell whether the parameters are those that torch counts."""
    return has_truth(line) and line["params"] == line["truth"]["params"]


def same_macs(line: Line) -> bool:
    """Tell whether the MACs are those that torch counts."""
    return is_stable(line) and line["macs"] == line["truth"]["macs"][0]


def misses(line: Line) -> list[tuple[str, str]]:
    """Return what went wrong, each as a kind and a reason."""
    if not is_measured(line):
        return []
    if not is_answered(line):
        return [("not answered", line.get("failed") or f"exit {line['exit']}: {line['message']}")]
    return [*_how_it_ran(line), *_what_it_counted(line)]


def _how_it_ran(line: Line) -> Iterator[tuple[str, str]]:
    if line["alone"] is not None:
        yield "no input found", f"exit {line['alone']['exit']}: {line['alone']['message']}"
    if not is_on_meta(line):
        note = next((note for note in line["notes"] if note.startswith(VALUES_NEEDED)), "no reason given")
        yield "run on the CPU", note.removeprefix(VALUES_NEEDED).lstrip(" (")
    elif line["seconds"] > SLOW:
        yield "slow", f"{line['seconds']:.0f} s"


def _what_it_counted(line: Line) -> Iterator[tuple[str, str]]:
    if not has_truth(line):
        yield "no truth", line["truth"].get("failed", "torch could not run it on the same inputs")
    elif not same_params(line):
        yield "other parameters", f"{line['params']:,}, torch {line['truth']['params']:,}"
    if is_stable(line) and not same_macs(line):
        yield "other MACs", f"{line['macs']:,}, torch {line['truth']['macs'][0]:,}"
    if line["uncounted"]:
        yield "not counted", ", ".join(f"{op} ({calls})" for op, calls in line["uncounted"].items())
