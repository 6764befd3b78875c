"""Claims with their verdicts, and the evidence beneath each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Finding, Verdict
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
            tuple(
                ToldEvidence(item.key, item.values, say(language, _message(finding.code, item.key), item.values))
                for item in finding.evidence
            ),
        )
        for finding in findings
    )


def explain_document(report: Report, findings: Sequence[ToldFinding], language: str) -> Document:
    """Show all verdicts, then each claim with its evidence."""
    blocks: list[Block] = [_verdicts(findings, language)]
    if report.totals.macs is not None:
        blocks.append(Note(say(language, "macs")))
    for finding in findings:
        verdict = say(language, f"verdict.{finding.verdict}")
        blocks += [Facts((Fact(verdict, finding.code),), finding.claim), *_evidence(finding, language)]
    title = say(language, "title", {"model": report.model.class_name})
    return Document(title, tuple(blocks), run_line(report.run))


def _verdicts(findings: Sequence[ToldFinding], language: str) -> Table:
    columns = tuple(Column(key, say(language, f"column.{key}")) for key in ("code", "verdict"))
    rows = (Row((finding.code, say(language, f"verdict.{finding.verdict}"))) for finding in findings)
    return Table("findings", columns, tuple(rows))


def first_alike(evidence: Sequence[ToldEvidence]) -> tuple[list[ToldEvidence], int]:
    """Return the first few pieces of each kind, and how many are left out."""
    seen: Counter[str] = Counter()
    shown = []
    for item in evidence:
        seen[item.key] += 1
        if seen[item.key] <= MOST_ALIKE:
            shown.append(item)
    return shown, len(evidence) - len(shown)


def _evidence(finding: ToldFinding, language: str) -> Iterator[Note]:
    shown, left_out = first_alike(finding.evidence)
    yield from (Note(f"- {item.text}") for item in shown)
    if left_out:
        yield Note(f"- {say(language, 'unshown', {'count': left_out})}")


def _message(code: str, key: str) -> str:
    own = f"{code}.{key}"
    return own if own in CATALOGUES["en"] else f"any.{key}"
