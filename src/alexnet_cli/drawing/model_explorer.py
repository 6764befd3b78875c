"""The data flow for Model Explorer: its graph JSON, and numbers by node that it colours the graph with.

The format is that of `graph_builder.py` and `node_data_builder.py` in the package `ai-edge-model-explorer`:
https://github.com/google-ai-edge/model-explorer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any

from alexnet_cli import units
from alexnet_cli.analyses.columns import COLUMNS, Joined
from alexnet_cli.analyses.dataflow import dataflow
from alexnet_cli.analyses.flow import FlowNode
from alexnet_cli.report import Layer, Report

NUMBERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "macs": ("MACs", ("macs",)),
    "bytes": ("Bytes moved", ("bytes_read", "bytes_written")),
    "saved": ("Bytes saved for backward", ("saved_bytes",)),
}
"""What is known about each node: a title, and the columns that are added up. `saved` needs a training step."""
_COLORS = ("#ffffff", "#e8710a")


class Explored:
    """A report and, where one was traced, a training step, as Model Explorer reads them.

    Nodes are the leaves of the module tree, functions included, and the model's inputs and outputs.
    """

    def __init__(self, report: Report, step: Report | None = None) -> None:
        self._report, self._joined = report, Joined(report, step)
        self._flow = dataflow(report)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The path of each node's row, numbered where several have it; an inserted layer changes no other name."""
        names: dict[str, None] = {}
        for node in self._flow.nodes:
            row = self._row(node)
            name = row.path if row is not None else f"({node.kind})"
            free = (f"{name}#{number}" for number in count(1))
            names[name if name not in names else next(each for each in free if each not in names)] = None
        return tuple(names)

    def _row(self, node: FlowNode) -> Layer | None:
        return self._report.layers[node.rows[0]] if node.kind == "row" else None

    def graph(self) -> dict[str, Any]:
        """Return a collection of one graph, which Model Explorer opens as a `.json` file."""
        name, nodes = self._report.model.class_name, self._flow.nodes
        graph = {
            "id": name,
            "nodes": [self._node(*each) for each in zip(self._names, nodes, self._flow.predecessors(), strict=True)],
            "groupNodeAttributes": self._groups(),
        }
        return {"label": self._report.model.target, "graphs": [graph]}

    def node_data(self) -> dict[str, dict[str, Any]]:
        """Return, by the names of `NUMBERS`, what Model Explorer opens as node data, without what is not known."""
        made = {}
        for key, (title, columns) in NUMBERS.items():
            values = {
                name: self._number(node, columns) for name, node in zip(self._names, self._flow.nodes, strict=True)
            }
            results = {name: {"value": value} for name, value in values.items() if value is not None}
            if results:
                gradient = [{"stop": stop, "bgColor": color} for stop, color in enumerate(_COLORS)]
                data = {"name": title, "results": results, "gradient": gradient}
                made[key] = {self._report.model.class_name: data}
        return made

    def _number(self, node: FlowNode, columns: tuple[str, ...]) -> int | None:
        """Add up over the rows that a node stands for; None for inputs and outputs, and for what is not known."""
        if node.kind != "row" or (self._report.tape is None and columns != ("macs",)):
            return None
        found = [COLUMNS[column].value(self._joined, node.every_row) for column in columns]
        numbers = [number for number in found if isinstance(number, int)]
        return sum(numbers) if len(numbers) == len(columns) else None

    def _node(self, name: str, node: FlowNode, sources: Sequence[int]) -> dict[str, Any]:
        row = self._row(node)
        edges = [
            {"sourceNodeId": self._names[source], "sourceNodeOutputId": "0", "targetNodeInputId": str(place)}
            for place, source in enumerate(sources)
        ]
        outputs = [
            {"id": str(place), "attrs": [{"key": "tensor_shape", "value": units.shape(shape)}]}
            for place, shape in enumerate(node.shapes)
        ]
        return {
            "id": name,
            "label": row.type if row is not None else node.name or node.kind,
            "namespace": _group(row.path.rpartition(".")[0]) if row is not None else "",
            "attrs": [{"key": key, "value": value} for key, value in self._attributes(node, row)],
            "incomingEdges": edges,
            "outputsMetadata": outputs,
        }

    def _attributes(self, node: FlowNode, row: Layer | None) -> Iterator[tuple[str, str]]:
        if row is None:
            return
        yield "path", row.path
        yield "parameters", units.count(sum(each.params for each in self._joined.layers(node.every_row)))
        for title, columns in NUMBERS.values():
            number = self._number(node, columns)
            if number is not None:
                yield title, units.count(number)
        yield from ((key, str(value)) for key, value in row.settings.items())

    def _groups(self) -> dict[str, dict[str, str]]:
        """Return what is told about each module that contains others, and, as the empty name, about the model."""
        return {
            _group(row.path): {
                "type": row.type,
                "parameters": units.count(row.params_total),
                **({} if row.macs_total is None else {"MACs": units.count(row.macs_total)}),
            }
            for row in self._report.layers
            if row.kind == "module" and not row.leaf
        }


def _group(path: str) -> str:
    """Return a module's place as Model Explorer writes it; a slash inside a name would be a level of its own."""
    return path.replace("/", "∕").replace(".", "/")
