"""The program: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from alexnet_cli.cli.commands import COMMANDS, command_module
from alexnet_cli.cli.output import abandon_stdout, write_stdout
from alexnet_cli.cli.stderr import complain, interrupted
from alexnet_cli.cli.typer_insides import PARSE_ERROR, QuickGroup
from alexnet_cli.errors import AlexnetError, ExitCode, InternalError, OutputError, TargetError, UsageError, told
from alexnet_cli.interrupts import interrupts_noticed
from alexnet_cli.report import ErrorInfo
from alexnet_cli.report_json import Envelope, generator, to_json
from alexnet_cli.users_code import is_ours


def _print_version(*, wanted: bool) -> None:
    if wanted:
        this = generator()
        print(f"{this.name} {this.version} (torch {this.torch or 'not installed'})")
        raise typer.Exit


def alexnet(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda value: _print_version(wanted=value), is_eager=True, help="Show the versions."
        ),
    ] = False,
) -> None:
    """Inspect the architecture of a PyTorch model: layers, shapes, parameters, compute."""
    del version


def command_line(words: Sequence[str]) -> typer.Typer:
    """Return the program with all its commands; those not in `words` have only their line in the help.

    Importing a command costs time, and a command line names one of them.
    """
    app = typer.Typer(
        name="alexnet",
        cls=QuickGroup,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help, in less than half the time
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Targets, exit codes and JSON keys are stated in the README.",
    )
    app.callback()(alexnet)
    for name, text in COMMANDS.items():
        if name in words:
            module = command_module(name)
            command = getattr(module, name.replace("-", "_"))
            settings = getattr(module, "SETTINGS", None)
            app.command(name, epilog=getattr(module, "EPILOG", None), context_settings=settings)(command)
        else:
            app.command(name, help=text)(_not_named)
    return app


def _not_named() -> None:
    """Stand in for a command that the command line does not name; it never runs."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return the exit code; errors go to stderr, and to stdout as JSON if that was asked for."""
    with interrupts_noticed() as seen:
        try:
            code = _answered(arguments)
        except (KeyboardInterrupt, typer.Abort):
            code = ExitCode.INTERRUPTED
        except Exception as error:  # noqa: BLE001 - every error becomes an exit code here
            if not seen:
                return _failed(_explained(error, arguments), arguments)
            code = ExitCode.INTERRUPTED
    if code == ExitCode.INTERRUPTED:  # typer returns this code when it catches the interrupt itself
        interrupted()
    return int(code or 0)


def _explained(error: Exception, arguments: Sequence[str]) -> AlexnetError:
    """Return what ended the command as an error with an exit code."""
    match error:
        case AlexnetError():
            return error
        case _ if isinstance(error, PARSE_ERROR):
            return UsageError(str(error.format_message()), _help_hint(error))
        case ImportError():
            hint = "install it as PyTorch's page says: https://pytorch.org/get-started/locally/"
            return TargetError(f"cannot import {error.name or 'torch'}: {error}", hint)
        case OSError():
            return _refused(error)
    return _internal(error, arguments)  # whatever else happens is this program's fault


def _answered(arguments: Sequence[str]) -> int | None:
    """Run a command line; it is not an error that nobody reads what it prints."""
    app = command_line([*arguments, *os.environ.get("COMP_WORDS", "").split()])  # the shell's, when it completes
    try:
        code: int | None = app(list(arguments) or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as ended:  # click exits where its help meets a closed pipe
        if isinstance(ended, SystemExit) and not isinstance(ended.__context__, BrokenPipeError):
            raise
        abandon_stdout()
        return 0
    return code


def _failed(error: AlexnetError, arguments: Sequence[str]) -> int:
    info = ErrorInfo(error.code, error.message, error.hint, error.path)
    if "--traceback" in arguments and error.__cause__ is not None:
        traceback.print_exception(error.__cause__)
    complain(info)
    if isinstance(error, OutputError):
        abandon_stdout()
    elif _wants_json(arguments):
        command = next((word for word in arguments if not word.startswith("-")), "")
        try:
            write_stdout(to_json(Envelope(generator=generator(), command=command, error=info)).encode())
        except OutputError:
            abandon_stdout()
    return error.exit_code


def _refused(error: OSError) -> AlexnetError:
    """Return what to say where the system refuses a file that the command line named, or to write to stdout."""
    if error.filename is None:
        return OutputError(f"cannot write the answer: {error.strerror}")
    return UsageError(f"cannot use {os.fsdecode(error.filename)}: {error.strerror}", "name another file")


def _internal(error: Exception, arguments: Sequence[str]) -> InternalError:
    """Return what to say about a failure of the program itself: where it happened, and what to report."""
    import shlex  # only if something is wrong

    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if is_ours(frame.filename)] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "unknown"
    this = generator()
    internal = InternalError(
        f"alexnet itself failed: {told(error)} (at {place})",
        f"please report this line and the command line: {this.version}, torch {this.torch}, alexnet "
        f"{shlex.join(arguments)}\n--traceback shows all frames",
    )
    internal.__cause__ = error
    return internal


def _wants_json(arguments: Sequence[str]) -> bool:
    named = any(word in ("-f", "--format") and value == "json" for word, value in pairwise(arguments))
    return named or any(word in ("--json", "--format=json", "-fjson") for word in arguments)


def _help_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path if context else 'alexnet'} --help"
