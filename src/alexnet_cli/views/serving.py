"""What a prompt or a token of a language model costs, on one screen."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.serving.cached import Cache, CachedLayer
from alexnet_cli.analyses.serving.serving import ServingCost
from alexnet_cli.document import Column, Document, Fact, Facts, Note, Row, Table
from alexnet_cli.report import Report
from alexnet_cli.units import count, size
from alexnet_cli.views.parts import (
    Columns,
    facts_given,
    given,
    run_line,
    some,
    table,
    three_digits,
    titled,
    uncounted_notes,
)

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")
_DECODE = "The cache holds {before} tokens before this one and {after} after it. "
_PREFILL = "The model computes the outputs of all tokens of the prompt. "
_LEAST = (
    "At least: weights and cache are read once, what is new in the cache and the outputs are written once. The code: "
    "each call of a function is a kernel that reads its inputs from memory."
)
_FLOOR = (
    "The time is a lower bound: the longer of all FLOPs at the peak and the least bytes at the full bandwidth. "
    "Launch overhead, latency and what the code moves beside add to it."
)
_UNIFORM = (
    "Weights of experts: as expected under uniform routing, E (1 - (1 - k / E)^T) of E experts for T = {tokens:,}."
)
_CAUSAL = "The FLOPs include pairs of tokens that the mask of attention leaves out: the operators do not say which."


def serving_document(report: Report, served: Sequence[ServingCost], roof: Roof | None) -> Document:
    """Show the cache, what is computed and moved, and the least time; several batch sizes below each other."""
    first = served[0]
    blocks = given(
        _cache_table(first.cache),
        _facts(first),
        _moved_table(first),
        _batch_table(served, roof) if len(served) > 1 else None,
        _floor_facts(first, roof) if roof and len(served) == 1 else None,
        *uncounted_notes(report.totals.uncounted_ops),
        *_notes(report, first, roof),
    )
    what = "a prompt" if first.part == "prefill" else "one token"
    length = "" if first.context is None else f" at a context of {count(first.context)}"
    how = run_line(report.run) + "".join(f", {each.batch_size}" for each in served[1:])
    how += "" if roof is None else f" · {roof.hardware.name}"
    return Document(f"Cost of {what} of {titled(report)}{length}", blocks, how)


def _cache_table(cache: Cache) -> Table:
    groups: dict[object, list[CachedLayer]] = {}
    for layer in cache.layers:
        groups.setdefault((layer.shapes, layer.dtypes, layer.type, layer.bytes_per_token), []).append(layer)
    columns: Columns[list[CachedLayer]] = {
        Column("path", "Kept by", priority=7): lambda group: _common(group) or "the model itself",
        Column("layers", "Layers", "count"): len,
        Column("shapes", "Kept in each", "shapes", priority=6): lambda group: tuple(dict.fromkeys(group[0].shapes)),
        Column("bytes", "Each", "bytes", priority=5): lambda group: group[0].bytes,
        Column("all_bytes", "Together", "bytes"): lambda group: group[0].bytes * len(group),
    }
    if cache.bytes_per_token is not None:
        per_token = Column("bytes_per_token", "Per token", "bytes")
        columns[per_token] = lambda group: (group[0].bytes_per_token or 0) * len(group)
    return table("cache", columns, groups.values(), "The cache afterwards, of the whole batch")


def _common(layers: Sequence[CachedLayer]) -> str:
    """Name several layers by what their paths share: `layers.*.attention`."""
    if len(layers) == 1:
        return layers[0].path
    return some([*dict.fromkeys(_NUMBER.sub("*", layer.path) for layer in layers)], most=2)


def _facts(cost: ServingCost) -> Facts:
    active, causal, cache = cost.active_params, cost.causal_macs, cost.cache
    allocated = "" if cache.allocated_bytes == cache.bytes else f"{size(cache.allocated_bytes)} allocated"
    experts = [
        Fact(
            "experts", group.params, "count", f"{group.per_token} of {group.count} in each of {group.layers} layers", 1
        )
        for group in cost.experts
    ]
    per_token = cache.bytes_per_token
    return facts_given(
        Fact("Parameters", cost.params, "count"),
        None if active is None else Fact("used by one token", active, "count", "of tables the rows looked up", 1),
        *experts,
        Fact("MACs", cost.macs, "macs", "of the whole batch" if (cost.batch_size or 1) > 1 else ""),
        Fact("causal", causal, "macs", "without the pairs left out", level=1) if causal else None,
        Fact("Cache", cache.bytes, "bytes", allocated),
        None if per_token is None else Fact("per token", per_token, "bytes", "of one sequence", level=1),
    )


def _moved_table(cost: ServingCost) -> Table:
    floor, read, written = cost.floor, cost.moved.read, cost.moved.written
    rest = sum(size for role, size in read.items() if role not in ("parameter", "cache", "input"))
    made = sum(size for role, size in written.items() if role != "cache")
    outputs = floor.outputs_written
    rows = (
        Row(("weights", floor.weights_read, "", read.get("parameter", 0), written.get("parameter", 0))),
        Row(("cache", floor.cache_read, floor.cache_written, read.get("cache", 0), written.get("cache", 0))),
        Row(("inputs, outputs", floor.inputs_read, outputs, read.get("input", 0), outputs)),
        Row(("in between", "", "", rest, max(made - outputs, 0))),
    )
    columns = (
        Column("memory", "Memory"),
        Column("least_read", "Read at least", "bytes"),
        Column("least_written", "Written at least", "bytes", priority=7),
        Column("read", "The code reads", "bytes"),
        Column("written", "The code writes", "bytes", priority=6),
    )
    return Table("moved", columns, rows)


def _floor_facts(cost: ServingCost, roof: Roof) -> Facts:
    floor, unit = cost.floor, "prompt" if cost.part == "prefill" else "token"
    how, batch = "at least" + (f", bound by {floor.bound}" if floor.bound else ""), floor.compute_bound_from
    turn = f"a batch of {count(batch)}" if batch else "no batch: memory bounds any"
    return facts_given(
        Fact("Hardware", roof.hardware.name, note=roof.hardware.source),
        Fact("Intensity", floor.intensity, "intensity", "of the least bytes"),
        Fact(f"Time per {unit}", floor.seconds, "seconds", how),
        Fact("Tokens per second", three_digits(floor.tokens_per_s), "count", "at most, of all sequences"),
        Fact("Compute bounds from", turn) if floor.bound else None,
    )


def _batch_table(served: Sequence[ServingCost], roof: Roof | None) -> Table:
    columns: Columns[ServingCost] = {
        Column("batch_size", "Batch", "count"): lambda cost: cost.batch_size,
        Column("macs", "MACs", "macs", priority=5): lambda cost: cost.macs,
        Column("cache", "Cache", "bytes"): lambda cost: cost.cache.bytes,
        Column("least", "Moved at least", "bytes", priority=6): lambda cost: cost.floor.bytes,
        Column("intensity", "Intensity", "intensity", priority=4): lambda cost: cost.floor.intensity,
    }
    of_hardware: Columns[ServingCost] = {
        Column("bound", "Bound by"): lambda cost: cost.floor.bound,
        Column("seconds", "Min. time", "seconds"): lambda cost: cost.floor.seconds,
        Column("tokens_per_s", "Max. tokens/s", "count"): lambda cost: three_digits(cost.floor.tokens_per_s),
    }
    return table("by_batch", columns | (of_hardware if roof else {}), served, "By batch size")


def _notes(report: Report, cost: ServingCost, roof: Roof | None) -> list[Note]:
    notes = []
    if roof is not None:
        name, capacity = roof.hardware.name, roof.hardware.capacity_bytes
        held = report.totals.param_bytes + cost.cache.bytes
        if capacity is not None and held > capacity:
            text = f"weights and cache ({size(held)}) do not fit in the memory of one {name} ({size(capacity)})"
            notes.append(Note(text, "warning"))
        if cost.floor.bound is None:
            text = f"no peak is known for the {name} in a dtype of the MACs: the time is that of the bytes"
            notes.append(Note(text, "warning"))
    if cost.part == "prefill":
        said = _PREFILL
    else:
        said = "" if cost.context is None else _DECODE.format(before=count(cost.context - 1), after=count(cost.context))
    notes.append(Note(said + _LEAST))
    if cost.part == "prefill" and cost.causal_macs is None:
        notes.append(Note(_CAUSAL))
    if cost.experts:
        notes.append(Note(_UNIFORM.format(tokens=cost.tokens)))
    return [*notes, *([Note(_FLOOR)] if roof else [])]
