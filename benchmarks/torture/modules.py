"""Generated modules: sums, `meta` against the CPU, JSON against the schema, and every format through a real parser."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from torture import parsers
from torture.judging import ran
from torture.material import Kept
from torture.trying import Tried

TARGET = "from torture.graphs import model as made\n\n\ndef model():\n    return made({seed!r})\n"
FORMATS: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "csv": ("summary {} -f csv", parsers.csv),
    "markdown": ("summary {} -f markdown", parsers.markdown),
    "latex": ("summary {} -f latex", parsers.latex),
    "html": ("summary {} -f html", parsers.html),
    "svg": ("summary {} -f svg", parsers.svg),
    "draw svg": ("draw {} -f svg --style graph", parsers.svg),
    "blocks": ("draw {} -f svg --style blocks", parsers.svg),
    "dot": ("draw {} -f dot", parsers.dot),
    "mermaid": ("draw {} -f mermaid", parsers.mermaid),
    "model-explorer": ("draw {} -f model-explorer", parsers.json_text),
    "page": ("report {} -o page.html", parsers.html),
    "cost": ("cost {} -f html", parsers.html),
    "table": ("summary {}", parsers.terminal),
}
"""The command line of each format, asked about a saved report, and what parses it."""


@dataclass
class Modules:
    """Generates one module after the other and asks about it in one process."""

    folder: Path
    kept: Kept = field(init=False)
    validator: Any = field(init=False)

    def __post_init__(self) -> None:
        """Read the schema once."""
        import jsonschema

        from alexnet_cli.cli.schema import json_schema

        self.kept = Kept(self.folder)
        self.validator = jsonschema.Draft202012Validator(json_schema("summary"))

    def try_one(self, number: int, chance: Random) -> Tried:
        """Generate a module and ask about it."""
        from torture.graphs import build

        seed = f"{chance.random()}"
        (self.folder / "made.py").write_text(TARGET.format(seed=seed), encoding="utf-8")
        graph, start = build(seed)
        found = next(self._defects(graph, start.option, start.shape[0], number), None)
        self.kept.put_back()
        what = f"seed {seed}, {len(graph.steps)} steps, -i {start.option} -b {start.shape[0]}"
        return Tried("defect" if found else "holds", found, what, "module")

    def _defects(self, graph: Any, size: str, batch: int, number: int) -> Iterator[str]:
        asked = ["made.py:model", "-i", size, "-b", str(batch), "--no-cache"]
        done = ran(["summary", *asked, "--json", "-o", "made.json"])
        if done.defect or done.code:
            yield f"meta: exit {done.code}: {done.defect or done.err[-800:]}"
            return
        made = json.loads(Path("made.json").read_bytes())
        yield from (f"schema: {error.message[:300]}" for error in self.validator.iter_errors(made))
        yield from _sums(made, graph)
        other = ran(["summary", *asked, "--json", "--device", "cpu"])
        if other.defect or other.code:
            yield f"cpu: exit {other.code}: {other.defect or other.err[-800:]}"
            return
        yield from _other(made, json.loads(other.out))
        for name, (line, parse) in FORMATS.items():
            if name in parsers.SLOW and number % parsers.SLOW[name]:
                continue
            shown = ran(line.format("made.json").split())
            if name == "blocks" and shown.code == 2:
                continue
            if shown.defect or shown.code:
                yield f"{name}: exit {shown.code}: {shown.defect or shown.err[-800:]}"
                continue
            page = Path("page.html")
            text = page.read_text(encoding="utf-8") if page.exists() and name == "page" else shown.out.decode()
            wrong = parse(text)
            if wrong:
                yield f"{name}: {wrong}"


def _sums(made: dict[str, Any], graph: Any) -> Iterator[str]:
    """Hold rows against totals, and totals against torch."""
    totals, rows = made["totals"], made["layers"]
    params = sum(row["params"] for row in rows) + sum(each["params"] for each in totals["unused_modules"])
    if params != totals["params"]:
        yield f"rows have {params} parameters, the total {totals['params']}"
    real = sum(each.numel() for each in graph.parameters())
    if real != totals["params"]:
        yield f"torch has {real} parameters, the total {totals['params']}"
    macs = sum(row["macs"] or 0 for row in rows)
    if macs != totals["macs"]:
        yield f"rows have {macs} MACs, the total {totals['macs']}"
    if totals["flops"] != 2 * totals["macs"]:
        yield f"{totals['flops']} FLOPs for {totals['macs']} MACs"


def _other(meta: dict[str, Any], cpu: dict[str, Any]) -> Iterator[str]:
    """Hold `meta` against the CPU: totals and rows, but for what fused operators hide."""
    if meta["totals"] != cpu["totals"]:
        differ = [key for key in meta["totals"] if meta["totals"][key] != cpu["totals"][key]]
        yield f"totals differ in {[(key, meta['totals'][key], cpu['totals'][key]) for key in differ]}"[:1200]
    keys = (
        "path",
        "type",
        "family",
        "depth",
        "call",
        "input_shapes",
        "output_shapes",
        "params_total",
        "macs",
        "output_bytes",
    )
    ours, theirs = ([{key: row[key] for key in keys} for row in each["layers"]] for each in (meta, cpu))
    if ours != theirs:
        first = next(((a, b) for a, b in zip(ours, theirs, strict=False) if a != b), (len(ours), len(theirs)))
        yield f"rows differ: {first}"[:1200]


os.environ.setdefault("COLUMNS", "100")
