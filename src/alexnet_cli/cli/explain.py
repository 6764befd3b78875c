"""`alexnet explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from alexnet_cli.analyses.findings.rules import RULES
from alexnet_cli.answers.explain import explain as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import with_groups
from alexnet_cli.messages import CATALOGUES

EPILOG = """
\b
Examples:
  alexnet explain                               the assignment's claims, checked
  alexnet explain --lang ko                     in Korean
  alexnet explain net.py:Net                    the same for your own model
  alexnet explain --select stack,relu-outputs   only these
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
        help=f"Only these findings; repeatable, or separated by commas. {_CODES}",
        autocompletion=lambda: list(RULES),
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(metavar="CODE", help="All findings except these.", autocompletion=lambda: list(RULES)),
]


@with_groups()
def explain(
    target: options.Target = "alexnet",
    language: Language = "en",
    select: Select = None,
    ignore: Ignore = None,
    *,
    run: options.Run,
    page: options.Page,
) -> None:
    """Check common claims about the network: verdicts, with evidence in numbers."""
    out = page.out()
    out.answer(answer(run.session(target), lang=language, select=select, ignore=ignore))
