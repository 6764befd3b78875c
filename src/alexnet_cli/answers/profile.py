"""`profile`: how long each layer takes, beside the least time that the hardware allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import Hardware, find_hardware, measured_hardware
from alexnet_cli.analyses.profile import CapturedTime, CompiledTime, LayerTime, MeasuredWork, Profile, TypeTime, Whole
from alexnet_cli.analyses.profile import profile as analyse
from alexnet_cli.analyses.slices import chrome_trace, speedscope
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.answers.files import check_place, write_file
from alexnet_cli.errors import UsageError
from alexnet_cli.quantities import check_seconds
from alexnet_cli.report import Report
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.how import training_step
from alexnet_cli.session.machine import calibration
from alexnet_cli.session.session import Session
from alexnet_cli.views.profile import profile_document


class ProfileResult(Envelope, frozen=True, kw_only=True):
    """`alexnet profile --json`; with several batch sizes `layers` and the like are those of the first, `sweep` has all.

    Times are measured, in seconds. `outside` is what no layer did; `hardware` is what floors are held against, null
    where neither the table nor a calibration knows the device.
    """

    device_name: str | None = None
    threads: int | None = None
    whole: Whole | None = None
    layers: tuple[LayerTime, ...] = ()
    outside: MeasuredWork | None = None
    by_type: tuple[TypeTime, ...] = ()
    compiled: CompiledTime | None = None
    cuda_graph: CapturedTime | None = None
    hardware: Hardware | None = None
    sweep: tuple[Profile, ...] | UnsetType = UNSET


def profile(
    session: Session,
    *,
    seconds: float = 5.0,
    backward: bool = False,
    amp: str | None = None,
    compile: bool = False,  # noqa: A002 - as torch names it
    cuda_graph: bool = False,
    calibrate: bool = False,
    depth: int | None = None,
    trace: Path | None = None,
    flame: Path | None = None,
    batch_size: Sequence[int] | None = None,
) -> Answer[ProfileResult]:
    """Measure how long each layer takes, and hold it against the least time that the device allows.

    The run is repeated for about so many `seconds`. With `backward` it is a training step. With `compile` the run is
    measured compiled by torch as well, with `cuda_graph` by a CUDA graph, each as a whole. `calibrate` measures first
    what the device can do. `trace` is a file for Perfetto, `flame` one for speedscope. Several sizes in `batch_size`
    are compared.

    Raises:
        UsageError: an option does not parse, or there is no model to run.
        AlexnetError: the model cannot be loaded or run.
        OutputError: a file cannot be written.
    """
    check_seconds(seconds, 5)
    if amp is not None and not backward:
        raise UsageError("--amp goes with --backward", "--dtype bfloat16 runs a forward in bfloat16")
    for file in (trace, flame):
        if file is not None:
            check_place(file)
    step = training_step("none", amp) if backward else None
    sizes = tuple(batch_size or ())
    reports: list[Report] = []
    for size in sizes or (None,):
        asked = {"silently": bool(reports), "compiles": compile, "captures": cuda_graph}
        reports.append(session.with_batch(size).timed(seconds, step, **asked))
        if reports[-1].error is not None:
            break
        if size is not None and (run := reports[-1].run) and run.batch_size != size:
            raise UsageError(f"the model runs with a batch of {run.batch_size}, not {size}")
    timed = [report for report in reports if report.passes is not UNSET]
    roof = measured_roof(session, timed[0], anew=calibrate) if timed else None
    found = [analyse(report, roof, depth) for report in timed]
    if timed and trace is not None:
        write_file(trace, chrome_trace(timed[0]))
    if timed and flame is not None:
        write_file(flame, speedscope(timed[0]))
    shown = {key: value for key, value in asdict(found[0]).items() if key != "batch_size"} if found else {}
    result = ProfileResult(
        **{**Envelope.of(reports[0], "profile"), "error": reports[-1].error},
        **shown,
        hardware=None if roof is None else roof.hardware,
        sweep=tuple(found) if len(sizes) > 1 else UNSET,
    )
    return Answer(result, lambda: profile_document(reports[0], found, roof), failures=failures_of(reports[-1]))


def measured_roof(session: Session, report: Report, *, anew: bool = False) -> Roof | None:
    """Return what the device that ran can do at most: by a calibration, else by the table of GPUs; None if unknown.

    Measured `anew`, what the device can do is kept for the machine.
    """
    device = report.run.device if report.run else "cpu"
    measured = calibration(device, session.listener, anew=anew)
    if measured is not None:
        return Roof(measured_hardware(measured))
    if report.passes is UNSET or report.passes.threads is not None:
        return None
    try:
        return Roof(find_hardware(report.passes.device_name))
    except UsageError:
        return None
