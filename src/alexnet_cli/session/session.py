"""A model and how to run it, and the same model with one thing changed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from alexnet_cli.errors import AlexnetError, ForwardError, NothingToTrainError, TargetError, UsageError
from alexnet_cli.report import GRAPH, Report
from alexnet_cli.session.how import as_found
from alexnet_cli.session.kept import Listener, is_on_meta, traced
from alexnet_cli.session.sources import Built, Halved, Live, Named, Source
from alexnet_cli.session.variation import Variation
from alexnet_cli.targets.example import Example
from alexnet_cli.targets.inputs import LARGEST_DIMENSION
from alexnet_cli.targets.onnx import weights_beside
from alexnet_cli.targets.resolve import FILES, is_built, is_stored, names_like, takes_sizes
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.narrowing import Refusal
from alexnet_cli.tracing.options import META, Serving, TraceOptions, TrainingStep

if TYPE_CHECKING:
    from alexnet_cli.analyses.findings.one_layer import Refused
    from alexnet_cli.targets.checkpoint.contents import Contents


EXPORTED = (".pt2", ".onnx")
"""The suffixes of files that `export` writes."""

__all__ = ["EXPORTED", "FILES", "Example", "Live", "Named", "Session", "Source", "Variation", "is_built", "is_on_meta"]
__all__ += ["is_stored", "names_like", "takes_sizes", "weights_beside"]


class Session:
    """One model and how to run it. Each trace is made once, and kept in the cache where that is allowed.

    Nothing is loaded before something is asked.
    """

    def __init__(
        self,
        source: Source,
        how: TraceOptions | None = None,
        *,
        cache: bool | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.source = source
        self.how = how or TraceOptions()
        self.cache = cache
        self.listener = listener or Listener()
        self._report: Report | None = None
        self._varied: dict[Variation, Session] = {}

    @cached_property
    def resolved(self) -> Subject | Report:
        """What the target names: a model, or a report that was saved or read from a file."""
        return self.source.resolve(self.how)

    @property
    def can_run(self) -> bool:
        """Tell whether the target is a model: a saved report, a checkpoint or an ONNX file is not."""
        return isinstance(self.resolved, Subject)

    @property
    def is_traced(self) -> bool:
        """Tell whether the report is there already."""
        return self._report is not None

    @property
    def is_given(self) -> bool:
        """Tell whether the arguments of forward were given, rather than their shapes."""
        return self.how.inputs_from is not None or getattr(self.source, "example", None) is not None

    @property
    def batches(self) -> tuple[int, int]:
        """The least and largest batch that the model can run with, as far as that is known."""
        known = self.resolved.batches if isinstance(self.resolved, Subject) else None
        return known or (1, LARGEST_DIMENSION)

    def report(self) -> Report:
        """Return the saved report that the target names, or trace the model that it names.

        Raises:
            AlexnetError: the target cannot be loaded, or the model cannot be run.
        """
        if self._report is None:
            if isinstance(self.resolved, Subject):
                self._report = traced(self.resolved, self.source.key, self.how, self.listener, cache=self.cache)
            else:
                self._report = self._stored(self.resolved)
        return self._report

    def vary(self, variation: Variation) -> Session:
        """Return a session about the same model with one thing changed."""
        if variation not in self._varied:
            self._varied[variation] = self._vary(variation)
        return self._varied[variation]

    def _vary(self, variation: Variation) -> Session:
        how = self.how if self._report is None else as_found(self.how, self._report)
        how = variation.of(how, None if not variation.sizes or self.can_run else self.report())
        source = self.source if variation.halved is None else Halved(self.source, variation.halved, self.report())
        listener = self.listener if self._report is None else self.listener.silenced()
        cache = False if how.as_on_cpu else self.cache  # kernels depend on threads and CPU, which no key has
        return Session(source, how, cache=cache, listener=listener)

    def once(self, variation: Variation) -> Report:
        """Return the report of the same model with one thing changed, run where it was run. It is not remembered.

        A failure is told without advice about other inputs.

        Raises:
            AlexnetError: the model does not run like that.
        """
        varied = self._vary(variation)
        varied.how = replace(varied.how, falls_back=not is_on_meta(self.report()), advises=False)
        report = varied.report()
        if report.error is not None:
            raise ForwardError(report.error.message, report.error.hint, report.error.path)
        if report.run is not None and variation.batch_size not in (None, report.run.batch_size):
            raise UsageError(f"the model runs only with a batch of {report.run.batch_size}, not {variation.batch_size}")
        return report

    def as_on_cpu(self) -> Session:
        """Return a session whose traces have the CPU's operators, and what their kernels allocate beside results.

        Raises:
            UsageError: there is no model to run.
        """
        self.model("--for cpu")
        return self.vary(Variation(on_meta=True, as_on_cpu=True))

    def training(self, step: TrainingStep) -> Report | None:
        """Return the report of a training step on `meta`; None if there is nothing to run or to train.

        Raises:
            AlexnetError: the model cannot be run.
        """
        if not self.can_run:
            return None
        try:
            return self.vary(Variation(step=step, on_meta=True)).report()
        except NothingToTrainError:
            return None

    def timed(
        self,
        seconds: float,
        step: TrainingStep | None,
        *,
        silently: bool = False,
        compiles: bool = False,
        captures: bool = False,
    ) -> Report:
        """Return the report of a run that was repeated under a profiler, on a real device: by default the model's own.

        If it `compiles`, the run is repeated compiled as well; if it `captures`, by a CUDA graph.

        Raises:
            UsageError: there is no model to run, nothing that compiles it, or no CUDA device for a graph.
            AlexnetError: the model cannot be loaded or run.
        """
        subject = self.model("profile")
        device = subject.home if self.how.device == META else self.how.device
        if captures and not device.startswith("cuda"):
            raise UsageError(f"--cuda-graph needs a CUDA device, not {device}", "--device cuda")
        mode = self.how.mode if step is None else "train"
        timing = {"repeat": seconds, "compiles": compiles, "captures": captures}
        how = replace(self.how, device=device, mode=mode, step=step, **timing)
        listener = self.listener.silenced() if silently else self.listener
        return Session(self.source, how, cache=False, listener=listener).report()

    def built_once(self) -> Session:
        """Return a session whose runs on a device share one instance of the model, which stays in memory.

        Raises:
            UsageError: there is no model to run.
        """
        source = Built.once(self.model("profile"), self.source.key)
        return Session(source, self.how, cache=False, listener=self.listener)

    def model(self, command: str) -> Subject:
        """Return the model that the target is.

        Raises:
            UsageError: it is a report, a checkpoint or an ONNX file, which `command` cannot run.
        """
        if not isinstance(self.resolved, Subject):
            raise UsageError(f"{command} needs a model to run, not a saved report, a checkpoint or an ONNX file")
        return self.resolved

    def serving(self, serving: Serving) -> Session:
        """Return a session about a prompt, or a token after a cache; the tape of its report says what the cache is.

        Raises:
            UsageError: there is no model to run.
        """
        if not self.can_run:
            raise UsageError(f"{serving.part} needs a model to run, not a saved report, a checkpoint or ONNX")
        return self.vary(Variation(serving=serving))

    def on_meta(self) -> Session:
        """Return this session, or one on `meta` if the model was not run there."""
        return self if is_on_meta(self.report()) or self.how.device == META else self.vary(Variation(on_meta=True))

    def halved(self, path: str) -> Report | Refused:
        """Return the report of the model with half the outputs of the layer at `path`, or why there is none."""
        from alexnet_cli.analyses.findings.one_layer import Refused  # a summary needs none of it

        if not is_on_meta(self.report()):
            return Refused("needs_values", {})
        try:
            report = self.vary(Variation(halved=path)).report()
        except Refusal as refusal:
            return Refused(refusal.key, refusal.values)
        except AlexnetError as error:
            return Refused("not_built", {"error": error.message})
        if not is_on_meta(report):
            return Refused("does_not_fit", {"at": report.error.path if report.error else ""})
        return report

    def halved_training(self, path: str, step: TrainingStep) -> tuple[Report, Report] | None:
        """Return a training step of the model as it is and with that layer halved; None if either fails."""
        try:
            whole = self.vary(Variation(step=step)).report()
            halved = self.vary(Variation(halved=path)).vary(Variation(step=step)).report()
        except (Refusal, AlexnetError):
            return None
        return (whole, halved) if whole.error is None and halved.error is None else None

    def with_batch(self, batch_size: int | None) -> Session:
        """Return a session with another batch; this one if the batch is to stay."""
        return self if batch_size in (None, self.how.batch_size) else self.vary(Variation(batch_size=batch_size))

    def of_batch(self, batch_size: int, step: TrainingStep | None = None) -> Report:
        """Return the report of a forward, or a training step, with another batch. It is not remembered.

        Raises:
            UsageError: the model does not run with that batch.
        """
        report = self._vary(Variation(batch_size=batch_size, step=step)).report()
        if report.tape is None or report.error is not None:
            why = f": {report.error.message}" if report.error is not None else ""
            raise UsageError(f"the model does not run with a batch of {batch_size}{why}")
        if report.run is not None and report.run.batch_size not in (batch_size, None):
            raise UsageError(f"the model runs only with a batch of {report.run.batch_size}, not {batch_size}")
        return report

    @cached_property
    def own_weights(self) -> Contents | None:
        """What the checkpoint holds that belongs to the model, read once; a note says why it could not be read."""
        subject = self.resolved
        if not isinstance(subject, Subject) or subject.weights is None:
            return None
        try:
            return subject.weights()
        except TargetError as error:
            self.listener.note(f"the model's weights were left aside: {error.message}")
            return None

    def torchsummary(self) -> str:
        """Return what the torchsummary package prints about the model.

        Raises:
            UsageError: the target is not a model, or torchsummary cannot do what is asked.
            ForwardError: it fails on this model.
        """
        if not isinstance(self.resolved, Subject):
            raise UsageError("torchsummary needs a model to run, not a saved report", "leave out --format torchsummary")
        from alexnet_cli.tracing.torchsummary_table import torchsummary_table  # imports torch

        return torchsummary_table(self.resolved, self.how, self.listener.note)

    def _stored(self, report: Report) -> Report:
        how, what = self.how, "a saved report is shown as it was traced"
        if report.run is None:
            what = "a checkpoint is not run"
        elif report.run.device == GRAPH:
            how, what = replace(how, batch_size=1, inputs=None), "an ONNX file is not run"
            if self.how.batch_size not in (1, None, report.run.batch_size):
                self.listener.note(f"{report.model.target} was exported with sizes that a batch cannot change")
        if how != TraceOptions():
            self.listener.note(f"{what}: the options that say how to run a model have no effect here")
        return report
