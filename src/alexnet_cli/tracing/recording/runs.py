"""What is run while the recorder watches: a forward, or a whole training step."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parameter import is_lazy

from alexnet_cli.errors import NothingToTrainError
from alexnet_cli.tape import Role
from alexnet_cli.torch_insides import local_tensor, spare_compiler
from alexnet_cli.tracing import quantised_formulas  # noqa: F401 - registers them
from alexnet_cli.tracing.meta import backward_rules  # noqa: F401 - registers them
from alexnet_cli.tracing.options import AMP_DTYPES, TrainingStep
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.tensors import packed_weights, tensors_in
from alexnet_cli.tracing.wiring.making import Making
from alexnet_cli.tracing.wiring.watch import Watch
from alexnet_cli.wiring import Wiring

_COUNTS_STEPS_ON_CPU = torch.__version__ >= "2.13"  # compares as versions, not as text
"""Whether an optimizer keeps its count of steps, which it reads, on the CPU; older ones use the default device."""


@dataclass
class Forward:
    """One forward without gradients."""

    model: nn.Module
    args: list[Any]
    kwargs: dict[str, Any]

    @property
    def given(self) -> list[Tensor]:
        """The tensors in the arguments."""
        return tensors_in([*self.args, *self.kwargs.values()])

    def __call__(self) -> Any:
        """Run the model."""
        return self.model(*self.args, **self.kwargs)

    def record(self, recorder: Recorder) -> None:
        """Run it with the recorder watching."""
        if recorder.tape is not None:
            recorder.tape.begin(self.given, held(self.model), packed_weights(self.model))
        with torch.no_grad(), recorder.recording():
            output = self()
            if recorder.tape is not None:
                recorder.tape.end_forward(output)
                recorder.tape.storages.claim(self.model.parameters(), "parameter")


@dataclass
class Step:
    """One training step as it is once training is under way: the optimiser's state is there already.

    The loss is the model's output if that is one number, otherwise the sum of its outputs. `made` has watched the model
    being made; `wiring` is what the step has shown, None before it.
    """

    forward: Forward
    how: TrainingStep
    made: Making | None = None
    wiring: Wiring | None = None

    @property
    def model(self) -> nn.Module:
        """The model that is trained."""
        return self.forward.model

    def record(self, recorder: Recorder) -> None:
        """Run it with the recorder watching.

        Raises:
            NothingToTrainError: no output depends on a parameter that is trained.
        """
        below = Forward.__call__.__code__
        watch = Watch(self.model, self.made, below, lambda: self.run_forward(recorder.device))
        lazy = any(is_lazy(parameter) for parameter in self.model.parameters())
        optimizer = None if lazy else self.optimizer()
        if lazy or self.how.optimizer not in ("none", "sgd"):
            warm_up = Recorder(recorder.device)
            warm_up.checks = recorder.checks
            with warm_up.recording():  # its shape rules spare imports
                optimizer = self._first_step(optimizer, warm_up.device)
        tape = recorder.tape
        if tape is not None:
            watch.start(tape)
            state = [] if optimizer is None else tensors_in(list(optimizer.state.values()))
            before = {**held(self.model), "optimizer": state}
            tape.begin(self.forward.given, before, packed_weights(self.model))
        with recorder.recording():
            self._step(optimizer, recorder)
        if tape is not None:
            self.wiring = watch.wiring(recorder, tape)

    def _first_step(
        self, optimizer: torch.optim.Optimizer | None, device: torch.device
    ) -> torch.optim.Optimizer | None:
        loss = loss_of(self.run_forward(device))
        optimizer = optimizer or self.optimizer()
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        if optimizer is not None:
            update(optimizer)
        self.model.zero_grad(set_to_none=True)
        return optimizer

    def _step(self, optimizer: torch.optim.Optimizer | None, recorder: Recorder) -> None:
        tape = recorder.tape
        if tape is None:
            output = self.run_forward(recorder.device)
        else:
            with saved_tensors_hooks(tape.saved, lambda tensor: tensor):
                output = self.run_forward(recorder.device)
                tape.end_forward(output)
                loss = loss_of(output)
            tape.phase = "backward"
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        if tape is not None:
            tape.storages.claim(gradients, "gradient")
            tape.phase = "optimizer"
        if optimizer is not None:
            update(optimizer)

    def run_forward(self, device: torch.device) -> Any:
        """Run the model, under autocast if it is trained in mixed precision."""
        if self.how.amp is None:
            return self.forward()
        with torch.autocast(device.type, getattr(torch, AMP_DTYPES[self.how.amp])):
            return self.forward()

    def optimizer(self) -> torch.optim.Optimizer | None:
        """Return the optimiser of what is trained; None without one, or if nothing is trained."""
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if self.how.optimizer == "none" or not trained:
            return None
        spare_compiler()
        groups = [{"params": alike} for alike in apart(trained)]
        match self.how.optimizer:
            case "adam":
                return torch.optim.Adam(groups, foreach=self.how.foreach)
            case "adamw":
                return torch.optim.AdamW(groups, foreach=self.how.foreach)
            case name:
                momentum = 0.9 if name == "sgd-momentum" else 0
                return torch.optim.SGD(groups, lr=0.1, momentum=momentum, foreach=self.how.foreach)


def update(optimizer: torch.optim.Optimizer) -> None:
    """Do what `optimizer.step()` does, without its wrapper, which imports the compiler first."""
    with torch.no_grad(), nullcontext() if _COUNTS_STEPS_ON_CPU else torch.device("cpu"):
        inspect.unwrap(type(optimizer).step)(optimizer)


def apart(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return parameters in groups that an optimiser can update at once: those that are distributed, and those not."""
    distributed = [parameter for parameter in parameters if local_tensor(parameter) is not parameter]
    plain = [parameter for parameter in parameters if local_tensor(parameter) is parameter]
    return [alike for alike in (distributed, plain) if alike]


def held(model: nn.Module) -> dict[Role, Iterable[Tensor]]:
    """Return what a model holds, by role."""
    return {"parameter": model.parameters(), "buffer": model.buffers()}


def loss_of(output: object) -> Tensor:
    """Return a model's output if it is one number, otherwise the sum of its outputs.

    Raises:
        NothingToTrainError: none depends on a parameter that is trained.
    """
    trained = [tensor for tensor in tensors_in(output) if tensor.requires_grad]
    if not trained:
        raise NothingToTrainError("there is nothing to train: no output depends on a parameter that requires_grad")
    if len(trained) == 1 and trained[0].dim() == 0:
        return trained[0]
    return sum((tensor.sum() for tensor in trained[1:]), trained[0].sum())
