"""What a language model holds while it is used: peaks, cache, and which contexts and batches fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import UNSET

from alexnet_cli.analyses.serving.assumed import Assumptions, StoredAs
from alexnet_cli.analyses.serving.held import CacheGroup, RunMemory, ServingMemory
from alexnet_cli.analyses.serving.room import LargestThatFits, ServingFit
from alexnet_cli.document import Axis, Column, Document, Fact, Facts, Mark, Note, Plot, Row, Series, Table
from alexnet_cli.report import Report
from alexnet_cli.units import bits, count, shape, size
from alexnet_cli.views.memory import where
from alexnet_cli.views.parts import Columns, given, run_line, table, titled, without

_KEEPS = {
    "full": "every token",
    "sliding": "a window",
    "encoder": "what was read",
    "state": "a state",
    None: "unknown",
}
_COUNTED = (
    "Counted is the code as it runs, prompt and token in one forward each{logits}. Engines that cut prompts into "
    "chunks, make the logits of the last token alone or allocate the cache in blocks hold other activations."
)
_NO_LAW = "No law of the peak was found: sizes were searched for by runs."
_ALL_LOGITS = ", with the logits of all tokens where its forward makes them"
_ADDED = (
    "Kernel workspaces, allocator rounding and the device's context add to it. A context that fits is not always one "
    "that the model was trained for."
)


def context_document(report: Report, held: ServingMemory | None) -> Document:
    """Show peaks and their parts, the cache by groups of layers, what fits, and what was assumed."""
    how = run_line(report.run)
    if held is None:
        return Document(f"Memory of {titled(report)}", (), how)
    fit = None if held.fit is UNSET else held.fit
    blocks = given(
        _peaks(held),
        _cache_table(held),
        _fit_facts(held, fit) if fit else None,
        _frontier(held, fit) if fit and fit.frontier else None,
        *(Note(text) for text in assumed(held.assumptions)),
        Note(_NO_LAW, "warning") if fit and fit.law is None else None,
        Note(_COUNTED.format(logits="" if held.assumptions.last_logits else _ALL_LOGITS)),
        Note(_ADDED),
    )
    return Document(f"Memory of {titled(report)}", blocks, f"{how} · context {count(held.context)}")


def assumed(assumptions: Assumptions) -> Iterator[str]:
    """Say what is assumed to be otherwise than in the code that ran, a sentence for each."""
    if assumptions.cache is not None:
        yield f"Assumed: keys and values are stored in {_format(assumptions.cache)}; states keep their dtype."
    if assumptions.weights is not None:
        yield (
            f"Assumed: the weights of linear layers are stored in {_format(assumptions.weights)}; embeddings, the "
            "head, norms and biases keep their dtype, and no dequantised copy is counted."
        )
    if assumptions.last_logits:
        yield "The model was asked for the logits of the last token alone."


def _format(stored: StoredAs) -> str:
    if stored.group is None:
        return stored.dtype
    each = stored.bits + stored.scale_bits / stored.group
    return f"{stored.dtype}, {bits(each)} bits each with a {stored.scale_bits}-bit scale for {stored.group}"


def _peaks(held: ServingMemory) -> Table:
    """Show what makes the peaks of a prompt and of a token side by side."""
    both = (
        (Column("prefill_bytes", "Prompt", "bytes"), held.prefill),
        (Column("decode_bytes", "Token", "bytes"), held.decode),
    )
    runs = {column: run for column, run in both if run is not None}
    parts: Mapping[str, Callable[[RunMemory], int]] = {
        "Weights": lambda run: run.weights_bytes,
        "Buffers": lambda run: run.buffer_bytes,
        "Cache": lambda run: run.cache_bytes,
        "Logits": lambda run: run.logits_bytes,
        "Activations": lambda run: run.activation_bytes,
        "Peak": lambda run: run.peak_bytes,
    }
    rows = {name: tuple(of(run) for run in runs.values()) for name, of in parts.items()}
    shown = [
        Row((name, *cells), role="group" if name == "Peak" else "leaf") for name, cells in rows.items() if any(cells)
    ]
    places = ", ".join(
        f"of the {column.title.lower()} in {where(run.peak).removeprefix('forward, in ')}"
        for column, run in runs.items()
    )
    return Table("peaks", (Column("part", "At the peak"), *runs), tuple(shown), f"Peaks: {places}")


def _cache_table(held: ServingMemory) -> Table:
    found = held.cache
    columns: Columns[CacheGroup] = {
        Column("layers", "Layers", "count"): lambda group: group.layers,
        Column("type", "Type", priority=6): lambda group: group.type,
        Column("first", "First", priority=5): lambda group: group.first,
        Column("keeps", "Keeps", priority=8): lambda group: _KEEPS[group.keeps],
        Column("readers", "Read by", priority=7): lambda group: (
            f"{group.readers} layers" if group.readers > 1 else "itself"
        ),
        Column("shapes", "Tensors", priority=4): _tensors,
        Column("bytes_per_token", "A token", "bytes"): lambda group: _times(group, group.bytes_per_token),
        Column("bytes", "Cache", "bytes"): lambda group: _times(group, group.bytes),
    }
    if all(group.readers <= 1 for group in found.groups):
        columns = without(columns, {"readers"})
    a_token = "" if found.bytes_per_token is None else f", {size(found.bytes_per_token)} a token and sequence"
    caption = f"Cache: {size(found.bytes)} after {count(held.context)} tokens{a_token}"
    return table("cache", columns, found.groups, caption)


def _times(group: CacheGroup, each: int | None) -> int | None:
    return None if each is None else group.layers * each


def _tensors(group: CacheGroup) -> str:
    """Write the shapes of one layer's tensors: `2 of 16×8×32768×128 bfloat16`."""
    alike = {each: group.shapes.count(each) for each in group.shapes}
    told = ", ".join(f"{times} of {shape(each)}" if times > 1 else shape(each) for each, times in alike.items())
    return f"{told} {'/'.join(group.dtypes)}"


