"""`report`: a page about a model, or about several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from alexnet_cli.analyses.annotate import annotate
from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.findings.rules import RULES
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.analyses.memory import Recipe
from alexnet_cli.analyses.profile import profile as analyse
from alexnet_cli.analyses.sharding.links import links_of
from alexnet_cli.answers.annotate import texts_of
from alexnet_cli.answers.answer import Outcome, failures_of
from alexnet_cli.answers.compare import named_failures, reports_of
from alexnet_cli.answers.layouts import search
from alexnet_cli.answers.profile import measured_roof
from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import check_seconds
from alexnet_cli.report import Report
from alexnet_cli.report_page.material import Layouts, Lines, Material, Measured, need_packages
from alexnet_cli.session.changes import trace_changes
from alexnet_cli.session.how import TrainingStep, parallel, training_step
from alexnet_cli.session.session import Session, Variation

NO_GPU, USUAL_GPU = "none", "t4"


class Page(Outcome, frozen=True):
    """A page as HTML, what it is about, and why models failed, if any did."""

    html: str
    reports: tuple[Report, ...]


def model_page(
    session: Session,
    *,
    gpu: str | None = None,
    optimizer: str = "sgd",
    amp: str | None = None,
    profile: bool = False,
    seconds: float = 5.0,
    gpus: int | None = None,
) -> Page:
    """Write a page about one model; `gpu` is that of the roofline, `none` leaves it out.

    With `profile` the forward is measured for about so many `seconds`; with `gpus` the layouts of so many are compared.

    Raises:
        UsageError: an option does not parse, or a package is not installed.
        AlexnetError: the model cannot be loaded or run.
    """
    need_packages()
    from alexnet_cli.report_page import page  # needs those packages

    step, roof = training_step(optimizer, amp), _roof(gpu)
    check_seconds(seconds, 5)
    if gpus is not None and roof is None:
        raise UsageError("--gpus needs a GPU", f"name it with --gpu, or leave out --gpu {NO_GPU}")
    plain, session = session, session.vary(Variation(source=())) if session.can_run else session
    report = session.report()
    measured = _measured(plain, seconds) if profile and report.error is None else None
    trained = session.training(step) if report.error is None else None
    recipe = Recipe(step.optimizer, step.amp, step.foreach)
    changes = trace_changes(session, RULES)
    layouts = None
    if gpus is not None and roof is not None and report.error is None:
        layouts = _layouts(plain, gpus, roof, step)
    why = _why_untrained(trained, can_run=session.can_run)
    lines = _lines(report, trained, roof)
    material = Material(report, trained, recipe, why, roof, changes, measured, layouts, lines)
    with session.listener.progress("writing", str):
        html = page.model_page(material)
    return Page(html, (report,), failures=failures_of(report))


def comparison_page(sessions: Sequence[Session]) -> Page:
    """Write a page that shows models side by side; the first is what the others are compared with.

    Raises:
        UsageError: a package is not installed.
        AlexnetError: a model cannot be loaded or run.
    """
    need_packages()
    from alexnet_cli.report_page import page  # needs those packages

    reports = tuple(reports_of(sessions))
    with sessions[0].listener.progress("writing", str):
        html = page.comparison_page(reports)
    return Page(html, reports, failures=named_failures(reports))


def _lines(report: Report, trained: Report | None, roof: Roof | None) -> Lines | None:
    """Return what the lines of the source did; None if the run did not note them."""
    if report.tape is None or report.tape.source is UNSET:
        return None
    step = trained if trained is not None and trained.error is None else None
    found = annotate(report, step, roof)
    return Lines(found, texts_of(found))


def _measured(session: Session, seconds: float) -> Measured:
    report = session.timed(seconds, None)
    if report.error is not None or report.passes is UNSET:
        raise UsageError(f"{report.model.target} runs on meta and not where it is to be timed", "leave out --profile")
    roof = measured_roof(session, report)
    return Measured(report, analyse(report, roof), roof)


def _why_untrained(trained: Report | None, *, can_run: bool) -> str:
    if not can_run:
        return "A saved report holds a forward only: a training step needs the model itself."
    if trained is None:
        return "There is nothing to train in this model, so this is a forward."
    return "" if trained.error is None else f"This is a forward: a training step fails with “{trained.error.message}”."


def _layouts(session: Session, gpus: int, roof: Roof, step: TrainingStep) -> Layouts:
    """Compare the layouts of a number of GPUs, as `shard --fit` does."""
    how = parallel(gpus=None, pp=None, ddp=None, fsdp=None, tp=None, reshard="yes")
    found = search(session, how, step, gpus=gpus, given={}, roof=roof, links=links_of(roof.hardware.name))
    return Layouts(roof.hardware, found.told, found.tried, None if found.shown is None else found.shown.floors)


def _roof(gpu: str | None) -> Roof | None:
    if gpu == NO_GPU:
        return None
    return Roof(find_hardware(USUAL_GPU if gpu is None else gpu, f"{NO_GPU} leaves the roofline out"))
