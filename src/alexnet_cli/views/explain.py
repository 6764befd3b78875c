"""Claims with their verdicts, and the evidence beneath each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Evidence, Finding, Verdict
from alexnet_cli.document import Block, Column, Document, Fact, Facts, Note, Row, Table
from alexnet_cli.messages import CATALOGUES, say
from alexnet_cli.report import Report
from alexnet_cli.views.parts import run_line

MOST_ALIKE = 5


class ToldEvidence(Struct, frozen=True):
    """A piece of evidence: `key` and `values` do not depend on the language, `text` does."""

    key: str
    values: dict[str, Any]
    text: str


class ToldFinding(Struct, frozen=True):
    """A finding with its texts in one language."""

    code: str
    claim: str
    verdict: Verdict
    evidence: tuple[ToldEvidence, ...]


def tell(findings: Sequence[Finding], language: str) -> tuple[ToldFinding, ...]:
    """Return findings with their texts in a language."""
    return tuple(
        ToldFinding(
            finding.code,
            say(language, f"claim.{finding.code}"),
            finding.verdict,
            tuple(ToldEvidence(it.key, it.values, _said(language, finding.code, it)) for it in finding.evidence),
        )
        for finding in findings
    )


def _said(language: str, code: str, item: Evidence) -> str:
    own = f"{code}.{item.key}"
    return say(language, own if own in CATALOGUES["en"] else f"any.{item.key}", item.values)


def explain_document(report: Report, findings: Sequence[ToldFinding], language: str) -> Document:
    """Show all verdicts, then each claim with its evidence."""
    columns = tuple(Column(key, say(language, f"column.{key}")) for key in ("code", "verdict"))
    verdicts = [say(language, f"verdict.{finding.verdict}") for finding in findings]
    rows = (Row((finding.code, verdict)) for finding, verdict in zip(findings, verdicts, strict=True))
    blocks: list[Block] = [Table("findings", columns, tuple(rows))]
    if report.totals.macs is not None:
        blocks.append(Note(say(language, "macs")))
    for finding, verdict in zip(findings, verdicts, strict=True):
        shown, left_out = first_alike(finding.evidence)
        blocks.append(Facts((Fact(verdict, finding.code),), finding.claim))
        blocks += [Note(f"- {item.text}") for item in shown]
        blocks += [Note(f"- {say(language, 'unshown', {'count': left_out})}")] if left_out else []
    title = say(language, "title", {"model": report.model.class_name})
    return Document(title, tuple(blocks), run_line(report.run))


def told_of(finding: ToldFinding) -> list[str]:
    """Return a finding's evidence without its claim, in sentences that stand alone: each kind a few times."""
    shown, left_out = first_alike(finding.evidence)
    more = [f"{left_out} more like this; --json lists them all"] if left_out else []
    return [f"{finding.code}: {item.text}" for item in shown] + more


def first_alike(evidence: Sequence[ToldEvidence]) -> tuple[list[ToldEvidence], int]:
    """Return the first few pieces of each kind, and how many are left out."""
    seen: Counter[str] = Counter()
    shown = []
    for item in evidence:
        seen[item.key] += 1
        if seen[item.key] <= MOST_ALIKE:
            shown.append(item)
    return shown, len(evidence) - len(shown)
