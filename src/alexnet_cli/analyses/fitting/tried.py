"""What was tried to make a training step fit, and which of it is best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from msgspec import Struct

from alexnet_cli.analyses.fitting.work import StepWork

_SameTraining = Literal["checkpoint", "micro_batches", "in_place", "chunked_loss", "paged", "foreach", "amp"]
Kind = Literal[_SameTraining, "optimizer", "lora", "qlora", "freeze", "batch"]
KINDS: dict[str, Kind] = {kind.replace("_", "-"): kind for kind in get_args(Kind)}
"""The kinds of changes by the names that they have on the command line."""


def has_8_bits(optimizer: str) -> bool:
    """Tell whether an optimiser keeps its state in 8 bits."""
    return optimizer.endswith("-8bit")


def is_paged(optimizer: str) -> bool:
    """Tell whether an optimiser keeps its state in memory that the driver moves between the host and the GPU."""
    return optimizer.endswith("-paged")


def updates_singly(optimizer: str) -> bool:
    """Tell whether an optimiser always updates parameters one by one."""
    return has_8_bits(optimizer) or is_paged(optimizer)


TRAINS_LESS, TRAINS_BESIDE_ROUNDED, SMALLER = 3, 4, 5
"""How much the training's result changes if fewer parameters are trained, if they also stand beside weights in 4 bits,
and if a step sees fewer samples."""


class Changed(Struct, frozen=True):
    """How a step is run: what `TrainingStep` says of it, as plain values. `checkpoint` has the paths of each block.

    `adapted` are the linear layers with adapters of rank `lora_rank`, None without, whose weights are in NF4 with
    `four_bits`. `trained` are the modules that are trained if others are frozen. The activations `in_place` write over
    what they are given; `chunked` is the layer whose scores are made in the loss, some positions at a time.
    """

    batch_size: int | None
    optimizer: str
    amp: str | None
    foreach: bool
    micro_batches: int
    checkpoint: tuple[tuple[str, ...], ...]
    lora_rank: int | None = None
    adapted: tuple[str, ...] = ()
    four_bits: bool = False
    trained: tuple[str, ...] = ()
    loss: str = "sum"
    in_place: tuple[str, ...] = ()
    chunked: str | None = None


class Tried(Struct, frozen=True):
    """A step that was traced with some changes.

    `saves_bytes` is what its peak is below that of the step as asked; `slowdown` its least time divided by that step's,
    without hardware its FLOPs by that step's; of a smaller batch for as many samples. `same_result` tells whether the
    training's result stays the same but for rounding. `blocks` is how many blocks could be run again.
    """

    change: str
    kinds: tuple[Kind, ...]
    same_result: bool
    peak_bytes: int
    saves_bytes: int
    over_bytes: int
    fits: bool
    seconds_floor: float | None
    flops: int
    bytes_moved: int
    slowdown: float
    blocks: int
    step: Changed

    @property
    def change_of_result(self) -> int:
        """How much the training's result changes: 0 not at all, 1 by rounding or statistics, 2 by other updates.

        `TRAINS_LESS` if fewer parameters are trained, `TRAINS_BESIDE_ROUNDED` if by QLoRA, `SMALLER` if a step sees
        fewer samples than was asked for.
        """
        if self.same_result:
            return 0
        if "batch" in self.kinds:
            return SMALLER
        if self.step.adapted or self.step.trained:
            return TRAINS_BESIDE_ROUNDED if self.step.four_bits else TRAINS_LESS
        return 2 if "optimizer" in self.kinds and not has_8_bits(self.step.optimizer) else 1

    @property
    def order(self) -> tuple[int, tuple[float, ...], int]:
        """What those that fit are ranked by: first the training's result, then the time, then the memory."""
        work = StepWork(self.flops, self.bytes_moved, self.seconds_floor)
        return self.change_of_result, work.order, self.peak_bytes


def best_of(tried: Sequence[Tried]) -> Tried | None:
    """Return the best of those that fit, None if none does."""
    return min((each for each in tried if each.fits), key=lambda each: each.order, default=None)


def ranked(tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """Return those that fit, the best first, then the others, the least peak first."""
    fitting = sorted((each for each in tried if each.fits), key=lambda each: each.order)
    return (*fitting, *sorted((each for each in tried if not each.fits), key=lambda each: each.peak_bytes))
