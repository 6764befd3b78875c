"""`inspect` and what it returns."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from alexnet_cli.analyses.check import LIMITS
from alexnet_cli.answers.annotate import annotate as annotate_answer
from alexnet_cli.answers.answer import Answer
from alexnet_cli.answers.check import CheckResult, read_asked
from alexnet_cli.answers.check import check as check_answer
from alexnet_cli.answers.compare import CompareResult
from alexnet_cli.answers.compare import compare as compare_answer
from alexnet_cli.answers.cost import cost as cost_answer
from alexnet_cli.answers.draw import draw as draw_answer
from alexnet_cli.answers.explain import explain as explain_answer
from alexnet_cli.answers.explore import explore as explore_answer
from alexnet_cli.answers.export import export as export_answer
from alexnet_cli.answers.fit import fit as fit_answer
from alexnet_cli.answers.memory import memory as memory_answer
from alexnet_cli.answers.oom import OomResult
from alexnet_cli.answers.oom import oom as oom_answer
from alexnet_cli.answers.params import params as params_answer
from alexnet_cli.answers.profile import profile as profile_answer
from alexnet_cli.answers.receptive_field import receptive_field as receptive_field_answer
from alexnet_cli.answers.report import model_page
from alexnet_cli.answers.scale import scale as scale_answer
from alexnet_cli.answers.shard import shard as shard_answer
from alexnet_cli.answers.summary import summary as summary_answer
from alexnet_cli.api.arguments import Shape, arguments_said, check_module, shapes_said
from alexnet_cli.api.results import Drawing, R, ReportPage, Result, result_of
from alexnet_cli.drawing.page import Width
from alexnet_cli.errors import ForwardError, UsageError, nearest
from alexnet_cli.explorer import need_terminal
from alexnet_cli.explorer import run as run_explorer
from alexnet_cli.report import Report
from alexnet_cli.session.how import how_to_run
from alexnet_cli.session.kept import Listener
from alexnet_cli.session.session import Example, Live, Named, Session

if TYPE_CHECKING:
    from torch import nn

P = ParamSpec("P")


def inspect(
    model: nn.Module | str | os.PathLike[str],
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    arg: Mapping[str, Any] | None = None,
    input_size: Shape | Sequence[Shape] | None = None,
    inputs_from: str | None = None,
    batch_size: int | None = None,
    no_batch: bool = False,
    device: str = "meta",
    dtype: str | None = None,
    train: bool = False,
    formulas: str | os.PathLike[str] | None = None,
    cache: bool | None = None,
    trust_remote_code: bool = False,
) -> Inspection:
    """Look at a model: run its forward once, on shapes alone unless `device` says otherwise.

    `model` is a module, or a target as on the command line: `"alexnet"`, `"net.py:Net"`, a model folder, a checkpoint,
    a saved report. A module stays exactly as it is, also if its forward raises: a copy runs, which holds no weights on
    `meta` and shares the module's on its own device. The module's hooks run, as in any forward. Wrappers
    (`torch.compile`, DataParallel, DistributedDataParallel) are looked through.

    `inputs` and `kwargs` are what forward is called with: tensors, or anything else it takes. Instead of them
    `input_size` gives shapes without the batch, or what `-i` takes on the command line, and `inputs_from` names a
    function or a value in a file as `--inputs` does; without any, the model's own input is known or searched for. The
    other arguments are the options of the command line: `arg` is passed to a target's class or function, `batch_size`
    replaces the first dimension that all inputs share, `no_batch` says that they share none or shapes include it.

    Raises:
        AlexnetError: what the command line would exit with. If the forward fails, it is a `ForwardError`, whose
            `report` holds the rows up to the layer that failed.
    """
    example = Example(inputs, dict(kwargs or {})) if inputs or kwargs else None
    if example is not None and (input_size is not None or inputs_from is not None):
        other = "inputs_from" if input_size is None else "input_size"
        raise UsageError(f"both inputs and {other} were given", "give one of them")
    batch = batch_size if batch_size is not None or example is None else example.batch_size
    how = how_to_run(
        input_size=None if input_size is None else shapes_said(input_size),
        inputs_from=inputs_from,
        batch_size=batch,
        no_batch=no_batch or (example is not None and batch is None),
        device=device,
        dtype=dtype,
        train=train,
        formulas=None if formulas is None else Path(formulas),
    )
    notes: list[str] = []
    listener = Listener(note=notes.append)
    if isinstance(model, (str, os.PathLike)):
        source = Named(os.fspath(model), arguments_said(arg or {}), example, trust_remote_code)
        kept = False if example is not None else cache
        return Inspection(Session(source, how, cache=kept, listener=listener), notes)
    if arg:
        raise UsageError("arg goes with a class or a function, not with a module", "pass a target, or build the module")
    check_module(model)
    return Inspection(Session(Live(model, example), how, cache=False, listener=listener), notes)


def compare(
    *models: Inspection | nn.Module | str, only_changes: bool = False, profile: bool = False, seconds: float = 10.0
) -> Result[CompareResult]:
    """Compare two models or more; the first is what the others are compared with.

    Raises:
        AlexnetError: there are fewer than two, or one cannot be loaded or run.
    """
    if len(models) < 2:  # noqa: PLR2004 - a comparison needs two
        raise UsageError(f"compare takes two models or more, not {len(models)}", "as in compare(before, after)")
    looks = [model if isinstance(model, Inspection) else inspect(model) for model in models]
    sessions = [look.session for look in looks]
    return result_of(compare_answer(sessions, only_changes=only_changes, profile=profile, seconds=seconds), ())


def _asks(answer: Callable[Concatenate[Session, P], Answer[R]]) -> Callable[Concatenate[Inspection, P], Result[R]]:
    """Return the method that gives this answer: it takes the same arguments, and says the same about them."""

    @wraps(answer)
    def method(look: Inspection, /, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        return result_of(answer(look.session, *args, **kwargs), look.notes)

    told = signature(answer)
    returned = str(told.return_annotation).replace("Answer", "Result")
    method.__signature__ = told.replace(return_annotation=returned)  # type: ignore[attr-defined] # once it is set
    return method


class Inspection:
    """A model that was looked at: `report` is what its forward did, and each method answers one question.

    The methods are named as the commands, and so are their arguments; see the commands' help for what they mean.
    Each raises `AlexnetError` where the command would exit. `notes` are sentences about how the model was run.
    """

    def __init__(self, session: Session, notes: list[str]) -> None:
        self.session = session
        self.report: Report = _whole(session.report())
        self._notes = notes

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed or found on the way."""
        return tuple(self._notes)

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return f"<Inspection of {self.report.model.class_name}: {self.report.totals.params:,} parameters>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    summary = _asks(summary_answer)
    params = _asks(params_answer)
    cost = _asks(cost_answer)
    memory = _asks(memory_answer)
    fit = _asks(fit_answer)
    profile = _asks(profile_answer)
    annotate = _asks(annotate_answer)
    scale = _asks(scale_answer)
    shard = _asks(shard_answer)
    receptive_field = _asks(receptive_field_answer)
    explain = _asks(explain_answer)
    export = _asks(export_answer)

    def draw(
        self,
        *,
        style: str = "auto",
        depth: int | None = None,
        theme: str = "auto",
        width: Width = "page",
        scale: float = 2.0,
    ) -> Drawing:
        """Draw the architecture: blocks in perspective, a graph of modules, or bars. `width` is in CSS pixels."""
        return Drawing(draw_answer(self.session, style=style, depth=depth, theme=theme), width, scale)

    def explore(self, *, columns: Sequence[str] | None = None, sort: str | None = None) -> None:
        """Walk through the model in the terminal, until `q` is pressed.

        Raises:
            UsageError: there is no terminal, as in a notebook, or textual is not installed.
        """
        need_terminal()
        run_explorer(explore_answer(self.session, columns=columns, sort=sort))

    def oom(
        self, snapshot: str | os.PathLike[str], *, optimizer: str = "sgd", amp: str | None = None, foreach: bool = True
    ) -> Result[OomResult]:
        """Tell which layers' tensors filled a GPU when memory ran out, from a snapshot of it."""
        answer = oom_answer(self.session, os.fspath(snapshot), optimizer=optimizer, amp=amp, foreach=foreach)
        return result_of(answer, self.notes)

    def compare(
        self,
        *others: Inspection | nn.Module | str,
        only_changes: bool = False,
        profile: bool = False,
        seconds: float = 10.0,
    ) -> Result[CompareResult]:
        """Show this model beside others, and what changed from layer to layer; with `profile` how fast they are."""
        return compare(self, *others, only_changes=only_changes, profile=profile, seconds=seconds)

    def check(
        self,
        *,
        baseline: Inspection | str | os.PathLike[str] | None = None,
        tolerance: str | None = None,
        max_time_ratio: str | float | None = None,
        seconds: float = 10.0,
        optimizer: str = "sgd",
        amp: str | None = None,
        **limits: str | int | bool,
    ) -> Result[CheckResult]:
        """Compare the model with limits, such as `max_params="65M"` or `no_unused=True`, and with a baseline.

        The baseline is a saved report or a model, which `max_time_ratio` needs: both run in turns. A limit that does
        not hold is not an error: see the result's `passed` and `checks`.
        """
        names = {limit.parameter: limit.name for limit in LIMITS}
        for name in limits:
            if name not in names:
                raise UsageError(f"unknown limit {name!r}", nearest(name, names, most=2))
        given: dict[str, object] = {names[name]: value for name, value in limits.items()}
        against = baseline.session if isinstance(baseline, Inspection) else baseline and os.fspath(baseline)
        given |= {"baseline": against, "tolerance": tolerance, "max-time-ratio": max_time_ratio}
        asked = read_asked(given, session_of=lambda target: inspect(target).session)
        return result_of(check_answer(self.session, asked, optimizer=optimizer, amp=amp, seconds=seconds), self.notes)

    def page(
        self,
        *,
        gpu: str | None = None,
        optimizer: str = "sgd",
        amp: str | None = None,
        profile: bool = False,
        seconds: float = 5.0,
        gpus: int | None = None,
    ) -> ReportPage:
        """Write the page that `alexnet report` writes: figure, charts, layers, findings.

        With `profile` it tells times too, with `gpus` how the layouts of so many compare.
        """
        page = model_page(
            self.session, gpu=gpu, optimizer=optimizer, amp=amp, profile=profile, seconds=seconds, gpus=gpus
        )
        return ReportPage(page)


def _whole(report: Report) -> Report:
    """Return a report of a forward that ran to its end.

    Raises:
        ForwardError: it did not.
    """
    if report.error is None:
        return report
    error = ForwardError(report.error.message, report.error.hint, report.error.path)
    error.report = report
    raise error
