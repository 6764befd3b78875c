"""`explain`: what people say about such a network, checked."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.findings.rules import RULES, findings, is_shown
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.errors import UsageError, nearest, one_of
from alexnet_cli.messages import CATALOGUES
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.changes import trace_changes
from alexnet_cli.session.session import Session
from alexnet_cli.views.explain import ToldFinding, explain_document, tell


class ExplainResult(Envelope, frozen=True, kw_only=True):
    """`alexnet explain --json`; the texts are in the language that was asked for."""

    findings: tuple[ToldFinding, ...]


def explain(
    session: Session, *, lang: str = "en", select: Sequence[str] | None = None, ignore: Sequence[str] | None = None
) -> Answer[ExplainResult]:
    """Check what people say about such a network: claims, verdicts, evidence in numbers.

    `select` and `ignore` are codes of findings; by default all are checked.
    Claims about language models are shown only where they apply, or if they are selected.

    Raises:
        UsageError: the language or a code is unknown, or no finding is left.
        AlexnetError: the model cannot be loaded or run.
    """
    one_of(lang, CATALOGUES, "language")
    codes = _chosen(select, ignore)
    report = session.report()
    told = tell(findings(report, codes, trace_changes(session, codes)), lang)
    result = ExplainResult(**Envelope.of(report, "explain"), findings=told)
    shown = told if select else tuple(it for it in told if is_shown(it.code, it.verdict))
    return Answer(result, lambda: explain_document(report, shown, lang), failures=failures_of(report))


def _chosen(select: Sequence[str] | None, ignore: Sequence[str] | None) -> list[str]:
    """Return the codes to apply, in the order of the rules."""
    wanted, unwanted = _codes(select, "--select"), _codes(ignore, "--ignore")
    left = [code for code in RULES if (not wanted or code in wanted) and code not in unwanted]
    if not left:
        raise UsageError("--select and --ignore leave no finding", f"known: {', '.join(RULES)}")
    return left


def _codes(given: Sequence[str] | None, option: str) -> list[str]:
    codes = [code.strip() for item in given or () for code in item.split(",") if code.strip()]
    for code in codes:
        if code not in RULES:
            raise UsageError(f"unknown finding {code!r} in {option}", nearest(code, RULES, most=2))
    return codes
