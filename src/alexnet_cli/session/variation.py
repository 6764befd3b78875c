"""What is different from a model as it was asked for."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.report import Report
from alexnet_cli.session.how import resized
from alexnet_cli.tracing.options import META, Only, Serving, Size, TraceOptions, TrainingStep


class Variation(Struct, frozen=True):
    """What is different from the model as it was asked for; None leaves a thing as it is.

    A variation runs on the inputs that were found for the model, on `meta` if `on_meta`; `sizes` change some of their
    axes. With `source` its tape says which lines of the user's own source ran, and of the packages and places named.
    With `as_on_cpu` it has the CPU's operators and what their kernels allocate. With `only` just a part of the step is
    run. Once the model has been run, its variations run silently.
    """

    batch_size: int | None = None
    step: TrainingStep | None = None
    serving: Serving | None = None
    halved: str | None = None
    on_meta: bool = False
    sizes: tuple[Size, ...] = ()
    source: tuple[str, ...] | None = None
    as_on_cpu: bool = False
    only: Only | None = None

    def of(self, how: TraceOptions, graph: Report | None) -> TraceOptions:
        """Return how the model is run with it; a `graph`, which is not run, is told all its inputs."""
        changed = {
            "batch_size": self.batch_size,
            "serving": self.serving,
            "source": self.source,
            "only": self.only,
            "step": self.step,
            "mode": None if self.step is None else "train",
            "device": META if self.on_meta else None,
            "as_on_cpu": True if self.as_on_cpu else None,
            "traceback": None if self.halved is None else False,
        }
        how = replace(how, **{name: value for name, value in changed.items() if value is not None})
        return resized(how, self.sizes, graph) if self.sizes else how
