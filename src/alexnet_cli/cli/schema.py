"""`alexnet schema`."""

from __future__ import annotations

import json
from inspect import cleandoc
from typing import Annotated, Any

import msgspec
import typer

from alexnet_cli.cli.commands import results
from alexnet_cli.cli.output import Output
from alexnet_cli.errors import UsageError, nearest

Command = Annotated[
    str | None,
    typer.Argument(
        help="The command whose JSON is described; all of them if left out.", autocompletion=lambda: list(results())
    ),
]


def schema(command: Command = None) -> None:
    """Print the JSON Schema of a command's JSON."""
    Output("json").write(json.dumps(json_schema(command), indent=2, ensure_ascii=False) + "\n")


def json_schema(command: str | None = None) -> dict[str, Any]:
    """Return the JSON Schema of one command's result, or of any command's.

    Raises:
        UsageError: no such command has JSON.
    """
    known = results()
    if command is not None and command not in known:
        raise UsageError(f"{command!r} is not a command with JSON", nearest(command, known))
    chosen = [known[name] for name in ([command] if command else known)]
    schemas, definitions = msgspec.json.schema_components(chosen, ref_template="#/$defs/{name}")
    top = schemas[0] if command else {"anyOf": list(schemas)}
    for each in definitions.values():
        if "description" in each:
            each["description"] = cleandoc(each["description"])  # older msgspec leaves indentation in it
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": definitions}
