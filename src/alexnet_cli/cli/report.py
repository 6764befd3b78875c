"""`alexnet report`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from alexnet_cli.analyses.hardware import HARDWARE
from alexnet_cli.answers.files import check_place
from alexnet_cli.answers.report import NO_GPU, USUAL_GPU, Page, comparison_page, model_page
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import with_groups
from alexnet_cli.cli.output import Output, finish
from alexnet_cli.cli.sides import Sides
from alexnet_cli.cli.stderr import note
from alexnet_cli.errors import UsageError
from alexnet_cli.session.session import Session

EPILOG = """
\b
Examples:
  alexnet report -o report.html                    a page about the notebook's AlexNet, in one file
  alexnet report net.py:Net --open                 the same for your own model, shown in the browser
  alexnet report net.py:Net --gpu a100 -b 64       for another GPU and another batch
  alexnet report net.py:Net --profile              with how long each layer takes on this machine
  alexnet report net.py:Net --gpus 8 --gpu h100-sxm   what each of eight GPUs holds, and what fills a step
  alexnet report alexnet alexnet-paper -o ab.html  two models side by side
"""

SUFFIXES = (".html", ".htm")

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="One target as in the other commands, or several to compare.",
        autocompletion=options.complete_target,
        show_default="alexnet",
    ),
]
InputSize = Annotated[
    list[str] | None,
    typer.Option(
        "--input-size",
        "-i",
        metavar="SHAPE",
        help="As in the other commands, once for each argument of forward; for several targets as in `compare`.",
    ),
]
BatchSize = Annotated[
    list[int] | None, typer.Option("--batch-size", "-b", min=1, metavar="N", help="Samples in the batch; default 1.")
]
Dtype = Annotated[list[str] | None, typer.Option(metavar="DTYPE", help="float32, float16, bfloat16 or float64.")]
Gpu = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"The GPU of the roofline, as in `cost`; default: {USUAL_GPU}; {NO_GPU} leaves it out.",
        autocompletion=lambda: [*HARDWARE, NO_GPU],
        show_default=False,
    ),
]
Profile = Annotated[bool, typer.Option("--profile", help="Measure also how long each layer takes here.")]
Seconds = Annotated[float, typer.Option(metavar="S", help="With --profile: repeat the run for about so long.")]
Gpus = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Compare the layouts of so many GPUs, as `shard --fit` does: what each holds, and what fills a step.",
        show_default=False,
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Show the page in the browser.")]
File = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to this file; default: NAME-report.html, or stdout if that is a pipe.",
    ),
]


@dataclass(frozen=True)
class ReportSides(Sides):
    """How each target of a report is built and run: one as in the other commands, several as in `compare`."""

    arguments: options.Arguments = None
    input_size: InputSize = None
    batch_size: BatchSize = None
    dtype: Dtype = None

    def session(self, target: str) -> Session:
        """Return the session of a single target; a repeated `--input-size` is for each argument of forward.

        Raises:
            UsageError: an option does not parse.
        """
        [run] = replace(self, input_size=None).runs(1)
        return replace(run, arguments=self.arguments, input_size=self.input_size).session(target)


@with_groups(without=("device",))
def report(
    targets: Targets = None,
    gpu: Gpu = None,
    gpus: Gpus = None,
    optimizer: options.Optimizer = "sgd",
    amp: options.Amp = None,
    profile: Profile = False,
    seconds: Seconds = 5.0,
    *,
    sides: ReportSides,
    output: File = None,
    show: Open = False,
) -> None:
    """Write a page about a model, or about several side by side: one HTML file that needs nothing else."""
    _check_file(output)
    names = targets or ["alexnet"]
    if len(names) > 1:
        for name, value in (("--gpu", gpu), ("--gpus", gpus), ("--amp", amp)):
            if value is not None:
                raise UsageError(
                    f"{name} goes with one target", "a comparison has no roofline, layouts or training step"
                )
        if profile:
            raise UsageError("--profile goes with one target", "`alexnet compare --profile` measures several in turns")
        page = comparison_page(sides.sessions(names))
    else:
        page = model_page(
            sides.session(names[0]), gpu=gpu, optimizer=optimizer, amp=amp, profile=profile, seconds=seconds, gpus=gpus
        )
    _write(page, output, show=show)
    finish(page)


def _check_file(file: Path | None) -> None:
    if file is None:
        return
    check_place(file)
    if file.suffix.lower() not in SUFFIXES and (file.is_file() or not file.exists()):
        raise UsageError(f"a report is HTML, but {file} has another suffix", f"as in -o {file.with_suffix('.html')}")


def _write(page: Page, output: Path | None, *, show: bool) -> None:
    """Write to the given file, else to a pipe, else to a file named after the models."""
    file = output
    if file is None and (show or sys.stdout.isatty()):
        file = Path(f"{_plain('-'.join(report.model.class_name for report in page.reports))}-report.html")
        note(f"the report is in {file}")
    Output("html", file).write(page.html)
    if file is not None and show:
        import webbrowser  # only where a page is shown

        if not webbrowser.open(file.resolve().as_uri()):
            note(f"no browser was found: open {file} yourself")


def _plain(name: str) -> str:
    """Make a name safe for a file."""
    return re.sub(r"[^\w.-]+", "-", name)[:100].strip("-.") or "model"
