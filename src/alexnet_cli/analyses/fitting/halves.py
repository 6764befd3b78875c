"""The two halves of a training step: what leads to the gradients, and the optimiser's update.

What an optimiser holds and what its update takes do not depend on how the gradients came about: on checkpoints,
micro-batches, or the dtype of the forward. So each half is traced once, and steps are put together of both.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.fitting.work import StepWork, gradient_work, update_work
from alexnet_cli.analyses.memory import live_bytes, tape_of
from alexnet_cli.report import Report
from alexnet_cli.tape import Storage, Tape


class Gradients(Struct, frozen=True):
    """A step without its update: its peak, and what is live at its end, in bytes; none of it is the optimiser's.

    `fixed_bytes` is what is live at the end however the step is run: weights, buffers and gradients.
    """

    peak_bytes: int
    end_bytes: int
    fixed_bytes: int
    work: StepWork


class Update(Struct, frozen=True):
    """An optimiser's update: the bytes that it holds during the whole step, and what it takes beyond that."""

    held_bytes: int
    extra_bytes: int
    work: StepWork

    def bytes_after(self, gradients: Gradients) -> int:
        """Return the peak of the update after these gradients, what the optimiser holds included."""
        return gradients.end_bytes + self.held_bytes + self.extra_bytes

    def peak_with(self, gradients: Gradients) -> int:
        """Return the peak of a whole step."""
        return max(gradients.peak_bytes + self.held_bytes, self.bytes_after(gradients))


def before_update(report: Report) -> Report:
    """Return a traced step without its update, and without what that holds and takes; numbers of storages stay."""
    tape = tape_of(report)
    ends = _end(tape)
    held = set(_held_for_update(tape, ends))

    def left(at: int, storage: Storage) -> Storage:
        if at in held or storage.born >= ends:
            return Storage(0, storage.role)
        return storage if storage.died is None or storage.died <= ends else replace(storage, died=None)

    storages = tuple(left(at, storage) for at, storage in enumerate(tape.storages))
    return replace(report, tape=replace(tape, operations=tape.operations[:ends], storages=storages))


def split(report: Report, roof: Roof | None, micro_batches: int = 1) -> tuple[Gradients, Update]:
    """Return the halves of a traced step; that of one without an optimiser holds and takes nothing."""
    tape = tape_of(report)
    whole = len(tape.operations)
    ends = _end(tape)
    held = sum(tape.storages[at].bytes for at in _held_for_update(tape, ends))
    live = live_bytes(tape.storages, whole)
    # What is freed after the last operation before the update is live in no moment of it.
    born = sum(storage.bytes for storage in tape.storages if storage.born == ends)
    end = live[ends + 1] - born - held
    fixed = sum(storage.bytes for storage in tape.storages if storage.role in ("parameter", "buffer", "gradient"))
    gradients = Gradients(max(live[: ends + 1]) - held, end, fixed, gradient_work(report, roof, micro_batches))
    extra = max(live[ends + 1 : whole + 1], default=end + held) - end - held
    return gradients, Update(held, max(extra, 0), update_work(report, roof))


def _end(tape: Tape) -> int:
    """Return where the update begins."""
    return next((at for at, done in enumerate(tape.operations) if done.phase == "optimizer"), len(tape.operations))


def _held_for_update(tape: Tape, ends: int) -> list[int]:
    """Return the storages that are there from the start and that nothing reads before the update, from `ends` on.

    Those are the optimiser's state, and numbers that its update makes tensors of without an operator.
    """
    before = {tape.values[value].storage for done in tape.operations[:ends] for value in done.reads}
    during = {tape.values[value].storage for done in tape.operations[ends:] for value in done.reads}
    return [
        at
        for at, storage in enumerate(tape.storages)
        if storage.born < 0
        and (storage.role == "optimizer" or (storage.role == "activation" and at in during and at not in before))
    ]
