"""MACs and parameters of a few small models, as each tool counts them; the truth is worked out by hand in the tests.

A tool that counts only one of them is held to that one.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from apart import apart
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from odd_models import CASES, Case

from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

Counter = Callable[[Case], tuple[Any, Any]]
"""Returns MACs and parameters, None for what the tool does not count."""


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


def by_ptflops(case: Case) -> tuple[Any, Any]:
    """Count with ptflops, by torch's functions as it does by default."""
    import ptflops

    made, given = model(case), tensors(case)
    named = dict(zip(inspect.signature(made.forward).parameters, given, strict=False))
    found = ptflops.get_model_complexity_info(
        made,
        (1,),
        input_constructor=lambda _: given[0] if len(given) == 1 else named,  # its hooks look for unnamed inputs
        print_per_layer_stat=False,
        as_strings=False,
    )
    if None in found:
        raise RuntimeError("ptflops prints what went wrong")
    return found


def by_torchlens(case: Case) -> tuple[Any, Any]:
    """Count with TorchLens."""
    import torchlens

    seen = torchlens.trace(model(case), tensors(case))
    return int(seen.total_macs_forward), int(seen.num_params)


def by_kitsune(case: Case) -> tuple[Any, Any]:
    """Count with kitsune, which knows no MACs."""
    from kitsune.predict.model_analyzer import analyze_model

    return None, analyze_model(model(case)).total_params


def by_vram_check(case: Case) -> tuple[Any, Any]:
    """Count with vram-check, which knows no MACs."""
    import vram_check

    return None, vram_check.inspect(model(case)).total_params


def by_torch(device: str) -> Counter:
    """Count with torch's FlopCounterMode on a device, without gradients."""

    def count(case: Case) -> tuple[Any, Any]:
        made, given = model(case).to(device), [tensor.to(device) for tensor in tensors(case)]
        where = nullcontext() if device == "cpu" else torch.device(device)  # with a device there is no fused attention
        with where, torch.no_grad(), FlopCounterMode(display=False) as counter:
            made(*given)
        return counter.get_total_flops() // 2, None

    return count


TOOLS: dict[str, Counter] = {
    "alexnet": ours,
    "torchinfo": by_torchinfo,
    "thop": by_thop,
    "fvcore": by_fvcore,
    "ptflops": by_ptflops,
    "TorchLens": by_torchlens,
    "FlopCounterMode, CPU": by_torch("cpu"),
    "FlopCounterMode, meta": by_torch("meta"),
    "kitsune": by_kitsune,
    "vram-check": by_vram_check,
}


def verdict(tool: str, name: str) -> str:
    """Return `right`, which of the two is right, what was counted instead, or that the tool failed."""
    warnings.simplefilter("ignore")
    counter, case = TOOLS[tool], CASES[name]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            macs, params = counter(case)
    except Exception as error:  # noqa: BLE001 - a tool may fail in any way
        return f"fails ({type(error).__name__})"
    counted = [("MACs", macs, case.macs), ("parameters", params, case.params)]
    known = [(what, found, truth) for what, found, truth in counted if found is not None]
    wrong = [f"{found:,} {what}" for what, found, truth in known if found != truth]
    return ", ".join(wrong) or ("right" if len(known) == len(counted) else f"{known[0][0]} right")


def until_it_fails(tool: str, names: list[str]) -> list[str]:
    """Return a tool's verdicts up to the first failure, which may leave something behind."""
    said: list[str] = []
    for name in names:
        said.append(verdict(tool, name))
        if said[-1].startswith("fails"):
            break
    return said


def column(tool: str) -> list[str]:
    """Return a tool's verdicts, in processes of their own: importing some tools changes torch already."""
    said: list[str] = []
    while len(said) < len(CASES):
        said += apart(until_it_fails, tool, list(CASES)[len(said) :])
    return said


def table() -> str:
    """Return the results as a Markdown table."""
    head = ["case", "MACs", "parameters", *TOOLS]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for (name, case), *verdicts in zip(CASES.items(), *map(column, TOOLS), strict=True):
        lines.append(f"| {' | '.join([name, f'{case.macs:,}', f'{case.params:,}', *verdicts])} |")
    return "\n".join(lines)
