"""The settings of convolutions and poolings that were called as functions, from the operators that they ran."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from alexnet_cli.report import Layer, Report
from alexnet_cli.tape import Operation, Tape

_MAP = 2


def with_function_settings(report: Report) -> Report:
    """Return the report with window, stride and channels of functions, named as the modules of the same work do."""
    tape = report.tape
    if tape is None:
        return report
    found: dict[int, dict[str, Any]] = {}
    for op in tape.operations:
        if op.phase == "forward" and op.row is not None and report.layers[op.row].kind == "function":
            known = _settings(op, report.layers[op.row], tape)
            if known:
                found.setdefault(op.row, known)
    layers = tuple(
        replace(row, settings={**found[place], **row.settings}) if place in found else row
        for place, row in enumerate(report.layers)
    )
    return replace(report, layers=layers)


def _settings(op: Operation, row: Layer, tape: Tape) -> dict[str, Any]:
    given = op.arguments
    if row.family == "pool" and "kernel_size" in given:
        return {"kernel_size": given["kernel_size"], "stride": given.get("stride") or given["kernel_size"]}
    if row.family == "conv" and "transposed" in given and len(op.reads) > 1:
        weight = tape.values[op.reads[1]].shape
        groups, transposed = given.get("groups", 1), given["transposed"]
        channels = weight[1] * groups if transposed else weight[0]
        known = {"kernel_size": weight[_MAP:], "out_channels": channels, "groups": groups, "transposed": transposed}
        return {**known, "stride": given.get("stride", 1)}
    return {}
