"""What people say of such a network, checked: the findings of `alexnet explain`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Verdict
from alexnet_cli.analyses.findings.rules import findings as judged
from alexnet_cli.messages import say
from alexnet_cli.report_page.section import Material, Section
from alexnet_cli.views.explain import MOST_ALIKE, ToldEvidence, tell

LANGUAGE = "en"
MARKS: dict[Verdict, str] = {"holds": "✓", "partly": "≈", "fails": "✗", "not_applicable": "–"}


class Piece(Struct, frozen=True):
    """A sentence of evidence, and the layer that it is about."""

    text: str
    path: str | None


class Claim(Struct, frozen=True):
    """A claim with its verdict and what speaks for it; `unshown` says how much more of the same was found."""

    code: str
    text: str
    verdict: Verdict
    mark: str
    said: str
    evidence: tuple[Piece, ...]
    unshown: str


class Findings(Struct, frozen=True):
    """All claims, and how many got which verdict."""

    counts: str
    claims: tuple[Claim, ...]


def findings(material: Material) -> Section:
    """Return the claims with their evidence."""
    told = tell(judged(material.report, changes=material.changes), LANGUAGE)
    claims = tuple(
        Claim(
            item.code,
            item.claim,
            item.verdict,
            MARKS[item.verdict],
            verdict_name(item.verdict),
            *_evidence(item.evidence),
        )
        for item in told
    )
    return Section("findings", "Findings", Findings(_counted([claim.verdict for claim in claims]), claims))


def verdict_name(verdict: Verdict) -> str:
    """Return a verdict in words."""
    return say(LANGUAGE, f"verdict.{verdict}")


def _evidence(pieces: Sequence[ToldEvidence]) -> tuple[tuple[Piece, ...], str]:
    """Return the evidence, of many pieces that are alike the first few, and how many were left out."""
    seen: Counter[str] = Counter()
    shown = []
    for piece in pieces:
        seen[piece.key] += 1
        if seen[piece.key] <= MOST_ALIKE:
            path = piece.values.get("path")
            shown.append(Piece(piece.text, path if isinstance(path, str) and path else None))
    left_out = len(pieces) - len(shown)
    more = f"{left_out:,} more like {'these' if left_out > 1 else 'this'}: `alexnet explain --json` lists them all."
    return tuple(shown), more if left_out else ""


def _counted(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdicts)
    parts = [f"{verdict_name(verdict)} {counts[verdict]}" for verdict in MARKS if counts[verdict]]
    return f"What is said of such networks, checked: {', '.join(parts)}."