def _fit_facts(held: ServingMemory, fit: ServingFit) -> Facts:
    at = "" if held.batch_size is None else f"at batch {count(held.batch_size)}"
    facts = [
        Fact("Capacity", fit.capacity_bytes, "bytes", fit.gpu or "as given"),
        Fact("Prompt and token", "fit" if fit.fits else "do not fit"),
        _largest("Longest context", fit.longest_context, at, fit.capacity_bytes),
    ]
    if fit.largest_batch is not None:
        at = f"at context {count(held.context)}"
        facts.append(_largest("Largest batch", fit.largest_batch, at, fit.capacity_bytes))
    return Facts(tuple(facts), "Does it fit?")


def _largest(label: str, found: LargestThatFits, at: str, capacity: int) -> Fact:
    if not found.exact:
        return Fact(label, f"{count(found.size)} to {count(found.next_size - 1)}", note=f"{at}, not searched further")
    if found.why is not None:
        return Fact(label, found.size, "count", f"{at}, exact: {count(found.next_size)} does not run, {found.why}")
    if found.next_bytes is None:
        return Fact(label, found.size, "count", f"{at} or more")
    more = f"{count(found.next_size)} needs {size(found.next_bytes - capacity)} more"
    if not found.size:
        return Fact(label, f"none: {more}", note=at)
    return Fact(label, found.size, "count", f"{at}, exact: {more}")


def _frontier(held: ServingMemory, fit: ServingFit) -> Plot:
    """Draw the longest context of each batch."""
    points = fit.frontier
    series = Series(
        "longest context",
        tuple((float(point.batch), float(point.context)) for point in points),
        "attention",
        "line",
        tuple(f"batch {count(point.batch)}: {count(point.context)} tokens" for point in points),
    )
    asked = f"asked: batch {count(held.batch_size or 1)}, context {count(held.context)}"
    marks = [Mark(float(held.batch_size or 1), float(held.context), asked)]
    title = f"What fits in {size(fit.capacity_bytes)}, by the law of the prompt's peak: all below the line"
    return Plot("frontier", Axis("batch", log=True), Axis("context", log=True), (series,), title, tuple(marks))
