"""MACs and parameters of a few small models, as each tool counts them; the truth is worked out by hand in the tests."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from odd_models import CASES, Case

from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

Counter = Callable[[Case], tuple[Any, Any]]


def tensors(case: Case) -> list[torch.Tensor]:
    """Return a batch of one."""
    specs = [parse_input(text) for text in case.inputs]
    shapes = [(1, *(spec.shape if spec.side is None else (spec.side,))) for spec in specs]
    return [
        torch.zeros(shape, dtype=getattr(torch, spec.dtype or "float32"))
        for shape, spec in zip(shapes, specs, strict=True)
    ]


def model(case: Case) -> nn.Module:
    """Return a new model in eval mode, its lazy layers made."""
    made = case.make().eval()
    with torch.no_grad():
        made(*tensors(case))
    return made


def ours(case: Case) -> tuple[Any, Any]:
    """Count as `alexnet summary` does."""
    inputs = tuple(parse_input(text) for text in case.inputs)
    totals = trace(Subject("case", "", lambda: Loaded(case.make())), TraceOptions(inputs=inputs), lambda _: None).totals
    return totals.macs, totals.params


def by_torchinfo(case: Case) -> tuple[Any, Any]:
    """Count with torchinfo."""
    import torchinfo

    found = torchinfo.summary(model(case), input_data=tensors(case), verbose=0, device="cpu")
    return found.total_mult_adds, found.total_params


def by_thop(case: Case) -> tuple[Any, Any]:
    """Count with thop."""
    import thop

    macs, params = thop.profile(model(case), tuple(tensors(case)), verbose=False)
    return int(macs), int(params)


def by_fvcore(case: Case) -> tuple[Any, Any]:
    """Count with fvcore."""
    from fvcore.nn import FlopCountAnalysis, parameter_count

    made = model(case)
    analysis = FlopCountAnalysis(made, tuple(tensors(case)))
    analysis.unsupported_ops_warnings(enabled=False)
    analysis.uncalled_modules_warnings(enabled=False)
    return analysis.total(), parameter_count(made)[""]


def by_torch(case: Case) -> tuple[Any, Any]:
    """Count with torch's FlopCounterMode on the CPU, without gradients."""
    made = model(case)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        made(*tensors(case))
    return counter.get_total_flops() // 2, None


TOOLS: dict[str, Counter] = {
    "alexnet": ours,
    "torchinfo": by_torchinfo,
    "thop": by_thop,
    "fvcore": by_fvcore,
    "torch FlopCounterMode, CPU": by_torch,
}


def verdict(counter: Counter, case: Case) -> str:
    """Return `right`, what was counted instead, or that the tool failed."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            macs, params = counter(case)
    except Exception as error:  # noqa: BLE001 - a tool may fail in any way
        return f"fails ({type(error).__name__})"
    wrong = [f"{macs:,} MACs"] if macs != case.macs else []
    wrong += [f"{params:,} parameters"] if params is not None and params != case.params else []
    return ", ".join(wrong) or "right"


def table() -> str:
    """Return the results as a Markdown table."""
    warnings.simplefilter("ignore")
    head = ["case", "MACs", "parameters", *TOOLS]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, case in CASES.items():
        verdicts = [verdict(counter, case) for counter in TOOLS.values()]
        lines.append(f"| {' | '.join([name, f'{case.macs:,}', f'{case.params:,}', *verdicts])} |")
    return "\n".join(lines)
