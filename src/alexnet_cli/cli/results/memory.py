"""The JSON of `alexnet memory`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses.capacity import Fit
from alexnet_cli.analyses.memory import Inference, LayerMemory, Moment, Training
from alexnet_cli.report_json import Envelope


class MemoryResult(Envelope, frozen=True, kw_only=True):
    """`alexnet memory --json`; `run` is that of the forward, `training` null where there is nothing to train."""

    inference: Inference | None
    training: Training | None
    layers: tuple[LayerMemory, ...]
    timeline: tuple[Moment, ...] | UnsetType = UNSET
    fit: Fit | UnsetType = UNSET
