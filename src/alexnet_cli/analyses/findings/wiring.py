"""Whether a model is wired as training needs it: gradients, optimiser, what grows, modes. All from one traced step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from alexnet_cli.analyses.findings.finding import Evidence, Judged, by_exceptions, fact, not_applicable
from alexnet_cli.report import Report
from alexnet_cli.wiring import Mode, Trained, Wiring

Problem = tuple[str, str | None]
"""What is wrong, by name, and the line of code."""


@dataclass(frozen=True)
class OfStep:
    """A claim about a training step, judged by its report and wiring."""

    judge: Callable[[Report, Wiring], Judged]

    def __call__(self, report: Report) -> Judged:
        """Judge without a step: that it does not apply."""
        del report
        return self.judged(None)

    def judged(self, step: Report | str | None) -> Judged:
        """Judge by a training step; None or why if there is none."""
        if isinstance(step, str):
            return not_applicable("step_failed", error=step)
        if step is None or step.wiring is UNSET:
            return not_applicable("no_training_step")
        if step.error is not None:
            return not_applicable("step_failed", error=step.error.message)
        return self.judge(step, step.wiring)


def wiring_of(step: Report) -> Wiring | None:
    """Return what a report of a training step shows of the wiring; None if it failed or is of another run."""
    return None if step.wiring is UNSET or step.error is not None else step.wiring


@OfStep
def gradients(_: Report, wiring: Wiring) -> Judged:
    """Every parameter that is trained gets a gradient."""
    missed = wiring.without_gradient
    counts = fact("counts", trained=wiring.trained, missed=len(missed))
    groups = _grouped(missed).items()
    told = [_of_module("cut_off" if read else "not_read", path, group) for (path, read), group in groups]
    return Judged(by_exceptions(kept=wiring.trained - len(missed), exceptions=len(missed)), (counts, *told))


def _grouped(missed: Sequence[Trained]) -> dict[tuple[str, bool], list[Trained]]:
    """Return parameters by their module, and by whether an operator read them."""
    groups: dict[tuple[str, bool], list[Trained]] = defaultdict(list)
    for parameter in missed:
        groups[parameter.name.rpartition(".")[0], parameter.read].append(parameter)
    return groups


def _of_module(key: str, path: str, group: list[Trained]) -> Evidence:
    params = sum(it.params for it in group)
    return fact(key, path=path, names=[it.name for it in group], params=params, line=group[0].line)


_UNKNOWN = {"no_method": "no_optimiser", "arguments": "needs_arguments", "failed": "optimiser_failed"}


@OfStep
def optimised(_: Report, wiring: Wiring) -> Judged:
    """Every parameter that is trained stands in a group of the model's own optimiser."""
    if wiring.left_out is None:
        return not_applicable(_UNKNOWN[wiring.unknown], why=wiring.why)
    left = wiring.left_out
    counts = fact("counts", trained=wiring.trained, updated=wiring.trained - len(left))
    told = [_of_module("left_out", path, group) for (path, _), group in _grouped(left).items()]
    return Judged(by_exceptions(kept=wiring.trained - len(left), exceptions=len(left)), (counts, *told))


def ddp_problems(wiring: Wiring) -> list[Problem]:
    """Return what DistributedDataParallel does not take as it is, each by name with its line."""
    unused: list[Problem] = [(parameter.name, parameter.line) for parameter in wiring.without_gradient]
    buffers: list[Problem] = [(grown.name, grown.line) for grown in wiring.grown if grown.kind == "buffer"]
    return unused + buffers + [(name, None) for name in wiring.lazy]


@OfStep
def ddp(_: Report, wiring: Wiring) -> Judged:
    """DistributedDataParallel runs the model as it is, without find_unused_parameters."""
    missed = wiring.without_gradient
    told = []
    if missed:
        told.append(fact("find_unused", names=[it.name for it in missed], count=len(missed), line=missed[0].line))
    told += [fact("buffer", name=it.name, line=it.line) for it in wiring.grown if it.kind == "buffer"]
    if wiring.lazy:
        told.append(fact("lazy", names=list(wiring.lazy)))
    return Judged("fails" if told else "holds", tuple(told) or (fact("all", trained=wiring.trained),))


@OfStep
def keeps_size(_: Report, wiring: Wiring) -> Judged:
    """Nothing that modules hold grows from step to step."""
    if not wiring.grown:
        return Judged("holds", (fact("none"),))
    told = [
        fact("graph" if it.graph else it.kind, name=it.name, before=it.before, after=it.after, line=it.line)
        for it in wiring.grown
    ]
    return Judged("fails", tuple(told))


@OfStep
def modes(step: Report, wiring: Wiring) -> Judged:
    """Dropout and batch norm run in the mode of the step."""
    several = step.run is None or step.run.batch_size != 1
    groups: dict[tuple[str, str | None, str | None], list[Mode]] = defaultdict(list)
    for mode in wiring.modes:
        apart = mode.line if mode.key in ("undone", "always") else None
        groups[mode.key, mode.region, apart].append(mode)
    told, wrong = [], False
    for (key, region, _line), group in groups.items():
        key_told = "batch_of_one" if key == "one_sample" and not several else key
        wrong = wrong or key_told != "batch_of_one"
        values = {"paths": [mode.path for mode in group], "types": sorted({mode.type for mode in group})}
        told.append(fact(key_told, **values, count=len(group), region=region or "", line=group[0].line))
    return Judged("fails" if wrong else "partly" if told else "holds", tuple(told) or (fact("none"),))
