"""`draw -f model-explorer`: the data flow for Model Explorer."""

from __future__ import annotations

import msgspec

from alexnet_cli.answers.answer import Outcome, failures_of
from alexnet_cli.drawing.model_explorer import Explored
from alexnet_cli.errors import UsageError
from alexnet_cli.session.how import TrainingStep
from alexnet_cli.session.session import Session

MODEL_EXPLORER = "model-explorer"


class ModelExplorerFiles(Outcome, frozen=True):
    """The graph's JSON, and by name the JSON of each kind of node data."""

    graph: bytes
    node_data: dict[str, bytes]


def for_model_explorer(session: Session) -> ModelExplorerFiles:
    """Write the data flow between the layers as Model Explorer reads it, with MACs, bytes moved and bytes saved.

    Raises:
        UsageError: the target was not run, as a checkpoint.
        AlexnetError: the model cannot be loaded or run.
    """
    report = session.report()
    if report.run is None:
        raise UsageError("a checkpoint has no data flow to draw", "give the model")
    explored = Explored(report, session.training(TrainingStep("none")))
    data = {name: _json(each) for name, each in explored.node_data().items()}
    return ModelExplorerFiles(_json(explored.graph()), data, failures=failures_of(report))


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"
