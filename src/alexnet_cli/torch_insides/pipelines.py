"""Pipelines of stages: what torch's schedules do, in which order, and what their stages receive into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any


def runs_pipelines() -> bool:
    """Tell whether torch's pipeline stages run over gloo and on shapes alone: they do since torch 2.13.

    Those of torch 2.9 hold the last stage's result against what earlier stages send, and greet each other in messages
    of four bytes where eight are expected, which gloo refuses.
    """
    return hasattr(import_module("torch.distributed.pipelining._utils"), "InferenceMode")


def pipeline_stages_know_shapes(schedule: Any, stages: Iterable[Any]) -> None:
    """Let a pipeline schedule take the shapes that its stages were given, as stages that ask each other would find.

    They vote on that, which takes values.
    """
    modes: Any = getattr(import_module("torch.distributed.pipelining._utils"), "InferenceMode", None)
    if modes is None or not hasattr(schedule, "_warmup_p2p"):
        return

    def settled(*_: Any, **__: Any) -> None:
        for stage in stages:
            stage._inference_mode = modes.STATIC

    schedule._warmup_p2p = settled


def prepare_pipeline_stages(schedule: Any, stages: Iterable[Any]) -> None:
    """Let a schedule make what its stages receive into, as its first step would: without its function the step does."""
    prepare = getattr(schedule, "_initialize_stages", None) or getattr(schedule, "_initialize_stage", None)
    if prepare is None:
        return
    for stage in stages:
        stage.has_backward = schedule._has_backward
    prepare((), {})  # the inputs are those that the stages were given


Action = tuple[str, int, int]
"""What a rank of a pipeline does: the kind, the part of the model, and the micro-batch, -1 where it is for all."""


def interleaved_actions(ranks: int, parts: int, micro_batches: int) -> list[list[Action]]:
    """Return what torch's interleaved schedule does on each rank, in order.

    Raises:
        ValueError: it refuses this number of micro-batches.
    """
    pipelining = import_module("torch.distributed.pipelining")
    looks = {"num_stages": ranks * parts, "group_size": ranks, "group_rank": 0, "has_backward": True}
    stages = [
        SimpleNamespace(**looks, stage_index=part * ranks, is_first=False, is_last=False) for part in range(parts)
    ]
    schedule: Any = pipelining.ScheduleInterleaved1F1B(stages, micro_batches, loss_fn=len)
    order = schedule.pipeline_order_with_comms
    return [[_as_action(each, ranks) for each in order[rank]] for rank in range(ranks)]


def _as_action(action: Any, ranks: int) -> Action:
    number = action.microbatch_index
    return action.computation_type.name, action.stage_index // ranks, -1 if number is None else number


class _Told(list[Any]):
    """Actions of a rank; who goes through them is followed."""

    def __init__(self, actions: Iterable[Any], tell: Callable[[int], None]) -> None:
        super().__init__(actions)
        self.tell = tell

    def __iter__(self) -> Iterator[Any]:
        for at, action in enumerate(super().__iter__()):
            self.tell(at)
            yield action


def actions_told(schedule: Any, tell: Callable[[int], None]) -> None:
    """Let an interleaved schedule tell which of its rank's actions it begins, by position."""
    order = schedule.pipeline_order_with_comms
    order[schedule.rank] = _Told(order[schedule.rank], tell)
