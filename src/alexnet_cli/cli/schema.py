"""`alexnet schema`."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec
import typer

from alexnet_cli.cli.output import Output
from alexnet_cli.cli.results import RESULTS, result_type
from alexnet_cli.errors import UsageError

Command = Annotated[
    str | None,
    typer.Argument(
        help="The command whose JSON is described; all of them if left out.", autocompletion=lambda: [*RESULTS]
    ),
]


def schema(command: Command = None) -> None:
    """Print the JSON Schema of a command's JSON."""
    Output("json").write_text(json.dumps(json_schema(command), indent=2, ensure_ascii=False) + "\n")


def json_schema(command: str | None = None) -> dict[str, Any]:
    """Return the JSON Schema of one command's result, or of any command's.

    Raises:
        UsageError: no such command has JSON.
    """
    if command is not None and command not in RESULTS:
        near = get_close_matches(command, RESULTS)
        raise UsageError(
            f"no JSON of a command {command!r}", f"did you mean {near[0]}?" if near else f"known: {', '.join(RESULTS)}"
        )
    chosen = [result_type(name) for name in ([command] if command else RESULTS)]
    schemas, definitions = msgspec.json.schema_components(chosen, ref_template="#/$defs/{name}")
    top = schemas[0] if command else {"anyOf": list(schemas)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": definitions}
