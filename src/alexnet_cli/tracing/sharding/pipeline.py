"""One rank of a pipeline: its stages run by torch's own schedule, with all micro-batches of a step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe, ScheduleInterleaved1F1B

from alexnet_cli.errors import UsageError, told
from alexnet_cli.rank import Layout
from alexnet_cli.tape import Phase
from alexnet_cli.torch_insides import actions_told, pipeline_stages_know_shapes, prepare_pipeline_stages
from alexnet_cli.tracing.recording.losses import loss_of
from alexnet_cli.tracing.recording.runs import Step
from alexnet_cli.tracing.sharding.chain import Looks
from alexnet_cli.tracing.sharding.interleaved import turns_of
from alexnet_cli.tracing.sharding.recording import RankRecorder
from alexnet_cli.tracing.sharding.step import begin_step, end_step

_SINGLE = {"gpipe": ScheduleGPipe, "1f1b": Schedule1F1B}


class _Stage(PipelineStage):
    """A stage that tells a recorder which phase runs, and which tensors are activations and which are gradients.

    The schedule has `told` the phase if it lists what it does.
    """

    recorder: RankRecorder | None = None
    told = False

    def forward_one_chunk(self, fwd_chunk_id: int, *args: Any, **kwargs: Any) -> Any:
        if self.recorder is None:
            return super().forward_one_chunk(fwd_chunk_id, *args, **kwargs)
        self._begin("forward", fwd_chunk_id)
        with saved_tensors_hooks(self.recorder.rank_tape.saved, lambda tensor: tensor):
            return super().forward_one_chunk(fwd_chunk_id, *args, **kwargs)

    def backward_one_chunk(self, bwd_chunk_id: int, *args: Any, **kwargs: Any) -> Any:
        if self.has_backward:  # torch's schedules call this in a forward alone, too
            self._begin("backward", bwd_chunk_id)
        return super().backward_one_chunk(bwd_chunk_id, *args, **kwargs)

    def _begin(self, phase: Phase, micro_batch: int) -> None:
        if self.recorder is not None and not self.told:
            self.recorder.rank_tape.begin_pass(phase, micro_batch)

    def get_fwd_recv_ops(self, fwd_chunk_id: int) -> Any:
        return self._passing(super().get_fwd_recv_ops(fwd_chunk_id), "forward")

    def get_fwd_send_ops(self, fwd_chunk_id: int) -> Any:
        return self._passing(super().get_fwd_send_ops(fwd_chunk_id), "forward")

    def get_bwd_recv_ops(self, bwd_chunk_id: int) -> Any:
        return self._passing(super().get_bwd_recv_ops(bwd_chunk_id), "backward")

    def get_bwd_send_ops(self, bwd_chunk_id: int) -> Any:
        return self._passing(super().get_bwd_send_ops(bwd_chunk_id), "backward")

    def _passing(self, ops: Any, phase: Phase) -> Any:
        if self.recorder is not None:
            self.recorder.rank_tape.passes([op.tensor for op in ops], phase)
        return ops

    def buffers_to_receive(self) -> list[Tensor]:
        """Return the tensors that the stage receives into, which torch makes for all micro-batches at once."""
        infos = [each for known in (self.args_recv_info, self.grad_recv_info) for each in known.values()]
        found = (getattr(info, "buffer", None) for each in infos for info in each)
        return [buffer for buffer in found if isinstance(buffer, Tensor)]


@dataclass
class Part:
    """A part of the model that this rank runs, what it receives (None: the inputs) and what it sends on."""

    model: nn.Module
    receives: Looks | None
    sends: Looks


@dataclass
class PipelineRun:
    """One rank's training step: its parts of the model, first to last, with the inputs of the whole batch.

    Without `trained` it is a forward.
    """

    parts: Sequence[Part]
    whole: nn.Module
    step: Step
    trained: bool
    layout: Layout
    stage: int
    group: dist.ProcessGroup
    batch: int

    def record(self, new_recorder: Callable[[], RankRecorder], short: PipelineRun) -> RankRecorder:
        """Run a short first step and then one with the recorder watching, which is returned.

        Raises:
            UsageError: torch's schedule refuses this number of micro-batches.
        """
        optimizer = self.step.optimizer() if self.trained else None
        short.settle(new_recorder(), optimizer)
        schedule, stages = self._scheduled()
        prepare_pipeline_stages(schedule, stages)
        recorder = new_recorder()
        given = self.step.forward.given if self.stage == 0 else []
        begin_step(recorder.rank_tape, given, self.whole, optimizer)
        recorder.rank_tape.receives_into([buffer for stage in stages for buffer in stage.buffers_to_receive()])
        with recorder.recording():
            self._run(schedule, stages, optimizer, recorder)
        return recorder

    def settle(self, recorder: RankRecorder, optimizer: torch.optim.Optimizer | None) -> None:
        """Run a step unseen: FSDP learns in which order its units are used, and the optimiser makes its state."""
        schedule, stages = self._scheduled()
        with recorder.settling():
            self._run(schedule, stages, optimizer, recorder)

    def _stage(self, at: int, part: Part) -> _Stage:
        share = self.batch // self.layout.micro_batches
        given = [each[:share] for each in self.step.forward.given]
        received = given if part.receives is None else [_empty(part.receives)]
        count = self.layout.pp * self.layout.chunks
        number = at * self.layout.pp + self.stage
        return _Stage(
            part.model,
            number,
            count,
            torch.device("cpu"),
            input_args=tuple(received),
            output_args=(_empty(part.sends),),
            group=self.group,
        )

    def _scheduled(self) -> tuple[Any, list[_Stage]]:
        """Return torch's schedule, and this rank's stages in it."""
        stages = [self._stage(at, part) for at, part in enumerate(self.parts)]
        interleaved = self.layout.schedule == "interleaved"
        try:
            if interleaved:
                schedule: Any = ScheduleInterleaved1F1B(list(stages), self.layout.micro_batches, loss_fn=_loss)
            else:
                loss = _loss if self.trained else None
                schedule = _SINGLE[self.layout.schedule](stages[0], self.layout.micro_batches, loss_fn=loss)
        except ValueError as error:
            raise UsageError(
                f"torch's schedule refuses {self.layout.micro_batches} micro-batches: {told(error)}"
            ) from error
        pipeline_stages_know_shapes(schedule, stages)
        if interleaved:
            turns = turns_of(self.layout, self.stage)

            def begin(at: int) -> None:
                recorder, turn = stages[0].recorder, turns[at]
                if recorder is not None:
                    recorder.rank_tape.begin_pass(turn.phase, turn.micro_batch, turn.sort)

            actions_told(schedule, begin)
        return schedule, stages

    def _run(
        self, schedule: Any, stages: list[_Stage], optimizer: torch.optim.Optimizer | None, recorder: RankRecorder
    ) -> None:
        for stage in stages:
            stage.recorder, stage.told = recorder, self.layout.schedule == "interleaved"
        forward = self.step.forward
        args, kwargs = (forward.args, forward.kwargs) if self.stage == 0 else ([], {})
        last = self.stage == self.layout.pp - 1
        quiet = {"return_outputs": False} if "return_outputs" in inspect.signature(schedule.step).parameters else {}
        target = {"target": torch.zeros(1).expand(self.layout.micro_batches)} if last and self.trained else {}
        with self.step.mixed(recorder.device), torch.set_grad_enabled(self.trained):
            schedule.step(*args, **kwargs, **target, **quiet)
        if self.trained:
            end_step(recorder.rank_tape, self.whole, optimizer)


def _empty(looks: Looks) -> Tensor:
    shape, dtype = looks
    return torch.empty(shape, dtype=dtype, requires_grad=True)


def _loss(output: object, target: Tensor) -> Tensor:
    del target
    return loss_of(output)


def micro_batches_of(layout: Layout, batch: int | None) -> int:
    """Return the samples of a micro-batch.

    Raises:
        UsageError: the batch does not divide into as many.
    """
    if batch is None or batch % layout.micro_batches:
        said = "no batch is known" if batch is None else f"a batch of {batch}"
        raise UsageError(
            f"{said} does not make {layout.micro_batches} micro-batches",
            f"give one with -b that divides by {layout.micro_batches}, or --micro-batches",
        )
    return batch // layout.micro_batches
