"""What relies on typer's insides: the results are typer's own, with or without each name that may change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer import core
from typer.core import TyperGroup

from alexnet_cli.cli import typer_insides
from alexnet_cli.cli.typer_insides import PARSE_ERROR, QuickGroup


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


VALUES = [
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
]


@pytest.mark.parametrize("arguments", VALUES)
def test_quick_reading_gives_the_values_and_errors_of_typer(arguments):
    assert repr(outcome(QuickGroup, arguments)) == repr(outcome(TyperGroup, arguments))


def test_quick_reading_leaves_plain_values_away_from_typer(monkeypatch):
    asked = []
    real = core.TyperOption.get_runtime_param
    monkeypatch.setattr(core.TyperOption, "get_runtime_param", lambda self: asked.append(self.name) or real(self))
    _, got = outcome(QuickGroup, ["command", "--word", "a", "--number", "7", "--several", "b"])
    assert got[-1][:3] == ("a", ["b"], 7)
    assert set(asked) <= {"share", "loud", "flag"}  # floats and flags


def without_option_class(monkeypatch):
    with monkeypatch.context() as patch:
        patch.delattr(core, "TyperOption")  # typer needs it itself, under whatever name
        quick = typer_insides._quick_kinds()
    monkeypatch.setattr(typer_insides, "_QUICK", quick)


def without_type_descriptor(monkeypatch):
    """Hide the attribute from the quick reader only; typer uses it too, under whatever name."""
    plain = typer_insides._plain
    monkeypatch.setattr(typer_insides, "_plain", lambda value, param: plain(value, object()))


def without_a_call_of_get_runtime_param(monkeypatch):
    for kind in typer_insides._QUICK.values():
        monkeypatch.delattr(kind, "get_runtime_param")


def without_changeable_classes(monkeypatch):
    class Fixed:
        __slots__ = ()

    monkeypatch.setattr(typer_insides, "_QUICK", dict.fromkeys(typer_insides._QUICK, Fixed))


def without_the_name_of_the_parameter(monkeypatch):
    coerce = typer_insides._Reader.coerce
    monkeypatch.setattr(
        typer_insides._Reader, "coerce", lambda self, value, param, ctx: coerce(_Positional(self, param, ctx), value)
    )


class _Positional:
    """A reader whose caller passes `param` by another name."""

    def __init__(self, reader, param, ctx):
        self.reader = reader
        self.named = {"param": param, "ctx": ctx}

    def thorough(self):
        return self

    def coerce(self, value):
        return self.reader.thorough().coerce(value, **self.named)


@pytest.mark.parametrize(
    "change",
    [
        without_option_class,
        without_type_descriptor,
        without_a_call_of_get_runtime_param,
        without_changeable_classes,
        without_the_name_of_the_parameter,
    ],
)
@pytest.mark.parametrize("arguments", [VALUES[0], *VALUES[2:10], VALUES[-1]])
def test_without_one_of_the_names_typer_reads_the_values(arguments, change, monkeypatch):
    expected = repr(outcome(TyperGroup, arguments))
    change(monkeypatch)
    assert repr(outcome(QuickGroup, arguments)) == expected


def test_other_methods_of_a_reader_are_those_of_typer():
    class Thorough:
        def newer(self):
            return "typer's"

    assert typer_insides._Reader(Thorough).newer() == "typer's"


@pytest.mark.parametrize("arguments", [["--nonsense"], ["command", "--number", "x"], ["nothing"], ["command", "more"]])
def test_every_error_about_a_command_line_is_a_parse_error(arguments):
    kind, _ = outcome(TyperGroup, arguments)
    assert issubclass(kind, PARSE_ERROR)
    assert hasattr(kind, "format_message")


def test_leaving_the_program_is_no_parse_error():
    assert not issubclass(typer.Exit, PARSE_ERROR)
    assert not issubclass(typer.Abort, PARSE_ERROR)


UNUSED = {
    *("torch", "numpy", "pydantic", "importlib.metadata", "tempfile", "hashlib", "json", "random", "pickle"),
    *("rich.console", "rich.style", "rich.segment", "rich.color"),
    *("alexnet_cli.tracing.trace", "alexnet_cli.targets.python_code", "alexnet_cli.targets.checkpoint.read"),
    *("alexnet_cli.drawing", "alexnet_cli.report_page", "alexnet_cli.graphics.svg", "alexnet_cli.messages"),
}
"""What a table of a kept answer has no use for."""


def test_a_kept_answer_imports_nothing_that_it_does_not_use(alexnet):
    assert alexnet("summary", "-b", "2").code == 0
    program = [sys.executable, "-X", "importtime", "-m", "alexnet_cli", "summary", "-b", "2"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "alexnet_cli.cli.app" in imported
    assert not imported & UNUSED
