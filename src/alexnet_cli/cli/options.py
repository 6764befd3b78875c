"""Options that several commands share, alone and in groups.

Shell completion runs at every press of Tab, so without torch; typer leaves out what does not begin with the word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from alexnet_cli.answers.files import JSON, check_place, format_of
from alexnet_cli.cli.output import Output
from alexnet_cli.cli.stderr import LISTENER
from alexnet_cli.errors import UsageError, one_of
from alexnet_cli.renderers import FORMATS
from alexnet_cli.session.how import AMP_DTYPES, DEVICES, LOSSES, META, OPTIMIZERS, how_to_run
from alexnet_cli.session.session import FILES, Named, Session, names_like


def complete_target(incomplete: str) -> list[tuple[str, str]]:
    """Complete the built-in models, then files that can be targets, and folders."""
    named = list(names_like(incomplete).items())
    folder = Path(incomplete or ".") if incomplete.endswith("/") or not incomplete else Path(incomplete).parent
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return named
    prefix = incomplete[: incomplete.rfind("/") + 1]
    return named + [
        (f"{prefix}{entry.name}/", "folder") if entry.is_dir() else (f"{prefix}{entry.name}", "file")
        for entry in entries
        if not entry.name.startswith(".") and (entry.is_dir() or entry.suffix in FILES)
    ]


def complete_device() -> list[str]:
    """Return the kinds of devices."""
    return list(DEVICES)


def complete_predicted() -> list[str]:
    """Return the devices whose memory is predicted."""
    from alexnet_cli.answers.memory import DEVICES as PREDICTED  # commands without --for do without its analyses

    return list(PREDICTED)


def complete_format() -> list[str]:
    """Return the formats."""
    return [JSON, "torchsummary", *FORMATS]


Target = Annotated[
    str,
    typer.Argument(
        help="A built-in model (see `alexnet models`), file.py:NAME, package.module:NAME, "
        "a model folder (config.json), hf:ORG/NAME, timm:NAME, torchvision:NAME, an exported program (.pt2), "
        "a checkpoint (.safetensors, .pt), "
        "an ONNX file (.onnx), or a saved report: report.json, - for standard input.",
        autocompletion=complete_target,
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="NAME=VALUE", help="Passed to the class or function; the value is JSON. Repeatable."),
]
NoBatch = Annotated[bool, typer.Option("--no-batch", help="Shapes already include the batch.")]
Train = Annotated[bool, typer.Option("--train/--eval", help="Run the forward in training or evaluation mode.")]
Formulas = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A Python file with your own MAC formulas; see docs/targets.md.")
]
Traceback = Annotated[
    bool, typer.Option("--traceback", help="Show all frames of a failure, not only those of your own code.")
]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Answers about built-in models on meta are kept. --no-cache traces again; --cache keeps those about your "
        "own code too, until one of its files changes.",
        show_default=False,
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code",
        help="Run the code that a model folder brings along, with all your rights: read it first.",
    ),
]
Depth = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Show the tree to this depth; deeper rows are summed into their parent."),
]
File = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file; its suffix picks the format.")
]
NoColor = Annotated[bool, typer.Option("--no-color", help="Use no colour, as with NO_COLOR in the environment.")]
Optimizer = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"The optimizer of the training step: {', '.join(OPTIMIZERS)}.",
        autocompletion=lambda: list(OPTIMIZERS),
    ),
]
Loss = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"The loss: {' or '.join(LOSSES)}, which is the model's own where it returns a number.",
        autocompletion=lambda: list(LOSSES),
    ),
]
Amp = Annotated[
    str | None,
    typer.Option(
        metavar="DTYPE",
        help="Train in mixed precision: the forward under autocast in bf16 or fp16, the weights in float32.",
        autocompletion=lambda: list(AMP_DTYPES),
    ),
]
PredictFor = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="DEVICE",
        help="Predict for cuda (the default, and with --gpu), or for this machine's cpu, with the workspaces of its "
        "convolutions and LSTMs.",
        show_default=False,
        autocompletion=complete_predicted,
    ),
]

BatchSizes = Annotated[
    str | None,
    typer.Option(
        "--batch-size",
        "-b",
        metavar="N[,N...]",
        help="Samples in the batch, several sizes to compare; default: 1, or those of --inputs.",
    ),
]
LARGEST_BATCH = 2**31 - 1


@dataclass(frozen=True)
class Run:
    """How the model is built and run."""

    arguments: Arguments = None
    input_size: Annotated[
        list[str] | None,
        typer.Option(
            "--input-size",
            "-i",
            metavar="SHAPE",
            help="Shape without the batch: 3,227,227 or 3x227x227, or 227 for a square image; :int64 sets the dtype. "
            "Repeat it for each argument of forward; NAME=SHAPE names it, NAME=JSON passes a value with shapes inside.",
        ),
    ] = None
    inputs_from: Annotated[
        str | None,
        typer.Option(
            "--inputs",
            metavar="FILE:NAME",
            help="A function or value in file.py:NAME or package.module:NAME: what forward is called with.",
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", "-b", min=1, metavar="N", help="Samples in the batch; default: 1, or those of --inputs."
        ),
    ] = None
    no_batch: NoBatch = False
    device: Annotated[
        str,
        typer.Option(
            metavar="DEVICE",
            help="meta computes shapes only and allocates nothing; cpu, cuda, cuda:N, mps and xpu "
            "build and run the model.",
            autocompletion=complete_device,
        ),
    ] = META
    dtype: Annotated[
        str | None,
        typer.Option(metavar="DTYPE", help="float32, float16, bfloat16 or float64; default: the model's own, float32."),
    ] = None
    train: Train = False
    formulas: Formulas = None
    traceback: Traceback = False
    cache: Cache = None
    trust_remote_code: TrustRemoteCode = False

    def session(self, target: str) -> Session:
        """Return a session about a target run like this.

        Raises:
            UsageError: an option does not parse.
        """
        given = {**vars(self)}
        arguments, cache, trusted = (given.pop(name) for name in ("arguments", "cache", "trust_remote_code"))
        source = Named(target, tuple(arguments or ()), trusted=trusted)
        return Session(source, how_to_run(**given), cache=cache, listener=LISTENER)

    def by_batch(self, target: str, batch_sizes: str | None) -> tuple[Session, tuple[int, ...] | None]:
        """Return a session with the first of the batch sizes that are typed, and all of them if there are several.

        Raises:
            UsageError: an option does not parse, or several sizes are given for shapes that include the batch.
        """
        sizes = () if batch_sizes is None else _batch_sizes(batch_sizes)
        if self.no_batch and len(sizes) > 1:
            raise UsageError("--no-batch and several batch sizes exclude each other")
        session = replace(self, batch_size=sizes[0] if sizes else None).session(target)
        return session, sizes if len(sizes) > 1 else None


def _batch_sizes(text: str) -> tuple[int, ...]:
    """Read `1` or `1,8,64`.

    Raises:
        UsageError: it is no list of batch sizes.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) <= LARGEST_BATCH for part in parts):
        expected = f"write whole numbers from 1 to {LARGEST_BATCH:,}, as 8, or 1,8,64 to compare"
        raise UsageError(f"--batch-size {text!r} is no batch size", expected)
    return tuple(dict.fromkeys(map(int, parts)))


@dataclass(frozen=True)
class Page:
    """How the answer is shown, and where it goes."""

    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="table, json, csv, markdown, latex, html or svg; for summary also torchsummary.",
            autocompletion=complete_format,
        ),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False
    output: File = None
    width: Annotated[
        int | None, typer.Option(min=20, metavar="N", help="Width of the table; default: the terminal's.")
    ] = None
    no_color: NoColor = False

    def out(self, extra: Iterable[str] = ()) -> Output:
        """Return where the answer goes; `extra` are formats of this command only.

        Raises:
            UsageError: the format is unknown, two options name different ones, or the file cannot be written.
        """
        if self.format_name is not None:
            one_of(self.format_name, (*FORMATS, JSON, *extra), "format")
        if self.json and self.format_name not in (None, JSON):
            raise UsageError(f"--json and --format {self.format_name} exclude each other")
        chosen = JSON if self.json else self.format_name
        if self.output is not None:
            check_place(self.output)
            chosen = chosen or format_of(self.output)
        return Output(chosen or "table", self.output, self.width, self.no_color)
