"""Several targets, each with how it is built and run: options that are given once for all or once for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import typer

from alexnet_cli.cli import options
from alexnet_cli.errors import UsageError
from alexnet_cli.session.how import META
from alexnet_cli.session.session import Session, is_stored, takes_sizes

T = TypeVar("T")
D = TypeVar("D")
_FOR_ONE = re.compile(r"(?P<place>\d{1,4}):(?P<rest>.*)", re.DOTALL)

_SEPARATOR = re.compile(r';(?=(?:[^"]*"[^"]*")*[^"]*$)')  # not inside a string of JSON
_ONCE_OR_EACH = "Once for all targets, or once for each in their order."


@dataclass(frozen=True)
class Sides:
    """How each target is built and run; None or a list of one for all targets or one for each."""

    arguments: Annotated[
        list[str] | None,
        typer.Option(
            "--arg",
            metavar="[N:]NAME=VALUE",
            help="Passed to the class or function of each target, or only of the Nth; the value is JSON. Repeatable.",
        ),
    ] = None
    input_size: Annotated[
        list[str] | None,
        typer.Option(
            "--input-size",
            "-i",
            metavar="SHAPE[;SHAPE]",
            help=f"Shape without the batch, as in the other commands; separate arguments of forward with a semicolon. "
            f"{_ONCE_OR_EACH}",
        ),
    ] = None
    inputs_from: Annotated[
        list[str] | None,
        typer.Option(
            "--inputs",
            metavar="FILE:NAME",
            help=f"As in the other commands: what forward is called with. {_ONCE_OR_EACH}",
        ),
    ] = None
    batch_size: Annotated[
        list[int] | None,
        typer.Option("--batch-size", "-b", min=1, metavar="N", help=f"Samples in the batch. {_ONCE_OR_EACH}"),
    ] = None
    no_batch: options.NoBatch = False
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="DEVICE",
            help=f"meta (default), cpu, cuda, cuda:N, mps or xpu. {_ONCE_OR_EACH}",
            autocompletion=options.complete_device,
        ),
    ] = None
    dtype: Annotated[
        list[str] | None,
        typer.Option("--dtype", metavar="DTYPE", help=f"float32, float16, bfloat16 or float64. {_ONCE_OR_EACH}"),
    ] = None
    train: options.Train = False
    formulas: options.Formulas = None
    traceback: options.Traceback = False
    cache: options.Cache = None
    trust_remote_code: options.TrustRemoteCode = False

    def sessions(self, targets: Sequence[str]) -> list[Session]:
        """Return a session for each target, with its own options; a saved report takes none if a model is run.

        Raises:
            UsageError: an option does not parse, or is given neither once nor once for each target.
        """
        arguments, runs = arguments_of(self.arguments, len(targets)), self.runs(len(targets))
        stored = [is_stored(target) for target in targets]
        found = []
        for target, own, run, keep in zip(targets, arguments, runs, stored, strict=True):
            settled = options.Run(cache=self.cache) if keep and not all(stored) else replace(run, arguments=own)
            if keep and takes_sizes(target):
                settled = replace(settled, input_size=run.input_size, batch_size=run.batch_size)
            found.append(settled.session(target))
        return found

    def runs(self, count: int) -> list[options.Run]:
        """Return how each target is run, without its arguments.

        Raises:
            UsageError: an option is given neither once nor once for each target.
        """
        sizes = [_SEPARATOR.split(text) if text else None for text in self.input_size or ()]
        each: dict[str, Sequence[Any]] = {
            "input_size": per_target(sizes, count, "--input-size", None),
            "inputs_from": per_target([text or None for text in self.inputs_from or ()], count, "--inputs", None),
            "batch_size": per_target(self.batch_size, count, "--batch-size", None),
            "device": per_target(self.device, count, "--device", META),
            "dtype": per_target([text or None for text in self.dtype or ()], count, "--dtype", None),
        }
        for_all = ("no_batch", "train", "formulas", "traceback", "cache", "trust_remote_code")
        run = options.Run(**{name: getattr(self, name) for name in for_all})
        return [replace(run, **{name: values[place] for name, values in each.items()}) for place in range(count)]


def arguments_of(texts: Sequence[str] | None, count: int) -> list[list[str]]:
    """Give each target its `--arg`s: those for all, and those with its number, such as `2:width=32`.

    Raises:
        UsageError: there is no target of that number.
    """
    found: list[list[str]] = [[] for _ in range(count)]
    for text in texts or ():
        match = _FOR_ONE.fullmatch(text)
        if match is None:
            for own in found:
                own.append(text)
        elif 1 <= int(match["place"]) <= count:
            found[int(match["place"]) - 1].append(match["rest"])
        else:
            raise UsageError(f"--arg {text!r}: there is no target {match['place']}", f"they are numbered 1 to {count}")
    return found


def per_target(values: Sequence[T] | None, count: int, option: str, default: D) -> Sequence[T | D]:
    """Return a value for each target.

    Raises:
        UsageError: there is neither one value nor one for each.
    """
    if not values:
        return [default] * count
    if len(values) not in (1, count):
        raise UsageError(
            f"{option} was given {len(values)} times for {count} target{'' if count == 1 else 's'}",
            "give it once for all of them, or once for each in their order",
        )
    return list(values) * (count // len(values))
