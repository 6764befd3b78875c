"""What alexnet says of an architecture, run as a user would: without inputs first, then with those of the zoo."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from zoo.architecture import Architecture

Seen = dict[str, Any]


def look(architecture: Architecture, target: Path) -> Seen:
    """Return what `alexnet summary FILE:model` says; if it finds no inputs, what it says with `--inputs FILE:make`."""
    alone = _summary(f"{target}:model", None)
    if alone["exit"] == 0 or architecture.inputs is None:
        return {**alone, "found": alone["exit"] == 0, "alone": None}
    told = {key: alone[key] for key in ("exit", "message", "hint", "seconds", "traceback", "inputs")}
    return {**_summary(f"{target}:model", f"{target}:make"), "found": False, "alone": told}


def _summary(target: str, inputs: str | None) -> Seen:
    from alexnet_cli import AlexnetError, inspect
    from alexnet_cli.report import Report

    began = time.process_time()
    seen: Seen = {"exit": 0, "message": None, "hint": None, "traceback": None, "notes": []}
    report: Report | None = None
    try:
        look = inspect(target, inputs_from=inputs, cache=False)
        report = look.report
        seen["notes"] = list(look.notes)
        look.summary().json()
    except AlexnetError as error:
        seen |= {"exit": error.exit_code, "message": error.message, "hint": error.hint}
        report = getattr(error, "report", None)
    except Exception as error:  # noqa: BLE001 - an internal error is what is looked for
        seen |= {"exit": 70, "message": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    seen["seconds"] = time.process_time() - began
    return seen | _described(report)


def _described(report: Any) -> Seen:
    if report is None or report.run is None:
        return {"device": None, "inputs": [], "params": None, "macs": None, "uncounted": {}}
    totals = report.totals
    return {
        "device": report.run.device,
        "inputs": [msgspec.to_builtins(each) for each in report.run.inputs],
        "params": totals.params,
        "macs": totals.macs,
        "uncounted": {each.op: each.calls for each in totals.uncounted_ops},
    }
