"""`scale`: how what a model computes, moves and holds grows with the sizes of its inputs, as exact laws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial

from msgspec import UNSET, Struct, UnsetType

from alexnet_cli.analyses.scale.dimensions import BATCH, CONTEXT, IMAGE, Dimension, chosen, dimensions_of
from alexnet_cli.analyses.scale.edges import Edges, Windows, edges, windows_of
from alexnet_cli.analyses.scale.fit import Sizes
from alexnet_cli.analyses.scale.laws import ScalingLaw, StepOf, steps_in, told
from alexnet_cli.analyses.scale.pieces import Scaling
from alexnet_cli.analyses.scale.runs import Expected
from alexnet_cli.analyses.scale.samples import unrolled
from alexnet_cli.analyses.scale.scaling import Run, scaling
from alexnet_cli.analyses.scale.until import Until, largest_until
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.errors import NothingToTrainError, UsageError
from alexnet_cli.quantities import MEMORY
from alexnet_cli.report import Report
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.how import Serving, Size, TrainingStep, training_step
from alexnet_cli.session.session import Named, Session, Variation, takes_sizes
from alexnet_cli.views.scale import scale_document


class Refused(Struct, frozen=True):
    """Sizes at which the model does not run, and why."""

    sizes: dict[str, int]
    message: str
    hint: str | None


class ScaleResult(Envelope, frozen=True, kw_only=True):
    """`alexnet scale --json`. `laws` hold at sizes like those in `ran`, and nothing is known beyond `refused` ones.

    `dimensions` have their size in the model's own run; `steps` are what sizes inside the model go by. `edges` is
    there for images, if all windows are known.
    """

    dimensions: tuple[Dimension, ...]
    steps: tuple[StepOf, ...]
    laws: tuple[ScalingLaw, ...]
    ran: tuple[dict[str, int], ...]
    refused: tuple[Refused, ...]
    edges: Edges | UnsetType = UNSET
    until: Until | UnsetType = UNSET


def scale(
    session: Session,
    *,
    over: str = BATCH,
    until: str | None = None,
    optimizer: str = "sgd",
    amp: str | None = None,
    foreach: bool | None = None,
) -> Answer[ScaleResult]:
    """Find how MACs, bytes moved, saved bytes and peak memory grow with dimensions of the inputs, as exact laws.

    `over` names the dimensions; `until` asks for the largest size of each that fits in a memory.

    Raises:
        UsageError: an option does not parse, or the inputs have no such dimension.
        AlexnetError: the model cannot be loaded or run.
    """
    capacity = None if until is None else MEMORY.read(until, "--until")
    step = training_step(optimizer, amp, foreach=capacity is not None if foreach is None else foreach)
    report = session.report()
    if report.error is not None:
        return _failed(report)
    if report.run is None or not _runs_at_other_sizes(session):
        raise UsageError(
            f"scale runs the model at other sizes, and {report.model.target} cannot be run",
            "give a model, an exported program or an ONNX file",
        )
    dimensions = chosen(over, dimensions_of(report))
    with session.listener.tracing("running at other sizes"):
        runs = _Runs(session, dimensions, step)
        found = runs.scaling()
        edge = _edges(runs.windows, found)
        fits = None if capacity is None else largest_until(found, capacity)
    result = _result(report, found, edge, fits)
    return Answer(result, lambda: scale_document(report, found, result.laws, result.steps, edge=edge, fits=fits))


def _runs_at_other_sizes(session: Session) -> bool:
    return session.can_run or (isinstance(session.source, Named) and takes_sizes(session.source.target))


class _Runs:
    """Runs a model at other sizes of dimensions, and trains it there."""

    def __init__(self, session: Session, dimensions: Sequence[Dimension], step: TrainingStep) -> None:
        self.session = session
        self.dimensions = dimensions
        self.step = step

    def scaling(self) -> Scaling:
        """Return the laws; without those of a training step if there is nothing to train."""
        try:
            return self.found(self.train if self.trains else None)
        except NothingToTrainError:
            return self.found(None)

    def found(self, train: Run | None) -> Scaling:
        """Return the laws, with those of a training step if there is one."""
        return scaling(self.dimensions, self.forward, train, self.expected, partial(unrolled, self.session.report()))

    @cached_property
    def windows(self) -> Windows | None:
        """The windows of all layers of a model that takes images, if they are known."""
        image = next((dimension for dimension in self.dimensions if dimension.name == IMAGE), None)
        return None if image is None else windows_of(self.session.report(), image.size)

    @property
    def expected(self) -> dict[str, Expected]:
        """Return the sizes of maps that are expected at the size of an image."""
        return {} if self.windows is None else {IMAGE: self.windows.units}

    @property
    def trains(self) -> bool:
        """Tell whether there may be a training step: not of a file that is not run, nor of a token after a cache."""
        return self.session.can_run and all(dimension.name != CONTEXT for dimension in self.dimensions)

    def forward(self, sizes: Sizes) -> Report:
        """Run a forward, unless it is the one that was run before."""
        own = tuple(dimension.size for dimension in self.dimensions)
        same = sizes == own and all(dimension.axes for dimension in self.dimensions)
        return self.session.report() if same else self.session.once(self.variation(sizes))

    def train(self, sizes: Sizes) -> Report:
        """Run a training step."""
        return self.session.once(self.variation(sizes, self.step))

    def variation(self, sizes: Sizes, step: TrainingStep | None = None) -> Variation:
        """Return the change to these sizes."""
        batch, serving, others = None, None, list[Size]()
        for dimension, size in zip(self.dimensions, sizes, strict=True):
            if dimension.name == BATCH:
                batch = size
            elif dimension.name == CONTEXT:
                serving = Serving("decode", size)
            else:
                others += [(*axis, size) for axis in dimension.axes]
        return Variation(batch, step, serving, on_meta=step is not None, sizes=tuple(others))


def _edges(windows: Windows | None, found: Scaling) -> Edges | None:
    axis = next((axis for axis in found.axes if axis.name == IMAGE), None)
    return None if axis is None or windows is None else edges(windows, found.forward, axis)


def _failed(report: Report) -> Answer[ScaleResult]:
    result = ScaleResult(**Envelope.of(report, "scale"), dimensions=(), steps=(), laws=(), ran=(), refused=())
    return Answer(result, lambda: scale_document(report, None, (), ()), failures=failures_of(report))


def _result(report: Report, found: Scaling, edge: Edges | None, fits: Until | None) -> ScaleResult:
    runs = found.forward
    limits = [found.sizes(axis) for axis in found.axes]
    shown = [law for law in found.laws if not law.total[1] or any(piece.terms for piece in law.pieces)]
    return ScaleResult(
        **Envelope.of(report, "scale"),
        dimensions=found.dimensions,
        steps=steps_in(shown),
        laws=tuple(told(law, limits) for law in shown),
        ran=tuple(dict(runs.named(sizes)) for sizes in runs.samples),
        refused=tuple(
            Refused(dict(runs.named(sizes)), error.message, error.hint) for sizes, error in runs.refused.items()
        ),
        edges=UNSET if edge is None else edge,
        until=UNSET if fits is None else fits,
    )
