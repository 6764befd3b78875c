"""`cost`: what each layer computes and moves, and the least time that it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from alexnet_cli.analyses.cost import Cost, CostTotals, LayerCost, PhasedWork, Roof, TypeCost, backward_of
from alexnet_cli.analyses.cost import cost as analyse
from alexnet_cli.analyses.hardware import DTYPES, Hardware, find_hardware
from alexnet_cli.analyses.serving.serving import ServingCost, serving
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.document import Document
from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import BANDWIDTH, SPEED
from alexnet_cli.report import Report
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.how import serving as serving_options
from alexnet_cli.session.how import training_step
from alexnet_cli.session.session import Session, Variation
from alexnet_cli.views.cost import cost_document
from alexnet_cli.views.serving import serving_document


class CostResult(Envelope, frozen=True, kw_only=True):
    """`alexnet cost --json`; with several batch sizes `layers` and the like are those of the first, `sweep` has all.

    `serving` is there for a prompt or a token of a language model, `serving_sweep` has those of all batch sizes.
    `outside` is work that no layer did, null if there is none; `tf32` tells whether float32 is compared with the TF32
    peak.
    """

    layers: tuple[LayerCost, ...]
    outside: PhasedWork | None
    totals: CostTotals
    by_type: tuple[TypeCost, ...]
    hardware: Hardware | None
    tf32: bool
    sweep: tuple[Cost, ...] | UnsetType = UNSET
    serving: ServingCost | UnsetType = UNSET
    serving_sweep: tuple[ServingCost, ...] | UnsetType = UNSET


def cost(
    session: Session,
    *,
    gpu: str | None = None,
    peak_flops: str | None = None,
    bandwidth: str | None = None,
    tf32: bool = False,
    backward: bool = False,
    amp: str | None = None,
    depth: int | None = None,
    batch_size: int | Sequence[int] | None = None,
    context: int | None = None,
    decode: bool = False,
    prefill: bool = False,
) -> Answer[CostResult]:
    """Show what each layer computes and moves, what bounds it on a GPU, and the least time that it takes.

    With `backward` that is a training step; several sizes in `batch_size` are compared. With `decode` it is one token
    of a language model after a cache, `context` tokens with it; with `prefill` a prompt of so many.

    Raises:
        UsageError: an option does not parse, or options do not go together.
        AlexnetError: the model cannot be loaded or run.
    """
    roof = roof_of(gpu, peak_flops, bandwidth, tf32=tf32)
    asked = serving_options(context, decode=decode, prefill=prefill, given=session.is_given)
    if asked is not None:
        if backward:
            raise UsageError(f"--backward and --{asked.part} exclude each other", "a model is trained without a cache")
        session = session.serving(asked)
    if backward:
        session = session.vary(Variation(step=training_step("none", amp)))
    elif amp is not None:
        raise UsageError("--amp goes with --backward", "--dtype bfloat16 runs a forward in bfloat16")
    sizes = (batch_size,) if isinstance(batch_size, int) else tuple(batch_size or ())
    reports = list(_reports(session, sizes))
    costs = [analyse(backward_of(report) if backward else report, roof, depth) for report in reports]
    served = [serving(report, roof) for report in reports if report.error is None] if asked is not None else []
    result = _result(reports, costs, served, roof)

    def shown() -> Document:
        return serving_document(reports[0], served, roof) if served else cost_document(reports[0], costs, roof)

    return Answer(result, shown, failures=failures_of(reports[-1]))


def _reports(session: Session, batch_sizes: Sequence[int]) -> Iterator[Report]:
    """Yield a report for each batch size, or that of the session if there are none; one that failed is the last."""
    for size in batch_sizes or (None,):
        report = session.with_batch(size).report()
        if len(batch_sizes) > 1 and (report.run is None or report.run.batch_size != size):
            if session.can_run and report.run is not None and report.run.batch_size is not None:
                raise UsageError(f"the model runs with a batch of {report.run.batch_size}, not {size}")
            raise UsageError("several batch sizes need a model to run", "a saved report was run with one batch")
        yield report
        if report.error is not None:
            return


def _result(
    reports: Sequence[Report], costs: Sequence[Cost], served: Sequence[ServingCost], roof: Roof | None
) -> CostResult:
    shown = asdict(costs[0])
    del shown["batch_size"]
    return CostResult(
        **{**Envelope.of(reports[0], "cost"), "error": reports[-1].error},
        **shown,
        hardware=None if roof is None else roof.hardware,
        tf32=roof is not None and roof.tf32,
        sweep=tuple(costs) if len(costs) > 1 else UNSET,
        serving=served[0] if served else UNSET,
        serving_sweep=tuple(served) if len(served) > 1 else UNSET,
    )


def roof_of(gpu: str | None, peak_flops: str | None, bandwidth: str | None, *, tf32: bool) -> Roof | None:
    """Read the options that describe the hardware; None if there are none."""
    other = (peak_flops, bandwidth)
    if gpu is not None and other != (None, None):
        raise UsageError("--gpu and --peak-flops, --bandwidth exclude each other", "the latter describe other hardware")
    if gpu is not None:
        hardware = find_hardware(gpu, "for other hardware give --peak-flops and --bandwidth")
        if tf32 and "tf32" not in hardware.peak_flops_per_s:
            raise UsageError(f"{hardware.name} has no TF32", "leave --tf32 out")
        return Roof(hardware, tf32)
    if tf32:
        raise UsageError("--tf32 goes with --gpu", "with --peak-flops the peak is what you say")
    if peak_flops is not None and bandwidth is not None:
        return Roof(given_hardware(peak_flops, bandwidth))
    if other != (None, None):
        raise UsageError("--peak-flops and --bandwidth go together", "as in --peak-flops 312T --bandwidth 2.0TB")
    return None


def given_hardware(peak_flops: str, bandwidth: str) -> Hardware:
    """Return hardware that is not in the table, from `312T` and `2.0TB`; the peak holds for every dtype.

    Raises:
        UsageError: one of them does not parse or is out of range.
    """
    peaks = dict.fromkeys(DTYPES, float(SPEED.read(peak_flops, "--peak-flops")))
    bytes_per_s = float(BANDWIDTH.read(bandwidth, "--bandwidth"))
    return Hardware("given hardware", peaks, bytes_per_s, None, "--peak-flops and --bandwidth")
