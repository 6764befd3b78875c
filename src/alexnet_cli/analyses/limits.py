"""The limits of `check`. An entry in `LIMITS` gives a limit its option, its key and its help text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.document import Unit
from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import COUNT, SIZE, Quantity
from alexnet_cli.report import Layer, Report


@dataclass(frozen=True)
class Limit:
    """An upper bound on a report's `value`.

    `quantity` tells how to write the limit; without one it is a flag, which holds if the value is 0. `of_layer` is each
    layer's share of the value. `of_run` values need a complete forward, `of_step` values a report of a training step.
    With `baseline`, the value is also compared with a baseline's.
    """

    name: str
    help: str
    unit: Unit
    noun: str
    value: Callable[[Report], int | None]
    quantity: Quantity | None = None
    of_layer: Callable[[Layer], int | None] | None = None
    of_run: bool = True
    of_step: bool = False
    baseline: bool = False

    @property
    def parameter(self) -> str:
        """The limit's name as a Python identifier."""
        return self.name.replace("-", "_")

    @property
    def measure(self) -> str:
        """What it limits: `params` for `max-params`."""
        return self.name.partition("-")[2]

    def read(self, given: object) -> int | None:
        """Read a limit from an option or a setting; None if it is switched off.

        Raises:
            UsageError: it does not parse.
        """
        if self.quantity is None:
            if not isinstance(given, bool):
                raise UsageError(f"{self.name} must be true or false, not {given!r}")
            return 0 if given else None
        if isinstance(given, bool) or not isinstance(given, (str, int)):
            raise UsageError(f"{self.name}: invalid {self.quantity.name} {given!r}", 'as in "65M", quoted, or 65000000')
        return self.quantity.read(str(given), self.name)

    def of(self, report: Report) -> int | None:
        """Return the value, None if it is unknown because the model was not run, or not to the end."""
        if self.of_run and (report.run is None or report.error is not None):
            return None
        return self.value(report)


LIMITS: tuple[Limit, ...] = (
    Limit(
        "max-params",
        "Maximum number of parameters, e.g. 65M.",
        "count",
        "parameters",
        lambda report: report.totals.params,
        COUNT,
        lambda layer: layer.params,
        of_run=False,
        baseline=True,
    ),
    Limit(
        "max-macs",
        "Maximum MACs of a forward, e.g. 1.2G.",
        "macs",
        "MACs",
        lambda report: report.totals.macs,
        COUNT,
        lambda layer: layer.macs,
        baseline=True,
    ),
    Limit(
        "max-weights",
        "Maximum size of the parameters, e.g. 240MiB or 250MB.",
        "bytes",
        "bytes",
        lambda report: report.totals.param_bytes,
        SIZE,
        lambda layer: layer.param_bytes,
        of_run=False,
        baseline=True,
    ),
    Limit(
        "max-train-memory",
        "Maximum peak memory of a training step, e.g. 12GiB; see --optimizer and --batch-size.",
        "bytes",
        "bytes",
        lambda report: peak_of(timeline(report)).bytes,
        SIZE,
        of_step=True,
    ),
    Limit(
        "max-layers",
        "Maximum number of layers that run.",
        "count",
        "layers",
        lambda report: report.totals.layers,
        COUNT,
        baseline=True,
    ),
    Limit(
        "no-uncounted",
        "Fail if an operator has no MAC formula.",
        "count",
        "uncounted operators",
        lambda report: len(report.totals.uncounted_ops),
    ),
    Limit(
        "no-unused",
        "Fail if a module is never called.",
        "count",
        "unused modules",
        lambda report: len(report.totals.unused_modules),
    ),
)
