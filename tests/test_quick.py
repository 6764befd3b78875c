"""Plain values of a command line are read without pydantic, and mean the same as with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.core import TyperGroup

from alexnet_cli.cli.quick import QuickGroup


def outcome(group: type[TyperGroup], arguments: list[str]) -> object:
    """Return what a command got, or how it was refused."""
    app = typer.Typer(cls=group, add_completion=True)
    got = []

    @app.callback()
    def main(loud: bool = False) -> None:
        got.append(loud)

    @app.command()
    def command(  # noqa: PLR0917 - one of each kind
        word: str = "default",
        several: Annotated[list[str] | None, typer.Option()] = None,
        number: Annotated[int, typer.Option(min=1, max=99)] = 1,
        maybe: Annotated[int | None, typer.Option(min=0)] = None,
        path: Annotated[Path | None, typer.Option()] = None,
        flag: Annotated[bool | None, typer.Option("--yes/--no")] = None,
        share: float = 0.5,
    ) -> None:
        got.append((word, several, number, maybe, path, flag, share))

    try:
        return app(arguments, standalone_mode=False), got
    except Exception as error:  # noqa: BLE001 - typer's own errors, of any kind
        return type(error), str(error)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--loud", "command"],
        ["command", "--word", "a b"],
        ["command", "--word", ""],
        ["command", "--word", "é"],
        ["command", "--word", "\udcff"],
        ["command", "--several", "a", "--several", "b"],
        ["command", "--number", "7"],
        ["command", "--number", "007"],
        ["command", "--number", "0"],
        ["command", "--number", "100"],
        ["command", "--number", "-1"],
        ["command", "--number", "+5"],
        ["command", "--number", " 5"],
        ["command", "--number", "5.0"],
        ["command", "--number", "1_0"],
        ["command", "--number", "٣"],
        ["command", "--number", "many"],
        ["command", "--number", ""],
        ["command", "--maybe", "0"],
        ["command", "--maybe", "9" * 40],
        ["command", "--path", "x/y"],
        ["command", "--yes"],
        ["command", "--no"],
        ["command", "--share", "0.25"],
        ["command", "--share", "nan"],
        ["command", "--nothing"],
        ["command", "too", "many"],
        ["comand"],
    ],
)
def test_each_value_means_what_it_means_to_typer(arguments):
    assert repr(outcome(QuickGroup, arguments)) == repr(outcome(TyperGroup, arguments))


def test_a_kept_answer_needs_neither_pydantic_nor_a_console(alexnet):
    assert alexnet("summary", "-b", "2").code == 0
    program = [sys.executable, "-X", "importtime", "-m", "alexnet_cli", "summary", "-b", "2"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "alexnet_cli.cli.app" in imported
    assert not imported & {"torch", "pydantic", "rich.console", "importlib.metadata", "tempfile"}
