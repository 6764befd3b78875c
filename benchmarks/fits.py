"""What `alexnet fit` predicts for ten small networks, against real steps of the code that it writes, on the CPU.

The networks are those of `tests/fitting/small.py`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from effort import QUICK
from memory_models import bytes_of, most_allocated
from torch import Tensor, nn

from alexnet_cli import inspect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fitting"))
from small import NETWORKS

SHARES = (0.5,) if QUICK else (0.85, 0.5, 0.3)
"""Parts of what lies between weights with gradients, which no block or micro-batch makes smaller, and the step."""

WITHOUT = ("amp", "lora", "qlora", "freeze", "batch")
"""The kinds of changes that are left out: those of precision, of what is trained, and of the batch."""


def tensors_of(name: str, batch: int) -> Tensor:
    """Return an input of a network."""
    _, shape, _ = NETWORKS[name]
    sizes, _, dtype = shape.partition(":")
    whole = (batch, *map(int, sizes.split(",")))
    return torch.randint(200, whole) if dtype else torch.rand(whole)


def loaded(text: str) -> dict[str, Any]:
    """Return the names that the written code defines."""
    code: dict[str, Any] = {}
    exec(compile(text, "patch.py", "exec"), code)  # noqa: S102 - the code is the program's own
    return code


def real_peak(code: dict[str, Any], model: nn.Module, given: Tensor, *targets: Tensor) -> int:
    """Return the bytes at the peak of a step that is not the first, run by the written code."""
    model.train()
    model = code["changed"](model) if "changed" in code else model
    optimizer = code["optimizer_of"](model)

    def step() -> None:
        code["training_step"](model, optimizer, given, targets=targets)

    step()
    optimizer.zero_grad(set_to_none=True)
    state = [value for entry in optimizer.state.values() for value in entry.values() if isinstance(value, Tensor)]
    state += [each for weight in model.parameters() for each in scales_of(weight)]
    return bytes_of([*model.parameters(), *model.buffers(), given, *targets, *state]) + most_allocated(step)


def scales_of(weight: Any) -> list[Tensor]:
    """Return what bitsandbytes holds beside a weight in four bits."""
    state = getattr(weight, "quant_state", None)
    own = [] if state is None else [state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]
    return [*own]


def table() -> str:
    """Return the results as Markdown."""
    lines = [
        "Ten small networks and three budgets each, with SGD in float32; only micro-batches that batch norms see train",
        "otherwise. The code that `--emit` writes ran a step on the CPU, measured by the allocator's events. `time`",
        "is that of the answer; `traces` are the steps that were run on shapes for it. No peer finds a change that",
        "fits or writes its code: kitsune lists advice, with the same shares of its estimate for all networks.",
        "",
        "| network | budget (MB) | change | predicted (MB) | measured (MB) | error | traces | time (s) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, (build, shape, batch) in NETWORKS.items():
        look = inspect(build(), input_size=shape, batch_size=batch)
        how: dict[str, Any] = {"optimizer": "sgd", "foreach": False, "predict_for": "cpu"}
        asked = look.fit(budget="1TiB", **how).chosen
        held = 2 * sum(each.nbytes for each in build().parameters())
        lines += (_line(name, look, int(held + share * (asked.peak_bytes - held)), how) for share in SHARES)
    return "\n".join(lines) + "\n"


def _line(name: str, look: Any, budget: int, how: dict[str, Any]) -> str:
    build, _, batch = NETWORKS[name]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "patch.py"
        began = time.perf_counter()
        found = look.fit(budget=f"{budget}B", emit=file, without=WITHOUT, **how)
        took = time.perf_counter() - began
        if found.chosen is None:
            least = f"nothing fits: {found.lower_bound_bytes / 1e6:.2f} is the least"
            return f"| {name} | {budget / 1e6:.2f} | {least} |  |  |  | {found.traces} | {took:.1f} |"
        real = real_peak(loaded(file.read_text(encoding="utf-8")), build(), tensors_of(name, batch))
    peak = found.chosen.peak_bytes
    return (
        f"| {name} | {budget / 1e6:.2f} | {found.chosen.change} | {peak / 1e6:.2f} | {real / 1e6:.2f} | "
        f"{peak / real - 1:+.1%} | {found.traces} | {took:.1f} |"
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    print(table())
