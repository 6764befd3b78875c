"""`alexnet cache`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from alexnet_cli.answers.cache import cache as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import with_groups

EPILOG = """
\b
Examples:
  alexnet cache info          where the kept answers are, how many, how large
  alexnet cache clear         remove them
  alexnet summary --no-cache  neither use nor keep an answer
"""

Action = Annotated[Literal["info", "clear"], typer.Argument(help="info shows what is kept; clear removes it.")]


@with_groups()
def cache(action: Action = "info", *, page: options.Page) -> None:
    """Show or clear the answers about built-in models that are kept, which save importing torch."""
    page.out().answer(answer(clear=action == "clear"))
