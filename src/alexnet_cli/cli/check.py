"""`alexnet check`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, make_dataclass
from typing import Annotated, Any

import typer

from alexnet_cli.analyses.check import LIMITS, Limit
from alexnet_cli.answers.check import check as answer
from alexnet_cli.answers.check import read_asked
from alexnet_cli.answers.files import JSON
from alexnet_cli.cli import options
from alexnet_cli.cli.ci_formats import CI_FORMATS
from alexnet_cli.cli.groups import with_groups
from alexnet_cli.cli.output import finish
from alexnet_cli.cli.pyproject import settings
from alexnet_cli.renderers import FORMATS

EPILOG = """
\b
Examples:
  alexnet check --max-params 65M --max-macs 1.2G            exit 1 if one does not hold
  alexnet summary net.py:Net --json -o baseline.json        save what it is today
  alexnet check net.py:Net --baseline baseline.json         check that it has not grown
  alexnet check net.py:Net --baseline main/net.py:Net --max-time-ratio 1.1   that it has become no slower
  alexnet check net.py:Net --format github                  limits from pyproject.toml, as annotations for GitHub
  alexnet check net.py:Net --format junit -o results.xml    for other CI systems

Limits can also stand in pyproject.toml of the current folder, in a table named tool.alexnet.check with the options'
names as keys: max-params = "65M", no-unused = true. Options override them.
"""

Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="TARGET",
        help="A saved report, or a model that is run like this one: parameters, weights, MACs and the number of layers "
        "must not exceed it.",
    ),
]
Tolerance = Annotated[
    str | None,
    typer.Option(metavar="FRACTION", help="With --baseline: the growth that is allowed, as 0.01 or 1%; default 0."),
]
TimeRatio = Annotated[
    str | None,
    typer.Option(
        "--max-time-ratio",
        metavar="RATIO",
        help="Maximum time of the run as a multiple of that of the --baseline, a model; both are run here in turns. "
        "Fails if the whole 95 % interval is above.",
    ),
]
Seconds = Annotated[float, typer.Option(metavar="S", help="With --max-time-ratio: run for about so long in all.")]

_HELP = {
    "max-params": "Maximum number of parameters, e.g. 65M.",
    "max-macs": "Maximum MACs of a forward, e.g. 1.2G.",
    "max-weights": "Maximum size of the parameters, e.g. 240MiB or 250MB.",
    "max-train-memory": "Maximum peak memory of a training step, e.g. 12GiB; see --optimizer and --batch-size.",
    "max-layers": "Maximum number of layers that run.",
    "no-uncounted": "Fail if an operator has no MAC formula.",
    "no-unused": "Fail if a module is never called.",
    "no-unused-gradients": "Fail if a parameter that is trained gets no gradient in a training step.",
    "ddp-safe": "Fail if DistributedDataParallel would need find_unused_parameters, or stumbles over buffers.",
}


def _option(limit: Limit) -> Any:
    if limit.quantity is None:
        return Annotated[bool | None, typer.Option(f"--{limit.name}/--{limit.opposite}", help=_HELP[limit.name])]
    return Annotated[str | None, typer.Option(f"--{limit.name}", metavar="LIMIT", help=_HELP[limit.name])]


Limits: Any = make_dataclass("Limits", [(limit.parameter, _option(limit), field(default=None)) for limit in LIMITS])
"""An option for each limit."""


Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help="table, json, csv, markdown, latex, html or svg; github for annotations, junit for XML.",
        autocompletion=lambda: [JSON, *CI_FORMATS, *FORMATS],
    ),
]


@dataclass(frozen=True)
class Page(options.Page):
    """How the answer is shown, with the formats of CI systems."""

    format_name: Format = None


@with_groups()
def check(
    target: options.Target = "alexnet",
    *,
    limits: Limits,
    baseline: Baseline = None,
    tolerance: Tolerance = None,
    max_time_ratio: TimeRatio = None,
    seconds: Seconds = 10.0,
    optimizer: options.Optimizer = "sgd",
    amp: options.Amp = None,
    run: options.Run,
    page: Page,
) -> None:
    """Check a model against limits or a baseline; exit code 1 if one is exceeded."""
    out = page.out(extra=CI_FORMATS)
    given = asdict(limits)
    named = {limit.name: given[limit.parameter] for limit in LIMITS}
    against = {"baseline": baseline, "tolerance": tolerance, "max-time-ratio": max_time_ratio}
    asked = read_asked({**named, **against}, settings(), session_of=run.session)
    answered = answer(run.session(target), asked, optimizer=optimizer, amp=amp, seconds=seconds)
    if out.format in CI_FORMATS:
        out.write(CI_FORMATS[out.format](answered.result))
        finish(answered)
    out.answer(answered)
