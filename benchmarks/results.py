"""RESULTS.md, a section at a time."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def section(title: str) -> str:
    """Return the section with this title as it stands in RESULTS.md; empty if there is none."""
    _, found, rest = RESULTS.read_text(encoding="utf-8").partition(f"{title}\n")
    return found + rest.partition("\n## ")[0].rstrip() + "\n" if found else ""


def sections(text: str) -> dict[str, str]:
    """Return the sections of a text by their titles, in order; what comes before the first has the title ""."""
    head, *rest = ("\n" + text).split("\n## ")
    return {"": head.strip(), **{part.partition("\n")[0]: part.partition("\n")[2].strip() for part in rest}}


def joined(parts: dict[str, str]) -> str:
    """Return the text of which `sections` made the parts."""
    return "\n\n".join(f"## {title}\n\n{text}" if title else text for title, text in parts.items()) + "\n"


def put(title: str, new: str) -> None:
    """Write a section in place of the old one, or before all others if there is none."""
    text, old = RESULTS.read_text(encoding="utf-8"), section(title)
    text = text.replace(old, new) if old else text.replace("\n## ", f"\n{new}\n## ", 1)
    RESULTS.write_text(text, encoding="utf-8")
