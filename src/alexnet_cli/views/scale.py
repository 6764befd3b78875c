"""How what a model computes, moves and holds grows with the sizes of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from alexnet_cli.analyses.scale.edges import Edges
from alexnet_cli.analyses.scale.law import Law, leaders
from alexnet_cli.analyses.scale.laws import Piece, ScalingLaw, StepOf, terms_of
from alexnet_cli.analyses.scale.pieces import Scaling
from alexnet_cli.analyses.scale.runs import LARGEST
from alexnet_cli.analyses.scale.until import PEAKS, Largest, Until
from alexnet_cli.document import Axis, Column, Document, Fact, Facts, Note, Plot, Row, Series, Table
from alexnet_cli.report import Report
from alexnet_cli.units import count
from alexnet_cli.views.formula import polynomial, step, symbols
from alexnet_cli.views.parts import given, run_line, titled, uncounted_notes

_QUANTITIES = {
    "params": "Parameters",
    "macs": "MACs of a forward",
    "bytes_moved": "Bytes a forward moves",
    "peak_forward_bytes": "Peak of a forward, bytes",
    "saved_bytes": "Saved for backward, bytes",
    "peak_training_bytes": "Peak of a training step, bytes",
}
_COLOURS = {"peak_forward_bytes": "activation", "saved_bytes": "pool", "peak_training_bytes": "conv"}
_OF_STEP = ("saved_bytes", "peak_training_bytes")
_MOST_PIECES = 8
_POINTS, _FARTHER = 32, 16
_CONVENTION = (
    "Each law is exact at the sizes where it was proved, which are none of those that it was found from. It holds as "
    "long as the model does the same things at larger sizes."
)
_Names = Mapping[str, str]


def scale_document(
    report: Report,
    found: Scaling | None,
    laws: Sequence[ScalingLaw],
    steps: Sequence[StepOf],
    *,
    edge: Edges | None = None,
    fits: Until | None = None,
) -> Document:
    """Show the laws, what their symbols are, MACs by type, memory over sizes, and what fits."""
    if found is None:
        return Document(f"Scaling of {titled(report)}", (), run_line(report.run))
    names = symbols([dimension.name for dimension in found.dimensions], steps)
    whole = [law for law in laws if not law.type]
    blocks = given(
        _law_table(found, whole, names),
        _symbol_table(found, steps, names),
        _type_table([law for law in laws if law.type], names),
        _fit_facts(fits, names) if fits else None,
        _plot(found, names),
        _edge_facts(edge) if edge else None,
        *_notes(found, whole),
        *uncounted_notes(report.totals.uncounted_ops),
        Note(_CONVENTION),
    )
    return Document(f"Scaling of {titled(report)}", blocks, run_line(report.run))


def _law_table(found: Scaling, laws: Sequence[ScalingLaw], names: _Names) -> Table:
    columns = (
        Column("quantity", "Quantity", tree=True),
        Column("law", "Law", "formula"),
        Column("at", "At", priority=4),
    )
    ordered = sorted(laws, key=lambda law: list(_QUANTITIES).index(law.quantity))
    rows = tuple(row for law in ordered for row in _law_rows(found, law, names))
    shown = columns if any(row.cells[2] for row in rows) else columns[:2]
    return Table("laws", shown, tuple(Row(row.cells[: len(shown)], row.level, row.role) for row in rows), "Laws")


def _law_rows(found: Scaling, law: ScalingLaw, names: _Names) -> Iterator[Row]:
    title, whole = _QUANTITIES[law.quantity], found.law(law.quantity)
    if not law.pieces:
        known = bool(law.terms or law.proved_at)
        yield Row((title, polynomial(law.terms, names) if known else "no polynomial fits", ""))
        return
    one = len(law.dimensions) == 1
    if not one and whole is not None and whole.common is not None:
        yield Row((title, _with_limits(whole, names), ""))
        return
    yield Row((title, "by size" if one else f"the {law.piecewise} of", ""), role="group")
    shown = law.pieces if one or whole is None else [law.pieces[at] for at in leaders(whole)]
    for place, piece in enumerate(shown[:_MOST_PIECES], 1):
        label = _range(piece, names[law.dimensions[0]]) if one else f"{place}"
        where = piece.op or ("before the run" if law.quantity in PEAKS else "")
        yield Row((label, polynomial(piece.terms, names), f"{where} {piece.path or ''}".rstrip()), level=1)
    left = len(law.pieces) - min(len(shown), _MOST_PIECES)
    if left > 0:
        yield Row((f"and {left} more", "in JSON", ""), level=1)


def _with_limits(law: Law, names: _Names) -> str:
    """Write a sum some of whose parts grow up to limits."""
    pairs = (tuple(polynomial(terms_of(each), names) for each in pair) for pair in law.limited)
    smaller = (f"min({growing}, {limit})" for growing, limit in pairs)
    return " + ".join((polynomial(terms_of(law.common or law.pieces[0]), names), *smaller))


def _range(piece: Piece, letter: str) -> str:
    match piece.least, piece.most:
        case None, int(most):
            return f"{letter} ≤ {most:,}"
        case int(least), None:
            return f"{letter} ≥ {least:,}"
        case int(least), int(most):
            return f"{letter} = {least:,}" if least == most else f"{least:,} ≤ {letter} ≤ {most:,}"
        case _:
            return f"any {letter}"


def _symbol_table(found: Scaling, steps: Sequence[StepOf], names: _Names) -> Table:
    columns = (
        Column("symbol", "Symbol", "formula"),
        Column("is", "Is", "formula"),
        Column("size", "As run", "count"),
        Column("ran_at", "Run at", priority=5),
    )
    rows = [
        Row((names[each.name], each.name, each.size, _sizes(found, at))) for at, each in enumerate(found.dimensions)
    ]
    sizes = {dimension.name: dimension.size for dimension in found.dimensions}
    for each in steps:
        value = (sizes[each.dimension] + each.offset) // each.divisor
        rows.append(Row((names[each.name], step(each, names[each.dimension]), value, "")))
    return Table("symbols", columns, tuple(rows), "Symbols")


def _sizes(found: Scaling, at: int) -> str:
    return ", ".join(count(size) for size in sorted({sizes[at] for sizes in found.forward.samples}))


def _type_table(laws: Sequence[ScalingLaw], names: _Names) -> Table | None:
    if len(laws) < 2:  # noqa: PLR2004 - one type has the law of the whole
        return None
    columns = (Column("type", "Type"), Column("macs", "MACs", "formula"))
    rows = tuple(Row((str(law.type), polynomial(law.terms, names))) for law in laws)
    return Table("by_type", columns, rows, "MACs by type")


def _fit_facts(fits: Until, names: _Names) -> Facts:
    facts = [Fact("Capacity", fits.capacity_bytes, "bytes")]
    for each in fits.largest:
        what = "a forward" if each.quantity == "peak_forward_bytes" else "a training step"
        largest = f"{names[each.dimension]} = {each.size:,}" if each.size else "none fits"
        facts.append(Fact(f"{each.dimension}, {what}", largest, note=_reason(each)))
    return Facts(tuple(facts), "The largest that fits")


def _reason(each: Largest) -> str:
    held = f"{each.bytes:,} bytes there" if each.bytes is not None else ""
    if each.limited:
        return f"{held}; larger sizes would fit, but do not run"
    after = f"{each.next_bytes:,} at {each.size + 1:,}"
    how = "as runs at both say" if each.verified else f"by the law, not run: {each.why}"
    return ", ".join(filter(None, (held, after, how)))


def _plot(found: Scaling, names: _Names) -> Plot | None:
    """Return memory over the last dimension, the others as the model was run."""
    name, last = found.dimensions[-1].name, len(found.dimensions) - 1
    base, limits = found.base[last], found.sizes(found.axes[last])
    least, most = max(limits.start, base // _FARTHER, 1), min(limits.stop - 1, base * _FARTHER)
    sizes = list(dict.fromkeys(round(least * (most / least) ** (step / _POINTS)) for step in range(_POINTS + 1)))
    lines = []
    for quantity, colour in _COLOURS.items():
        law = found.law(quantity)
        if law is not None:
            points = tuple((float(each), float(law.at((*found.base[:-1], each)))) for each in sizes)
            lines.append(Series(_QUANTITIES[quantity].removesuffix(", bytes"), points, colour, "line"))
    if not lines or len(sizes) <= 1:
        return None
    others = ", ".join(f"{names[each.name]} = {each.size:,}" for each in found.dimensions[:-1])
    title = f"Memory by {name}" + (f", {others}" if others else "")
    return Plot("memory", Axis(name), Axis("memory", "bytes"), tuple(lines), title)


def _edge_facts(edge: Edges) -> Facts:
    none = [each.size for each in edge.sizes if not each.pixels]
    most = max(edge.sizes, key=lambda each: each.pixels)
    facts = [
        Fact(f"{count(each.size)}×{count(each.size)}", each.pixels or "none", "count")
        for each in (edge.sizes[0], most)
        if each is most or each.pixels != most.pixels
    ]
    listed = ", ".join(map(count, none)) or f"none from {edge.sizes[0].size:,} to {edge.sizes[-1].size:,}"
    facts.append(Fact("Sizes that waste none", listed, note=f"{edge.path} moves {edge.jump} pixels at a time"))
    return Facts(tuple(facts), "Rows and columns at the far edges that no window reads")


def _notes(found: Scaling, laws: Sequence[ScalingLaw]) -> Iterator[Note]:
    of_step = [law for law in laws if law.quantity in _OF_STEP]
    common = [_common([law for law in laws if law not in of_step]), _common(of_step)]
    said = [_listed(sizes) for sizes in common if sizes]
    if len(said) > 1 and common[0] != common[1]:
        yield Note(f"Proved at {said[0]}; those of a training step at {said[1]}.")
    elif said:
        yield Note(f"Proved at {said[0]}.")
    for law in laws:
        for each in law.except_at:
            what, sizes = _QUANTITIES[law.quantity].lower(), _listed([each.sizes])
            yield Note(f"Not at {sizes}: {what} is {each.value:,} there, as the model does other things.", "warning")
    yield from _limits(found)


def _common(laws: Sequence[ScalingLaw]) -> list[Mapping[str, int]]:
    """Return the sizes at which all laws were proved that were at any, in rising order."""
    proved = [law.proved_at for law in laws if law.proved_at]
    common = [sizes for sizes in proved[0] if all(sizes in each for each in proved)] if proved else []
    return sorted(common, key=lambda sizes: tuple(sizes.values()))


def _limits(found: Scaling) -> Iterator[Note]:
    """Say between which sizes the model runs, with the reason why it does not beyond."""
    for axis in found.axes:
        limits = found.forward.limits(axis.dimension)
        beyond = [size for size in (limits.stop, limits.start - 1) if 0 < size < LARGEST]
        reasons = [found.forward.refused[found.forward.moved(axis.dimension, size)] for size in beyond]
        if reasons:
            most = f"to {limits.stop - 1:,}" if limits.stop < LARGEST else "on"
            yield Note(f"It runs from {axis.name} {limits.start:,} {most}: beyond, {reasons[0].message}", "warning")
    for untold, error in list(found.forward.untold.items())[:1]:
        yield Note(f"Whether the laws hold at {_listed([found.forward.named(untold)])} is not known: {error.message}")


def _listed(several: Sequence[Mapping[str, int]]) -> str:
    names = ", ".join(several[0]) if several else ""
    return f"{names} {'; '.join(' and '.join(map(count, sizes.values())) for sizes in several)}"
