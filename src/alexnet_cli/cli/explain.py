"""`alexnet explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated

import typer

from alexnet_cli.analyses.findings.rules import RULES, findings
from alexnet_cli.cli import options
from alexnet_cli.cli.changes import trace_changes
from alexnet_cli.cli.obtain import finish, obtain_report, trace_options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.explain import ExplainResult
from alexnet_cli.errors import UsageError
from alexnet_cli.messages import CATALOGUES
from alexnet_cli.views.explain import explain_document, tell

EPILOG = """
\b
Examples:
  alexnet explain                               the assignment's claims, checked
  alexnet explain --lang ko                     in Korean
  alexnet explain net.py:Net                    the same of your own model
  alexnet explain --select stack,relu-outputs   these only
  alexnet explain --json | jq '.findings[] | {code, verdict}'
"""

_CODES = f"Codes: {', '.join(RULES)}."

Language = Annotated[
    str,
    typer.Option(
        "--lang", metavar="LANG", help="en (English) or ko (Korean).", autocompletion=lambda: list(CATALOGUES)
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CODE",
        help=f"Only these findings, repeated or with commas. {_CODES}",
        autocompletion=lambda: list(RULES),
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(metavar="CODE", help="All findings but these.", autocompletion=lambda: list(RULES)),
]


def explain(
    target: options.Target = "alexnet",
    language: Language = "en",
    select: Select = None,
    ignore: Ignore = None,
    arguments: options.Arguments = None,
    input_size: options.InputSize = None,
    batch_size: options.BatchSize = 1,
    no_batch: options.NoBatch = False,
    device: options.Device = "meta",
    dtype: options.Dtype = None,
    train: options.Train = False,
    formulas: options.Formulas = None,
    traceback: options.Traceback = False,
    cache: options.Cache = None,
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """Check what people say of such a network: claims, verdicts, evidence in numbers."""
    if language not in CATALOGUES:
        raise UsageError(f"unknown language {language!r}", f"known: {', '.join(CATALOGUES)}")
    codes = _chosen(select, ignore)
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    how = trace_options(input_size, batch_size, device, dtype, no_batch=no_batch, train=train)
    how = replace(how, formulas=formulas, traceback=traceback)
    report = obtain_report(target, arguments, how, cache=cache)
    changes = trace_changes(report, codes, target, arguments, how, cache=cache)
    told = tell(findings(report, codes, changes), language)
    result = ExplainResult(
        generator=report.generator,
        command="explain",
        model=report.model,
        run=report.run,
        error=report.error,
        findings=told,
    )
    out.write(result, lambda: explain_document(report, told, language))
    raise typer.Exit(finish(report))


def _chosen(select: Sequence[str] | None, ignore: Sequence[str] | None) -> list[str]:
    """Return the codes to apply, in the order of the rules.

    Raises:
        UsageError: a code is not known, or none is left.
    """
    wanted, unwanted = _codes(select, "--select"), _codes(ignore, "--ignore")
    left = [code for code in RULES if (not wanted or code in wanted) and code not in unwanted]
    if not left:
        raise UsageError("--select and --ignore leave no finding", f"known: {', '.join(RULES)}")
    return left


def _codes(given: Sequence[str] | None, option: str) -> list[str]:
    codes = [code.strip() for item in given or () for code in item.split(",") if code.strip()]
    for code in codes:
        if code not in RULES:
            near = get_close_matches(code, RULES, n=2)
            guess = f"did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(f"unknown finding {code!r} in {option}", f"{guess}known: {', '.join(RULES)}")
    return codes
