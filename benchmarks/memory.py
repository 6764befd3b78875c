"""Predicted memory against what a real run on the CPU allocates, and what other tools say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import torch
from memory_models import BATCH, BATCHES, MODELS, OPTIMIZERS, measured_forward, measured_step
from memory_peers import (
    NotSaidError,
    by_kitsune,
    by_mem_tracker,
    by_torchinfo,
    by_torchsummary,
    by_vram_check,
)

from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.tracing.trace import trace

STEPS = {"MemTracker": by_mem_tracker, "kitsune": by_kitsune, "vram-check": by_vram_check}
"""Tools that are asked for a forward or a training step."""
TOTALS = {"torchinfo": by_torchinfo, "torchsummary": by_torchsummary}
"""Tools that have one number, whatever is run."""
COLUMNS = ("model", "what", "measured (MB)", "`--for cpu`", "`--for cuda`", *STEPS, *TOTALS)


def predicted(name: str, step: TrainingStep | None = None, *, cpu: bool) -> int:
    """Return the bytes at the predicted peak."""
    make, shape = MODELS[name]
    target = f"{make.__module__}:{make.__qualname__}"
    mode = "eval" if step is None else "train"
    batch = _given(name)[0]
    how = TraceOptions((InputSpec(shape),), batch_size=batch, mode=mode, step=step, as_on_cpu=cpu)
    return peak_of(timeline(trace(resolve(target, {}), how, lambda _: None))).bytes


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run attention operator by operator."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def table() -> str:
    """Return the results as Markdown."""
    lines = [
        f"Bytes at the peak, batch {BATCH} ({' and '.join(BATCHES)}: 1), one thread; measured by the CPU allocator's",
        "events in `torch.profiler`. BasicUNet and UNETR are like MONAI's, for one volume of 64x64x64; UNETR has a",
        "ViT-Small. The columns after that say how far each answer is off. A prediction for CUDA is not wrong where",
        "the CPU takes more; it is there to compare. torchinfo and torchsummary have one number for a forward with its",
        "backward, without an optimiser. kitsune adds 15 % for an allocator and for what a GPU needs itself. TorchLens",
        "has no column: on a CPU it only reads by how much the process grew.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
    ]
    torch.set_num_threads(1)
    for name, (make, _) in MODELS.items():
        given = torch.rand(*_given(name))
        lines.append(_line(name, "forward", measured_forward(make(), given), None))
        for optimizer, build in OPTIMIZERS.items():
            model = make()
            real = measured_step(model, given, build(model.parameters()))
            lines.append(_line(name, f"step, {optimizer}", real, TrainingStep(optimizer)))
        model = make()
        real = measured_step(model, given, torch.optim.Adam(model.parameters()), "bfloat16")
        lines.append(_line(name, "step, adam, bf16", real, TrainingStep("adam", "bf16")))
    name = "transformer encoder"
    with plain_kernels():
        real = measured_forward(MODELS[name][0](), torch.rand(*_given(name)))
        lines.append(_line(name, "forward, operator by operator", real, None))
    return "\n".join(lines)


def _line(name: str, what: str, real: int, step: TrainingStep | None) -> str:
    amp = "bfloat16" if step is not None and step.amp else None
    asked = (MODELS[name][0], _given(name), None if step is None else step.optimizer, amp)
    ours = (f"{predicted(name, step, cpu=cpu) / real - 1:+.2%}" for cpu in (True, False))
    peers = [partial(peer, *asked) for peer in STEPS.values()]
    peers += [partial(_total, peer, name) for peer in TOTALS.values()]
    said = (_said(peer, real) for peer in peers)
    return f"| {name} | {what} | {real / 1e6:.2f} | {' | '.join((*ours, *said))} |"


def _said(answer: Callable[[], int], real: int) -> str:
    """Return how far a tool's answer is off, or that it has none."""
    try:
        return f"{answer() / real - 1:+.2%}"
    except NotSaidError:
        return "no answer"
    except Exception as error:  # noqa: BLE001 - any tool may fail in its own way
        return f"fails: {type(error).__name__}"


@cache
def _total(peer: Callable[..., int], name: str) -> int:
    return peer(MODELS[name][0], _given(name))


def _given(name: str) -> tuple[int, ...]:
    """Return the shape of a model's input, batch first."""
    return BATCHES.get(name, BATCH), *MODELS[name][1]
