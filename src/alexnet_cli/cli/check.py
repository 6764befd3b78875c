"""`alexnet check`."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Annotated, Any

import typer

from alexnet_cli.analyses.check import STEP_LIMITS, check_baseline, check_limits, sentence
from alexnet_cli.analyses.limits import LIMITS, Limit
from alexnet_cli.cli import options
from alexnet_cli.cli.annotations import CI_FORMATS
from alexnet_cli.cli.check_settings import read_asked
from alexnet_cli.cli.obtain import complain, finish, note, obtain_report, trace_options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.check import CheckResult
from alexnet_cli.cli.training import Amp, Optimizer, Tracer, as_found, training_step
from alexnet_cli.errors import ExitCode
from alexnet_cli.renderers import FORMATS
from alexnet_cli.report import ErrorInfo, Report, Run
from alexnet_cli.tracing.options import META
from alexnet_cli.views.check import check_document

EPILOG = """
\b
Examples:
  alexnet check --max-params 65M --max-macs 1.2G            exit 1 where one does not hold
  alexnet summary net.py:Net --json -o baseline.json        what it is today
  alexnet check net.py:Net --baseline baseline.json         it has not grown since
  alexnet check net.py:Net --format github                  limits from pyproject.toml, annotations for GitHub
  alexnet check net.py:Net --format junit -o results.xml    for other CI systems

In pyproject.toml of the current folder: a table named tool.alexnet.check, with the options' names as keys, such as
max-params = "65M" or no-unused = true. Options win.
"""

Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="REPORT",
        help="A saved report: parameters, weights, MACs and number of layers may not grow beyond it.",
    ),
]
Tolerance = Annotated[
    str | None, typer.Option(metavar="FRACTION", help="How much they may: 0.01 or 1%; default 0. With --baseline.")
]
CheckFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help="table, json, csv, markdown, latex, html or svg; github for annotations, junit for XML.",
        autocompletion=lambda incomplete: [
            name for name in ("json", *CI_FORMATS, *FORMATS) if name.startswith(incomplete)
        ],
    ),
]


def check(
    target: options.Target = "alexnet",
    baseline: Baseline = None,
    tolerance: Tolerance = None,
    optimizer: Optimizer = "sgd",
    amp: Amp = None,
    arguments: options.Arguments = None,
    input_size: options.InputSize = None,
    batch_size: options.BatchSize = 1,
    no_batch: options.NoBatch = False,
    device: options.Device = "meta",
    dtype: options.Dtype = None,
    train: options.Train = False,
    formulas: options.Formulas = None,
    traceback: options.Traceback = False,
    format_name: CheckFormat = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
    **limits: Any,
) -> None:
    """Hold a model to limits, or to a baseline: exit code 1 where one is passed."""
    out = choose_output(format_name, output, width, json=json, no_color=no_color, extra=tuple(CI_FORMATS))
    given = {limit.name: limits[limit.parameter] for limit in LIMITS}
    asked = read_asked({**given, "baseline": baseline, "tolerance": tolerance})
    how = trace_options(input_size, batch_size, device, dtype, no_batch=no_batch, train=train)
    how = replace(how, formulas=formulas, traceback=traceback)
    step = training_step(optimizer, amp, foreach=False)
    report = obtain_report(target, arguments, how)
    trained = None
    if report.error is None and STEP_LIMITS & asked.limits.keys():
        trained = Tracer(target, arguments, cache=None).training(as_found(replace(how, device=META), report), step)
        if trained is not None and trained.error is not None:
            note(f"the training step failed: {trained.error.message}")
    checks = check_limits(report, asked.limits, trained)
    if asked.baseline is not None:
        _note_other_run(report.run, asked.baseline.run)
        checks += check_baseline(report, asked.baseline, asked.tolerance)
    result = CheckResult(
        generator=report.generator,
        command="check",
        model=report.model,
        run=report.run,
        error=report.error,
        passed=report.error is None and all(each.passed for each in checks),
        checks=checks,
    )
    if out.format in CI_FORMATS:
        out.write_text(CI_FORMATS[out.format](result))
    else:
        out.write(result, lambda: check_document(report, checks))
    raise typer.Exit(_finish(report, result))


def _finish(report: Report, result: CheckResult) -> int:
    for each in result.checks:
        if not each.passed:
            complain(ErrorInfo("check_failed", f"{each.name}: {sentence(each)}"))
    failed = finish(report)
    return failed or (ExitCode.OK if result.passed else ExitCode.CHECK_FAILED)


def _note_other_run(now: Run | None, before: Run | None) -> None:
    """Tell where the numbers come from different runs."""
    if before is None:
        note("the baseline was not run: MACs and layers are not held to it")
    elif now is not None and [item.shape for item in now.inputs] != [item.shape for item in before.inputs]:
        note("the baseline was run with another input: MACs depend on it")


def _option(limit: Limit) -> inspect.Parameter:
    kind: Any = str | None
    if limit.quantity is None:
        kind = bool | None
        option = typer.Option(f"--{limit.name}/--allow-{limit.measure}", help=limit.help)
    else:
        option = typer.Option(f"--{limit.name}", metavar="LIMIT", help=limit.help)
    annotation = Annotated[kind, option]
    return inspect.Parameter(limit.parameter, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _signature() -> inspect.Signature:
    """Return the command's signature as typer reads it, with an option for each limit after the target."""
    target, *others = inspect.signature(check, eval_str=True).parameters.values()
    named = [each for each in others if each.kind is not inspect.Parameter.VAR_KEYWORD]
    keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in named]
    return inspect.Signature([target, *map(_option, LIMITS), *keyword])


check.__signature__ = _signature()  # type: ignore[attr-defined] # functions have one where it is set
