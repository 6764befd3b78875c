"""Whether a checkpoint fits a model."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.weights import WeightsMatch
from alexnet_cli.document import Note
from alexnet_cli.units import shape

MOST = 5


def weights_notes(match: WeightsMatch) -> tuple[Note, ...]:
    """Say which keys are missing, unexpected or of another shape, and what would help."""
    if match.holds:
        return (Note(f"weights: all {match.matched} tensors fit"),)
    mismatched = [
        f"{item.path} ({shape(item.checkpoint)} in the file, {shape(item.model)} here)" for item in match.mismatched
    ]
    notes = [Note(f"weights: {match.matched} tensors fit", "warning")]
    for what, names in (
        ("missing in the file", match.missing),
        ("not in the model", match.unexpected),
        ("of another shape", mismatched),
    ):
        if names:
            notes.append(Note(f"weights {what}: {_some(names)}", "warning"))
    if match.prefix is not None:
        where = "file's" if match.prefix.side == "checkpoint" else "model's"
        notes.append(
            Note(f"without {match.prefix.text!r} before the {where} keys {match.prefix.matched} tensors would fit")
        )
    return tuple(notes)


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(names[:MOST])
    return listed if len(names) <= MOST else f"{listed} and {len(names) - MOST:,} more"
