"""Common claims about such networks, checked: the findings of `alexnet explain`."""

from __future__ import annotations

from collections import Counter

from alexnet_cli.analyses.findings.finding import Verdict
from alexnet_cli.analyses.findings.rules import findings as check
from alexnet_cli.messages import say
from alexnet_cli.report_page.material import Material, Section
from alexnet_cli.views.explain import tell

LANGUAGE = "en"
MARKS: dict[Verdict, str] = {"holds": "✓", "partly": "≈", "fails": "✗", "not_applicable": "–"}


def findings(material: Material) -> Section:
    """Return the claims with their evidence, and how many have which verdict."""
    told = tell(check(material.report, changes=material.changes), LANGUAGE)
    counts = Counter(item.verdict for item in told)
    said = [f"{say_verdict(verdict)} {counts[verdict]}" for verdict in MARKS if counts[verdict]]
    return Section("findings", "Findings", {"claims": told, "counts": ", ".join(said)})


def say_verdict(verdict: Verdict) -> str:
    """Return a verdict in words."""
    return say(LANGUAGE, f"verdict.{verdict}")
