"""Whether a model stays within limits and has not grown since a baseline.

An entry in `LIMITS` gives a limit its option and its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli import units
from alexnet_cli.analyses.compare import AlignedLayer, compare
from alexnet_cli.analyses.findings.wiring import Problem, ddp_problems, wiring_of
from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.analyses.turns import TimedAgainst
from alexnet_cli.document import Unit
from alexnet_cli.quantities import COUNT, SIZE, Quantity
from alexnet_cli.report import Report
from alexnet_cli.wiring import Wiring


@dataclass(frozen=True)
class Limit:
    """An upper bound on one of a report's totals, or without a `total` on what `of_step` reads off a training step.

    `quantity` tells how to write the limit; without one it is a flag, which holds if nothing is named.
    `by_layer` totals are sums over the layers. `of_run` totals need a complete forward. With `baseline`, the total is
    also compared with a baseline's.
    """

    name: str
    unit: Unit
    noun: str
    total: str | None
    quantity: Quantity | None = None
    by_layer: bool = False
    of_run: bool = True
    baseline: bool = False
    of_step: Callable[[Report], int | None] | None = None

    @property
    def parameter(self) -> str:
        """The limit's name as a Python identifier."""
        return self.name.replace("-", "_")

    @property
    def measure(self) -> str:
        """What it limits: `params` for `max-params`."""
        return self.name.partition("-")[2]

    @property
    def opposite(self) -> str:
        """The name of the option that switches a flag off: `allow-unused` for `no-unused`."""
        return f"allow-{self.measure}" if self.name.startswith("no-") else f"not-{self.name}"

    def of(self, report: Report) -> int | None:
        """Return the value, None if it is unknown because the model was not run, or not to the end."""
        if self.of_run and (report.run is None or report.error is not None):
            return None
        if self.of_step is not None:
            return self.of_step(report)
        value: int | tuple[object, ...] | None = getattr(report.totals, self.total or "")
        return len(value) if isinstance(value, tuple) else value


_PROBLEMS: dict[str, Callable[[Wiring], list[Problem]]] = {
    "no-unused-gradients": lambda wiring: [(it.name, it.line) for it in wiring.without_gradient],
    "ddp-safe": ddp_problems,
}


def _number(name: str) -> Callable[[Report], int | None]:
    def of_step(step: Report) -> int | None:
        wiring = wiring_of(step)
        return None if wiring is None else len(_PROBLEMS[name](wiring))

    return of_step


LIMITS = (
    Limit("max-params", "count", "parameters", "params", COUNT, by_layer=True, of_run=False, baseline=True),
    Limit("max-macs", "macs", "MACs", "macs", COUNT, by_layer=True, baseline=True),
    Limit("max-weights", "bytes", "bytes", "param_bytes", SIZE, by_layer=True, of_run=False, baseline=True),
    Limit("max-train-memory", "bytes", "bytes", None, SIZE, of_step=lambda step: peak_of(timeline(step)).bytes),
    Limit("max-layers", "count", "layers", "layers", COUNT, baseline=True),
    Limit("no-uncounted", "count", "uncounted operators", "uncounted_ops"),
    Limit("no-unused", "count", "unused modules", "unused_modules"),
    Limit(
        *("no-unused-gradients", "count", "parameters without a gradient", None), of_step=_number("no-unused-gradients")
    ),
    Limit("ddp-safe", "count", "obstacles", None, of_step=_number("ddp-safe")),
)
STEP_LIMITS = frozenset(limit.name for limit in LIMITS if limit.of_step is not None)
TIME_RATIO = "max-time-ratio"
"""The limit on a measured time, which is no total of a report."""
_TIMES = "times the baseline's time"
NAMED = 3
"""How many layers a failed check names."""


class Check(Struct, frozen=True):
    """A check passes if `value` is known and at most `limit`, both in `unit`.

    A measured time passes too if it is above the limit by no more than chance explains. `detail` names the layers that
    the value comes from, or says how sure it is.
    """

    name: str
    limit: int | float
    value: int | float | None
    passed: bool
    unit: str
    detail: str


def check_limits(report: Report, limits: Mapping[str, int], step: Report | None = None) -> tuple[Check, ...]:
    """Check a report against limits by name; `step` is the report of a training step, None if there is none."""
    asked = [limit for limit in LIMITS if limit.name in limits]
    return tuple(_limited(limit, limits[limit.name], step if limit.of_step else report) for limit in asked)


def check_baseline(report: Report, baseline: Report, tolerance: Decimal) -> tuple[Check, ...]:
    """Check a report's totals against a baseline's; they may be larger by the fraction `tolerance`.

    Totals that the baseline lacks, such as a checkpoint's MACs, are not checked.
    """
    layers = compare([baseline, report]).layers
    checks = []
    for limit in LIMITS:
        before = limit.of(baseline) if limit.baseline else None
        if before is not None:
            now, detail = limit.of(report), ""
            if now is not None:
                detail = f"{_signed(now - before, limit.unit)} since the baseline{_changed_most(limit, layers)}"
            most = before + int(before * tolerance)
            checks.append(_check(f"baseline-{limit.measure}", limit, most, now, detail))
    return tuple(checks)


