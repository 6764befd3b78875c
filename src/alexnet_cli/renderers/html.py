"""Documents as a self-contained HTML page: no script, nothing loaded, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from html import escape

from alexnet_cli import units
from alexnet_cli.document import Bars, Block, Column, Document, Facts, Note, Plot, Row, Table, Value
from alexnet_cli.graphics.code import coloured
from alexnet_cli.graphics.palette import BY_VARIABLES
from alexnet_cli.graphics.plot_marks import in_page
from alexnet_cli.graphics.plot_svg import described, draw, rules
from alexnet_cli.graphics.svg import inline
from alexnet_cli.graphics.text import Style, clean
from alexnet_cli.renderers.tables import NUMERIC, bars_table, caption_of, plot_blocks, rows_of

_CSS = """\
:root { color-scheme: light dark; --ink: #1f2328; --faint: #59636e; --rule: #d1d9e0; --bar: #1f83c9; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --faint: #9198a1; --rule: #3d444d; --bar: #1f83c9; --page: #0d1117; }
}
body { margin: 2rem auto; padding: 0 1rem; max-width: 72rem; color: var(--ink); background: var(--page);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; }
.subtitle, .note, dt { color: var(--faint); }
.scroll { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .15rem .75rem; text-align: left; font-weight: normal; white-space: pre; }
thead th { font-weight: 600; border-bottom: 1px solid var(--rule); }
tbody th { padding-left: calc(.75rem + 1.5rem * var(--level, 0)); }
.number { text-align: right; }
.bar { padding-left: 6.5rem; background: no-repeat .75rem center / 5rem 60%
  linear-gradient(to right, var(--bar) var(--share), transparent 0); }
.group th { font-weight: 600; }
.group td { color: var(--faint); }
.failed th, .failed td, .error { color: #d8413c; }
.warning { color: #a97c00; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.5rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }"""
_PLOT_CSS = f"""
figure.plot {{ margin: 1.5rem 0; }}
.plot figcaption {{ font-weight: 600; padding-bottom: .4rem; }}
.plot svg {{ display: block; max-width: 100%; height: auto; font-variant-numeric: tabular-nums; }}
.plot summary {{ color: var(--faint); }}
{rules(".plot", BY_VARIABLES)}"""
_PLOT_WIDTH = 800


def render(document: Document, style: Style) -> str:
    """Write a document as a page with plain tables."""
    title = _escaped(document.title, style)
    subtitle = f'<p class="subtitle">{_escaped(document.subtitle, style)}</p>\n' if document.subtitle else ""
    body = "\n".join(line for block in document.blocks for line in _block(block, style))
    css = _CSS + (_PLOT_CSS if any(isinstance(block, Plot) for block in document.blocks) else "")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{css}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n{subtitle}"
        f"{body}\n</body>\n</html>\n"
    )


def _block(block: Block, style: Style) -> Iterator[str]:
    match block:
        case Table():
            yield from _table(block, style)
        case Bars():
            yield from _table(bars_table(block), style)
        case Facts():
            yield from _facts(block, style)
        case Plot():
            yield from _plot(block, style)
        case Note():
            tone = "" if block.tone == "info" else f"<strong>{block.tone.capitalize()}:</strong> "
            yield f'<p class="{block.tone}">{tone}{_escaped(block.text, style)}</p>'


def _table(table: Table, style: Style) -> Iterator[str]:
    yield '<div class="scroll"><table>'
    yield f"<caption>{_escaped(caption_of(table), style)}</caption>"
    heads = (f'<th scope="col"{_attribute(column)}>{_escaped(column.title, style)}</th>' for column in table.columns)
    yield f"<thead><tr>{''.join(heads)}</tr></thead>"
    yield "<tbody>"
    sources = {at: _sources(table, at, style) for at, column in enumerate(table.columns) if column.unit == "code"}
    for number, (row, texts) in enumerate(rows_of(table, partial(_escaped, style=style))):
        for at, written in sources.items():
            texts[at] = written[number]
        cells = zip(texts, row.cells, table.columns, strict=True)
        drawn = (_cell(*cell, row=row if place == 0 else None) for place, cell in enumerate(cells))
        yield f'<tr class="{row.role}">{"".join(drawn)}</tr>'
    yield "</tbody>"
    yield "</table></div>"


def _sources(table: Table, at: int, style: Style) -> list[str]:
    """Write a column of source, with its colours."""
    lines = coloured([clean(str(row.cells[at]), style) for row in table.rows])
    pieces = (
        [f'<span style="color:{hue}">{escape(text)}</span>' if hue else escape(text) for text, hue in spans]
        for spans in lines
    )
    return [f"<code>{''.join(line)}</code>" for line in pieces]


def _cell(text: str, value: Value, column: Column, row: Row | None) -> str:
    """Write a cell, the first one of its row as its heading."""
    if row is not None:
        level = f' style="--level:{row.level}"' if column.tree and row.level else ""
        return f'<th scope="row"{level}{_attribute(column)}>{text}</th>'
    if column.bar and isinstance(value, (int, float)):
        return f'<td class="number bar" style="--share:{min(max(value, 0), 1):.1%}">{text}</td>'
    return f"<td{_attribute(column)}>{text}</td>"


def _attribute(column: Column) -> str:
    return ' class="number"' if column.unit in NUMERIC else ""


def _facts(facts: Facts, style: Style) -> Iterator[str]:
    if facts.title:
        yield f"<h2>{_escaped(facts.title, style)}</h2>"
    yield "<dl>"
    for fact in facts.facts:
        value = _escaped(units.text(fact.value, fact.unit), style)
        note = f' <span class="note">({_escaped(fact.note, style)})</span>' if fact.note else ""
        yield f"<dt>{_escaped(fact.label, style)}</dt><dd>{value}{note}</dd>"
    yield "</dl>"


def _plot(plot: Plot, style: Style) -> Iterator[str]:
    """Draw a plot, with a data table to unfold."""
    yield '<figure class="plot">'
    if plot.title:
        yield f"<figcaption>{_escaped(plot.title, style)}</figcaption>"
    yield inline(draw(plot, _PLOT_WIDTH, style, measure=in_page), described(plot, style))
    yield "<details><summary>Data table</summary>"
    for block in plot_blocks(plot, None):
        yield from _block(block, style)
    yield "</details>"
    yield "</figure>"


def _escaped(text: str, style: Style) -> str:
    return escape(clean(text, style))
