"""Predicted memory against what a real run on the CPU allocates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from memory_models import BATCH, MODELS, measured_forward, measured_step

from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.tracing.trace import trace

OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "adam": torch.optim.Adam,
}


def predicted(name: str, step: TrainingStep | None = None) -> int:
    """Return the bytes at the predicted peak."""
    make, shape = MODELS[name]
    target = f"{make.__module__}:{make.__qualname__}"
    how = TraceOptions((InputSpec(shape),), BATCH, mode="eval" if step is None else "train", step=step)
    return peak_of(timeline(trace(resolve(target, {}), how, lambda _: None))).bytes


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run attention and recurrent layers operator by operator."""
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.backends.mkldnn.flags(enabled=False):
        yield
    torch.backends.mha.set_fastpath_enabled(True)


def table() -> str:
    """Return the results as Markdown."""
    lines = [
        f"Bytes at the peak, batch {BATCH}; measured by the CPU allocator's events in `torch.profiler`.",
        "",
        "| model | what | predicted (MB) | measured (MB) | error |",
        "|---|---|---|---|---|",
    ]
    for name, (make, shape) in MODELS.items():
        given = torch.rand(BATCH, *shape)
        lines.append(_line(name, "forward", predicted(name), measured_forward(make(), given)))
        for optimizer, build in OPTIMIZERS.items():
            model = make()
            real = measured_step(model, given, build(model.parameters()))
            lines.append(_line(name, f"step, {optimizer}", predicted(name, TrainingStep(optimizer)), real))
        model = make()
        real = measured_step(model, given, torch.optim.Adam(model.parameters()), "bfloat16")
        lines.append(_line(name, "step, adam, bf16", predicted(name, TrainingStep("adam", "bf16")), real))
    for name in ("transformer encoder", "LSTM"):
        make, shape = MODELS[name]
        with plain_kernels():
            real = measured_forward(make(), torch.rand(BATCH, *shape))
        lines.append(_line(name, "forward, operator by operator", predicted(name), real))
    return "\n".join(lines)


def _line(name: str, what: str, ours: int, real: int) -> str:
    return f"| {name} | {what} | {ours / 1e6:.2f} | {real / 1e6:.2f} | {ours / real - 1:+.2%} |"
