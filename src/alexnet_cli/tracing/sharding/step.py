"""A rank's forward or training step, as it is once the engines have settled: after a first one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from alexnet_cli.torch_insides import DisableTorchFunction, local_tensor, own_buffers, own_parameters
from alexnet_cli.tracing.recording.losses import loss_of
from alexnet_cli.tracing.recording.runs import Step, held, update
from alexnet_cli.tracing.recording.tensors import tensors_in
from alexnet_cli.tracing.sharding.recording import RankRecorder, RankTape
from alexnet_cli.tracing.sharding.replicas import Arrivals


@dataclass
class RankStep:
    """One rank's step: that of `model`, which holds the parameters; without `trained` it is a forward.

    `replicated` wraps it in DDP once it is known in which order gradients arrive. The first step is run unseen: in it
    FSDP learns in which order its units are used, and the optimiser makes its state.
    """

    model: nn.Module
    step: Step
    trained: bool
    replicated: Callable[[Arrivals], nn.Module] | None = None

    def record(self, new_recorder: Callable[[], RankRecorder]) -> RankRecorder:
        """Run a first step and then one with the recorder watching, which is returned.

        Raises:
            NothingToTrainError: no output depends on a parameter that is trained.
        """
        first = new_recorder()
        arrivals = None if self.replicated is None else Arrivals(self.model.parameters())
        optimizer = self.step.optimizer() if self.trained else None
        with first.settling():
            self._run(first, optimizer)
        if self.replicated is not None and arrivals is not None:
            self.step.forward.model = self.replicated(arrivals)
        recorder = new_recorder()
        begin_step(recorder.rank_tape, self.step.forward.given, self.model, optimizer)
        with recorder.recording():
            self._run(recorder, optimizer)
        return recorder

    def _run(self, recorder: RankRecorder, optimizer: torch.optim.Optimizer | None) -> None:
        tape = recorder.rank_tape
        if not self.trained:
            with torch.no_grad():
                tape.end_forward(self.step.forward())
            return
        with saved_tensors_hooks(tape.saved, lambda tensor: tensor):
            output = self.step.run_forward(recorder.device)
            tape.end_forward(output)
            loss = loss_of(output)
        tape.phase = "backward"
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        end_step(tape, self.model, optimizer)


def begin_step(
    tape: RankTape, given: Iterable[Tensor], model: nn.Module, optimizer: torch.optim.Optimizer | None
) -> None:
    """Register what exists before a step, and which module each weight, buffer and optimiser state belongs to."""
    state: Any = {} if optimizer is None else optimizer.state
    tape.begin(given, {**held(model), "optimizer": tensors_in(list(state.values()))})
    for module in model.modules():
        for parameter in own_parameters(module).values():
            if parameter is not None:
                tape.own(module, [parameter, *tensors_in(state.get(parameter, {}))])
        tape.own(module, [buffer for buffer in own_buffers(module).values() if buffer is not None])


def end_step(tape: RankTape, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
    """Tell the tape which gradients a backward has made, and whose; then update, and let go of them."""
    with DisableTorchFunction():  # the recorder's function mode would take looking at a tensor for a call
        for module in model.modules():
            made = [parameter.grad for parameter in own_parameters(module).values() if parameter is not None]
            gradients = [local_tensor(gradient) for gradient in made if gradient is not None]
            tape.storages.claim(gradients, "gradient")
            tape.own(module, gradients)
    tape.phase = "optimizer"
    if optimizer is not None:
        update(optimizer)
    model.zero_grad(set_to_none=True)
