"""`alexnet report`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.findings.rules import RULES
from alexnet_cli.analyses.hardware import HARDWARE, find_hardware
from alexnet_cli.analyses.memory import Recipe
from alexnet_cli.cli import options
from alexnet_cli.cli.changes import trace_changes
from alexnet_cli.cli.completion import complete_target
from alexnet_cli.cli.obtain import finish, note, obtain_report, trace_options
from alexnet_cli.cli.output import Output, check_place
from alexnet_cli.cli.progress import progress
from alexnet_cli.cli.sides import SideOptions, finish_all, obtain_reports, per_target
from alexnet_cli.cli.training import Amp, Optimizer, Tracer, as_found, training_step
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.report_page.material import Material, need_packages
from alexnet_cli.tracing.options import META, TrainingStep

EPILOG = """
\b
Examples:
  alexnet report -o report.html                   a page about the notebook's AlexNet, in one file
  alexnet report net.py:Net --open                the same of your own model, shown in the browser
  alexnet report net.py:Net --gpu a100 -b 64      held to another GPU, with another batch
  alexnet report alexnet alexnet-paper -o ab.html two models side by side
"""

NO_GPU, USUAL_GPU = "none", "t4"
SUFFIXES = (".html", ".htm")

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="One target as in the other commands, or two and more for a comparison.",
        autocompletion=complete_target,
        show_default="alexnet",
    ),
]
InputSize = Annotated[
    list[str] | None,
    typer.Option(
        "--input-size",
        "-i",
        metavar="SHAPE",
        help="As in the other commands, repeated for each argument of forward; for a comparison as in `compare`.",
    ),
]
BatchSize = Annotated[
    list[int] | None,
    typer.Option("--batch-size", "-b", min=1, metavar="N", help="Images in the batch; default 1."),
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
Open = Annotated[bool, typer.Option("--open", help="Show the page in the browser.")]
File = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write there; without it to NAME-report.html, or to a pipe."),
]


def report(
    targets: Targets = None,
    gpu: Gpu = None,
    optimizer: Optimizer = "sgd",
    amp: Amp = None,
    arguments: options.Arguments = None,
    input_size: InputSize = None,
    batch_size: BatchSize = None,
    no_batch: options.NoBatch = False,
    dtype: Dtype = None,
    train: options.Train = False,
    formulas: options.Formulas = None,
    traceback: options.Traceback = False,
    cache: options.Cache = None,
    output: File = None,
    show: Open = False,
) -> None:
    """Write a page about a model, or about several side by side: one HTML file that needs nothing else."""
    _check_file(output)
    need_packages()
    from alexnet_cli.report_page import page  # needs those packages

    names = targets or ["alexnet"]
    given = SideOptions(arguments, input_size, batch_size, None, dtype, no_batch, train, formulas, traceback)
    if len(names) > 1:
        _only_for_one_model({"--gpu": gpu, "--amp": amp})
        reports = obtain_reports(names, given)
        with progress("writing"):
            text = page.comparison_page(reports)
        code = finish_all(reports)
    else:
        step = training_step(optimizer, amp, foreach=False)
        material = _material(names[0], given, step, _roof(gpu), cache=cache)
        reports = [material.report]
        with progress("writing"):
            text = page.model_page(material)
        code = finish(material.report)
    _write(text, output, reports, show=show)
    raise typer.Exit(code)


def _material(
    target: str, given: SideOptions, step: TrainingStep, roof: Roof | None, *, cache: bool | None
) -> Material:
    """Trace the model, and a training step where there is something to train."""
    batch = per_target(given.batch_size, 1, "--batch-size", 1)[0]
    dtype = per_target(given.dtype, 1, "--dtype", "")[0]
    how = trace_options(given.input_size, batch, META, dtype or None, no_batch=given.no_batch, train=given.train)
    how = replace(how, formulas=given.formulas, traceback=given.traceback)
    traced = obtain_report(target, given.arguments, how, cache=cache)
    tracer = Tracer(target, given.arguments, cache=cache)
    trained = None
    if traced.error is None and tracer.can_run:
        trained = tracer.training(as_found(how, traced), step)
    recipe = Recipe(step.optimizer, step.amp, step.foreach)
    changes = trace_changes(traced, RULES, target, given.arguments, how, cache=cache)
    return Material(traced, trained, recipe, _why_untrained(trained, can_run=tracer.can_run), roof, changes)


def _why_untrained(trained: Report | None, *, can_run: bool) -> str:
    if not can_run:
        return "A saved report holds a forward only: a training step needs the model itself."
    if trained is None:
        return "There is nothing to train in this model, so this is a forward."
    return "" if trained.error is None else f"This is a forward: a training step fails with “{trained.error.message}”."


def _roof(gpu: str | None) -> Roof | None:
    if gpu == NO_GPU:
        return None
    return Roof(find_hardware(USUAL_GPU if gpu is None else gpu, f"{NO_GPU} leaves the roofline out"))


def _only_for_one_model(options_given: Mapping[str, object]) -> None:
    for name, value in options_given.items():
        if value is not None:
            raise UsageError(f"{name} goes with one target", "a comparison has no roofline and no training step")


def _check_file(file: Path | None) -> None:
    if file is None:
        return
    check_place(file)
    if file.suffix.lower() not in SUFFIXES and (file.is_file() or not file.exists()):
        raise UsageError(f"a report is HTML, and {file} is not named so", f"as in -o {file.with_suffix('.html')}")


def _write(text: str, output: Path | None, reports: Sequence[Report], *, show: bool) -> None:
    """Write to the file that was named, else to a pipe, else to a file named after the models."""
    file = output
    if file is None and (show or sys.stdout.isatty()):
        file = Path(f"{_plain('-'.join(report.model.class_name for report in reports))}-report.html")
        note(f"the report is in {file}")
    Output("html", file).write_text(text)
    if file is not None and show and not _opened(file):
        note(f"no browser was found: open {file} yourself")


def _opened(file: Path) -> bool:
    import webbrowser

    return webbrowser.open(file.resolve().as_uri())


def _plain(name: str) -> str:
    """Make a name fit for a file."""
    return re.sub(r"[^\w.-]+", "-", name)[:100].strip("-.") or "model"
