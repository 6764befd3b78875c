"""What `explain` finds in each of the models."""

from __future__ import annotations

from msgspec import Struct

from alexnet_cli.analyses.findings.finding import Verdict
from alexnet_cli.analyses.findings.rules import findings
from alexnet_cli.report_page.comparison.sides import Sides
from alexnet_cli.report_page.section import Section
from alexnet_cli.report_page.sections.findings import LANGUAGE, MARKS, verdict_name
from alexnet_cli.views.explain import tell


class Judged(Struct, frozen=True):
    """A verdict, with the sign and the words for it."""

    verdict: Verdict
    mark: str
    said: str


class Claim(Struct, frozen=True):
    """A claim and its verdict for each model."""

    text: str
    verdicts: tuple[Judged, ...]


class Verdicts(Struct, frozen=True):
    """The claims, and the names of the models."""

    names: tuple[str, ...]
    claims: tuple[Claim, ...]


def verdicts(sides: Sides) -> Section:
    """Return the verdict on each claim, model beside model."""
    told = [tell(findings(report), LANGUAGE) for report in sides.reports]
    claims = tuple(
        Claim(same[0].claim, tuple(Judged(one.verdict, MARKS[one.verdict], verdict_name(one.verdict)) for one in same))
        for same in zip(*told, strict=True)
    )
    return Section("verdicts", "Findings", Verdicts(sides.names, claims))
