"""What a prompt or a token of a language model costs, on one screen."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.serving.cached import Cache, CachedLayer
from alexnet_cli.analyses.serving.serving import ServingCost
from alexnet_cli.document import Column, Document, Fact, Facts, Note, Table
from alexnet_cli.report import Report
from alexnet_cli.units import count, size
from alexnet_cli.views.parts import Columns, given, run_line, some, table, titled, uncounted_notes

_THREE_DIGITS = 100
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


class _Group(Struct, frozen=True):
    """Layers that keep the same: their number, how they are called, and one of them."""

    layers: int
    path: str
    one: CachedLayer


def _cache_table(cache: Cache) -> Table:
    groups: dict[object, list[CachedLayer]] = {}
    for layer in cache.layers:
        groups.setdefault((layer.shapes, layer.dtypes, layer.type, layer.bytes_per_token), []).append(layer)
    rows = [_Group(len(group), _common([layer.path for layer in group]), group[0]) for group in groups.values()]
    columns: Columns[_Group] = {
        Column("path", "Kept by", priority=7): lambda group: group.path or "the model itself",
        Column("layers", "Layers", "count"): lambda group: group.layers,
        Column("shapes", "Kept in each", "shapes", priority=6): lambda group: tuple(dict.fromkeys(group.one.shapes)),
        Column("bytes", "Each", "bytes", priority=5): lambda group: group.one.bytes,
        Column("all_bytes", "Together", "bytes"): lambda group: group.one.bytes * group.layers,
    }
    if cache.bytes_per_token is not None:
        columns[Column("bytes_per_token", "Per token", "bytes")] = lambda group: (
            (group.one.bytes_per_token or 0) * group.layers
        )
    return table("cache", columns, rows, "The cache afterwards, of the whole batch")


def _common(paths: Sequence[str]) -> str:
    """Name several paths by what they share: `layers.*.attention`."""
    return paths[0] if len(paths) == 1 else some([*dict.fromkeys(_NUMBER.sub("*", path) for path in paths)], most=2)


def _facts(cost: ServingCost) -> Facts:
    facts = [Fact("Parameters", cost.params, "count")]
    if cost.active_params is not None:
        facts.append(Fact("used by one token", cost.active_params, "count", "of tables the rows looked up", level=1))
    for group in cost.experts:
        which = f"{group.per_token} of {group.count} in each of {group.layers} layers"
        facts.append(Fact("experts", group.params, "count", which, level=1))
    facts += [
        Fact("MACs", cost.macs, "macs", "of the whole batch" if (cost.batch_size or 1) > 1 else ""),
        *(
            [Fact("causal", cost.causal_macs, "macs", "without the pairs left out", level=1)]
            if cost.causal_macs
            else []
        ),
        Fact("Cache", cost.cache.bytes, "bytes", _allocated(cost.cache)),
    ]
    if cost.cache.bytes_per_token is not None:
        facts.append(Fact("per token", cost.cache.bytes_per_token, "bytes", "of one sequence", level=1))
    return Facts(tuple(facts))


def _allocated(cache: Cache) -> str:
    return "" if cache.allocated_bytes == cache.bytes else f"{size(cache.allocated_bytes)} allocated"


class _Memory(Struct, frozen=True):
    """What is moved of one kind of memory, at least and by the code."""

    name: str
    least_read: int | str
    least_written: int | str
    read: int
    written: int


def _moved_table(cost: ServingCost) -> Table:
    floor, read, written = cost.floor, cost.moved.read, cost.moved.written
    rest = sum(size for role, size in read.items() if role not in ("parameter", "cache", "input"))
    made = sum(size for role, size in written.items() if role != "cache")
    rows = [
        _Memory("weights", floor.weights_read, "", read.get("parameter", 0), written.get("parameter", 0)),
        _Memory("cache", floor.cache_read, floor.cache_written, read.get("cache", 0), written.get("cache", 0)),
        _Memory(
            "inputs, outputs", floor.inputs_read, floor.outputs_written, read.get("input", 0), floor.outputs_written
        ),
        _Memory("in between", "", "", rest, max(made - floor.outputs_written, 0)),
    ]
    columns: Columns[_Memory] = {
        Column("memory", "Memory"): lambda row: row.name,
        Column("least_read", "Read at least", "bytes"): lambda row: row.least_read,
        Column("least_written", "Written at least", "bytes", priority=7): lambda row: row.least_written,
        Column("read", "The code reads", "bytes"): lambda row: row.read,
        Column("written", "The code writes", "bytes", priority=6): lambda row: row.written,
    }
    return table("moved", columns, rows)


def _floor_facts(cost: ServingCost, roof: Roof) -> Facts:
    floor, unit = cost.floor, "prompt" if cost.part == "prefill" else "token"
    bound = f"bound by {floor.bound}" if floor.bound else ""
    turn = (
        f"a batch of {count(floor.compute_bound_from)}" if floor.compute_bound_from else "no batch: memory bounds any"
    )
    return Facts(
        (
            Fact("Hardware", roof.hardware.name, note=roof.hardware.source),
            Fact("Intensity", floor.intensity, "intensity", "of the least bytes"),
            Fact(f"Time per {unit}", floor.seconds, "seconds", f"at least, {bound}" if bound else "at least"),
            Fact("Tokens per second", _rate(floor.tokens_per_s), "count", "at most, of all sequences"),
            *([Fact("Compute bounds from", turn)] if floor.bound else []),
        )
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
        Column("tokens_per_s", "Max. tokens/s", "count"): lambda cost: _rate(cost.floor.tokens_per_s),
    }
    return table("by_batch", columns | (of_hardware if roof else {}), served, "By batch size")


def _rate(rate: float | None) -> float | None:
    """Return tokens per second with at least three digits."""
    return rate if rate is None else int(rate) if rate >= _THREE_DIGITS else float(f"{rate:.3g}")


def _notes(report: Report, cost: ServingCost, roof: Roof | None) -> list[Note]:
    notes = []
    if roof is not None:
        name, capacity = roof.hardware.name, roof.hardware.capacity_bytes
        held = report.totals.param_bytes + cost.cache.bytes
        if capacity is not None and held > capacity:
            text = f"weights and cache ({size(held)}) do not fit in the memory of one {name} ({size(capacity)})"
            notes.append(Note(text, "warning"))
        if cost.floor.bound is None:
            notes.append(
                Note(
                    f"no peak is known for the {name} in a dtype of the MACs: the time is that of the bytes", "warning"
                )
            )
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
