"""Common claims about such networks, checked: the findings of `alexnet explain`."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Verdict
from alexnet_cli.analyses.findings.rules import findings as check
from alexnet_cli.messages import say
from alexnet_cli.report_page.material import Material, Section
from alexnet_cli.views.explain import ToldFinding, first_alike, tell

LANGUAGE = "en"
_MARKS: dict[Verdict, str] = {"holds": "✓", "partly": "≈", "fails": "✗", "not_applicable": "–"}


class Judged(Struct, frozen=True):
    """A verdict, with its sign and its words."""

    verdict: Verdict
    mark: str
    said: str


class Piece(Struct, frozen=True):
    """A sentence of evidence, and the layer that it is about."""

    text: str
    path: str | None


class Claim(Struct, frozen=True):
    """A claim with its verdict and evidence; `unshown` says how much similar evidence is left out."""

    text: str
    judged: Judged
    evidence: tuple[Piece, ...]
    unshown: str


class Findings(Struct, frozen=True):
    """All claims, and how many have which verdict."""

    counts: str
    claims: tuple[Claim, ...]


def findings(material: Material) -> Section:
    """Return the claims with their evidence."""
    told = tell(check(material.report, changes=material.changes), LANGUAGE)
    counts = Counter(item.verdict for item in told)
    parts = ", ".join(f"{judged(verdict).said} {counts[verdict]}" for verdict in _MARKS if counts[verdict])
    claims = tuple(map(_claim, told))
    return Section("findings", "Findings", Findings(f"Common claims about such networks, checked: {parts}.", claims))


def judged(verdict: Verdict) -> Judged:
    """Return a verdict in a sign and in words."""
    return Judged(verdict, _MARKS[verdict], say(LANGUAGE, f"verdict.{verdict}"))


def _claim(told: ToldFinding) -> Claim:
    shown, left_out = first_alike(told.evidence)
    paths = [piece.values.get("path") for piece in shown]
    pieces = tuple(
        Piece(piece.text, path if isinstance(path, str) and path else None)
        for piece, path in zip(shown, paths, strict=True)
    )
    more = f"{left_out:,} more like {'these' if left_out > 1 else 'this'}: `alexnet explain --json` lists them all."
    return Claim(told.claim, judged(told.verdict), pieces, more if left_out else "")
