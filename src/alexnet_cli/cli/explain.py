"""`alexnet explain`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from alexnet_cli.analyses.findings.rules import RULES
from alexnet_cli.answers.explain import explain as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import options_of, with_groups
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

Codes = list[str] | None
Asked: Any = options_of(
    answer,
    lang=typer.Option(
        "--lang", metavar="LANG", help="en (English) or ko (Korean).", autocompletion=lambda: list(CATALOGUES)
    ),
    select=Annotated[
        Codes,
        typer.Option(
            metavar="CODE",
            help=f"Only these findings; repeatable, or separated by commas. Codes: {', '.join(RULES)}.",
            autocompletion=lambda: list(RULES),
        ),
    ],
    ignore=Annotated[
        Codes, typer.Option(metavar="CODE", help="All findings except these.", autocompletion=lambda: list(RULES))
    ],
)


@with_groups()
def explain(target: options.Target = "alexnet", *, asked: Asked, run: options.Run, page: options.Page) -> None:
    """Check common claims about the network: verdicts, with evidence in numbers."""
    page.out().answer(answer(run.session(target), **vars(asked)))
