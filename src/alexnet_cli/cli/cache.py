"""`alexnet cache`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from msgspec import UNSET

from alexnet_cli.cache import folder as store
from alexnet_cli.cli import options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.cache import CacheResult
from alexnet_cli.report_json import generator
from alexnet_cli.views.cache import cache_document

EPILOG = """
\b
Examples:
  alexnet cache info         where the kept answers are, how many, how large
  alexnet cache clear        forget them
  alexnet summary --no-cache neither use one nor keep one
"""

Action = Annotated[Literal["info", "clear"], typer.Argument(help="info tells what is kept; clear removes it.")]


def cache(
    action: Action = "info",
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """Show or clear the answers about built-in models that are kept, so that torch is not needed again."""
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    folder = store.cache_folder()
    removed = store.clear(folder) if folder is not None and action == "clear" else 0
    entries, size = store.size(folder) if folder is not None else (0, 0)
    result = CacheResult(
        generator=generator(),
        command="cache",
        folder=None if folder is None else str(folder),
        entries=entries,
        bytes=size,
        removed=removed if action == "clear" else UNSET,
    )
    out.write(result, lambda: cache_document(result.folder, entries, size, removed if action == "clear" else None))