def check_time(timed: TimedAgainst | None, most: float) -> Check:
    """Check how many times that of a baseline a model's time is; None if it was not measured.

    Noise fails no check: it does not hold if the whole 95 % interval of the ratio is above `most`.
    """
    if timed is None or timed.ratio is None or timed.low is None or timed.high is None:
        return Check(TIME_RATIO, most, None, passed=False, unit=_TIMES, detail="")
    passed = timed.low <= most
    detail = f"95 % interval {timed.low:.3f} to {timed.high:.3f}, from {timed.rounds} rounds in turns"
    if timed.low <= most < timed.high:
        detail += "; it holds the limit, so that a longer measurement (--seconds) would tell more"
    return Check(TIME_RATIO, most, timed.ratio, passed=passed, unit=_TIMES, detail=detail)


def sentence(check: Check) -> str:
    """Describe a check's outcome in one line."""
    if check.value is None:
        why = "no training step was run" if check.name in STEP_LIMITS else "the model was not run to its end"
        said = f"{check.unit} unknown, because {why}"
    else:
        unit = _singular(check.unit) if check.value == 1 else check.unit
        said = _amount(check.value, check.unit) + ("" if check.unit == "bytes" else f" {unit}")
        if check.limit or check.passed:
            within = "within" if check.value <= check.limit else "not surely more than"
            said += f", {within if check.passed else 'more than'} {_amount(check.limit, check.unit)}"
    return f"{said}; {check.detail}" if check.detail else said


def _singular(unit: str) -> str:
    """Return `uncounted operator` for `uncounted operators`, `parameter without a gradient` for several."""
    first, space, rest = unit.partition(" without ")
    return f"{first.removesuffix('s')}{space}{rest}"


def _limited(limit: Limit, most: int, report: Report | None) -> Check:
    if report is None:
        return _check(limit.name, limit, most, None, "")
    check = _check(limit.name, limit, most, limit.of(report), "")
    return check if check.passed or report.error else replace(check, detail=_where(limit, report))


def _check(name: str, limit: Limit, most: int, value: int | None, detail: str) -> Check:
    return Check(name, most, value, value is not None and value <= most, limit.noun, detail)


def _amount(value: float, unit: str) -> str:
    """Write a value in full, because different sizes may round to the same text."""
    if not isinstance(value, int):
        return f"{value:.3f}"
    full = units.count(value)
    return f"{units.size(value)} ({full} bytes)" if unit == "bytes" else full


def _where(limit: Limit, report: Report) -> str:
    """Name the layers that contribute most to the value."""
    totals = report.totals
    if limit.of(report) is None:
        return ""
    if limit.name == "no-uncounted":
        return _list([f"{op.op} in {_path(op.paths[0])}" if op.paths else op.op for op in totals.uncounted_ops])
    if limit.name == "no-unused":
        return _list([_path(module.path) for module in totals.unused_modules])
    if limit.name in _PROBLEMS:
        wiring = wiring_of(report)
        problems = [] if wiring is None else _PROBLEMS[limit.name](wiring)
        return _list([f"{name} ({line})" if line else name for name, line in problems])
    if limit.of_step is not None:
        peak = peak_of(timeline(report))
        held = ", ".join(f"{kind} {units.size(size)}" for kind, size in peak.live_bytes.items())
        return f"at the peak ({peak.phase}, in {peak.op}): {held}"
    sizes = [(getattr(layer, limit.total or ""), layer.path) for layer in report.layers] if limit.by_layer else []
    largest = sorted((pair for pair in sizes if pair[0]), key=lambda pair: -pair[0])[:NAMED]
    named = [f"{_path(path)} ({units.text(size, limit.unit)})" for size, path in largest]
    return f"most in {', '.join(named)}" if named else ""


def _changed_most(limit: Limit, layers: Sequence[AlignedLayer]) -> str:
    """Name the layers that a total's change comes from, the largest change first."""
    changed = [(_difference(limit, layer), layer) for layer in layers if layer.change != "same"]
    ordered = sorted((pair for pair in changed if pair[0]), key=lambda pair: -abs(pair[0]))
    named = [_named(layer) + (f" ({_signed(by, limit.unit)})" if limit.by_layer else "") for by, layer in ordered]
    return f": {_list(named)}" if named else ""


def _difference(limit: Limit, layer: AlignedLayer) -> int:
    if not limit.by_layer or limit.total is None:
        return {"added": 1, "removed": -1}.get(layer.change, 0)
    before, now = getattr(layer, limit.total)
    return (now or 0) - (before or 0)


def _named(layer: AlignedLayer) -> str:
    path = next(path for path in reversed(layer.paths) if path is not None)
    return f"{layer.change} {_path(path)}" if layer.change in ("added", "removed") else _path(path)


def _signed(value: int, unit: Unit) -> str:
    return f"{'+' if value >= 0 else ''}{units.text(value, unit)}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _path(path: str) -> str:
    return path or "the model itself"
