"""What is run while the recorder watches: a forward, or a whole training step."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parameter import is_lazy

from alexnet_cli.errors import UsageError
from alexnet_cli.tape import Role
from alexnet_cli.targets.example import mapped
from alexnet_cli.torch_insides import buffers_of, local_tensor, made_state, parameters_of, replaced, spare_compiler
from alexnet_cli.tracing import quantised_formulas  # noqa: F401 - registers them
from alexnet_cli.tracing.meta import backward_rules  # noqa: F401 - registers them
from alexnet_cli.tracing.options import AMP_DTYPES, Only, TrainingStep
from alexnet_cli.tracing.recording.adam import Adam8bit, PagedAdam
from alexnet_cli.tracing.recording.checkpoints import Checkpoints
from alexnet_cli.tracing.recording.losses import cross_entropy, labels_of, loss_of, own_loss, scores_of
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.tensors import packed_weights, tensors_in
from alexnet_cli.tracing.wiring.making import Making
from alexnet_cli.tracing.wiring.watch import Watch
from alexnet_cli.wiring import Wiring

_COUNTS_STEPS_ON_CPU = torch.__version__ >= "2.13"  # compares as versions, not as text
"""Whether an optimizer keeps its count of steps, which it reads, on the CPU; older ones use the default device."""

_DIFFERENT = 2
"""How many micro-batches differ: the first makes the gradients, each of the others adds to them."""


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

    The loss is what `how` says. `batch` is how many samples the arguments hold, None if unknown. `made` has watched the
    model being made; with `only` just a part of the step is run. `wiring` is what the step has shown, None before it,
    and of a step that is run in parts or with blocks again, as it is that of the whole step. `results` are the output
    and the loss, which whoever trains holds until the step is over, and so they do the `labels`, those of each part.
    """

    forward: Forward
    how: TrainingStep
    batch: int | None = None
    made: Making | None = None
    only: Only | None = None
    wiring: Wiring | None = None
    results: object = None
    labels: tuple[Tensor, ...] = ()

    @property
    def model(self) -> nn.Module:
        """The model that is trained."""
        return self.forward.model

    def record(self, recorder: Recorder) -> None:
        """Run it with the recorder watching.

        Raises:
            NothingToTrainError: no output depends on a parameter that is trained.
            UsageError: the batch cannot be cut, or the model lacks a block that is to be run again.
        """
        parts = self._parts()
        below = Forward.__call__.__code__
        watch = Watch(self.model, self.made, below, lambda: self.run_forward(recorder.device))
        lazy = any(is_lazy(parameter) for parameter in self.model.parameters())
        optimizer = None if lazy else self.optimizer()
        if lazy:
            with recorder.beside().recording():
                optimizer = self._first_step(recorder.device)
        tape = recorder.tape
        whole = tape is not None and not self.how.checkpoint and len(parts) == 1 and self.only is None
        if tape is not None:
            if whole:
                watch.start(tape)
            tape.begin(self.forward.given, held(self.model), packed_weights(self.model))
            if self.only is not None:
                tape.storages.register(with_gradients(self.model, self.only.without), "gradient")
        checkpoints = Checkpoints(self.model, self.how.checkpoint)
        checkpoints.recorder = recorder
        with checkpoints.applied(), recorder.recording():
            for at, part in enumerate(parts):
                if part is not self.forward:
                    recorder.feed(self.model, part.args, part.kwargs)
                self.results = self._backward(replace(self, forward=part), recorder, at)
                if self.how.micro_batches > 1:
                    self.results = None  # whoever cuts a batch lets go of what each part gave
        if optimizer is not None:
            self._update(optimizer, recorder, lazy=lazy)
        if tape is not None and whole:
            self.wiring = watch.wiring(recorder, tape)

    def _parts(self) -> list[Forward]:
        """Return what has a forward and a backward in this run."""
        if self.only is not None and self.only.part == "update":
            return []
        parts = micro_batches(self.forward, self.how.micro_batches, self.batch)[:_DIFFERENT]
        return parts if self.only is None else parts[1:]

    def _update(self, optimizer: torch.optim.Optimizer, recorder: Recorder, *, lazy: bool) -> None:
        """Update the parameters, with the state that was there before, as this is not the first step."""
        if not lazy and self.how.optimizer != "sgd":
            with recorder.beside().recording():
                make_state(optimizer)
        tape = recorder.tape
        if tape is not None:
            tape.storages.register(tensors_in(list(optimizer.state.values())), "optimizer")
            tape.phase = "optimizer"
        with recorder.recording():
            update(optimizer)

    def _first_step(self, device: torch.device) -> torch.optim.Optimizer | None:
        """Run a whole step, which gives lazy layers their parameters."""
        loss = self._loss(self.run_forward(device))
        optimizer = self.optimizer()
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        if optimizer is not None:
            update(optimizer)
        self.model.zero_grad(set_to_none=True)
        return optimizer

    def _backward(self, part: Step, recorder: Recorder, at: int) -> tuple[object, Tensor]:
        """Run a forward and its backward, and return its results; gradients are added to those that are there."""
        tape = recorder.tape
        if tape is not None:
            tape.phase = "forward"
        with nullcontext() if tape is None else saved_tensors_hooks(tape.saved, lambda tensor: tensor):
            output = part.run_forward(recorder.device)
            if tape is not None:
                tape.end_forward(output)
            loss = self._loss(output, recorder, at)
        if tape is not None:
            tape.phase = "backward"
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        if tape is not None:
            tape.storages.claim(gradients, "gradient")
        return output, loss

    def _loss(self, output: object, recorder: Recorder | None = None, at: int = 0) -> Tensor:
        """Return the loss of a part; labels are among what was there before the step."""
        if self.how.loss == "sum":
            return loss_of(output)
        own = own_loss(output)
        if own is not None:
            return own
        scores = scores_of(output)
        if not self.labels:
            with nullcontext() if recorder is None else replaced(recorder, tape=None):  # there before the run
                self.labels = labels_of(scores, self.how.micro_batches)
        if recorder is not None and recorder.tape is not None:
            recorder.tape.storages.register(self.labels[:1], "input")
        with self.mixed(scores.device):
            return cross_entropy(scores, self.labels[at])

    def run_forward(self, device: torch.device) -> Any:
        """Run the model, under autocast if it is trained in mixed precision."""
        with self.mixed(device):
            return self.forward()

    def mixed(self, device: torch.device) -> AbstractContextManager[object]:
        """Return autocast if the model is trained in mixed precision, else what does nothing."""
        amp = self.how.amp
        return nullcontext() if amp is None else torch.autocast(device.type, getattr(torch, AMP_DTYPES[amp]))

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
            case "adam-8bit" | "adamw-8bit":
                return Adam8bit(groups)
            case "adam-paged" | "adamw-paged":
                return PagedAdam(groups)
            case name:
                momentum = 0.9 if name == "sgd-momentum" else 0
                return torch.optim.SGD(groups, lr=0.1, momentum=momentum, foreach=self.how.foreach)


def micro_batches(forward: Forward, number: int, batch: int | None) -> list[Forward]:
    """Cut the arguments of a forward into so many parts of equal size; those without the batch go to each part.

    Raises:
        UsageError: the batch is unknown, or no multiple of that number.
    """
    if number == 1:
        return [forward]
    if batch is None or batch % number:
        held = "a batch of unknown size" if batch is None else f"a batch of {batch}"
        raise UsageError(f"{held} cannot be cut into {number} equal parts")
    cut = {tensor: tensor.chunk(number) for tensor in forward.given if tensor.dim() and len(tensor) == batch}

    def part(at: int) -> Forward:
        given = mapped((forward.args, forward.kwargs), lambda tensor: cut[tensor][at] if tensor in cut else tensor)
        return Forward(forward.model, *given)

    return [part(at) for at in range(number)]


def make_state(optimizer: torch.optim.Optimizer) -> None:
    """Make the state that the optimiser's first update makes."""
    with nullcontext() if _COUNTS_STEPS_ON_CPU else torch.device("cpu"):
        made = made_state(optimizer)
    if not made:
        update(optimizer)


def update(optimizer: torch.optim.Optimizer) -> None:
    """Do what `optimizer.step()` does, without its wrapper, which imports the compiler first."""
    with torch.no_grad(), nullcontext() if _COUNTS_STEPS_ON_CPU else torch.device("cpu"):
        inspect.unwrap(type(optimizer).step)(optimizer)


def apart(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return parameters in groups that an optimiser can update at once: those that are distributed, and those not."""
    distributed = [parameter for parameter in parameters if local_tensor(parameter) is not parameter]
    plain = [parameter for parameter in parameters if local_tensor(parameter) is parameter]
    return [alike for alike in (distributed, plain) if alike]


def with_gradients(model: nn.Module, without: Collection[str]) -> list[Tensor]:
    """Give each parameter that is trained a gradient, but for those `without`, and return the gradients."""
    made = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name not in without:
            parameter.grad = torch.empty_like(parameter)
            made.append(parameter.grad)
    return made


def held(model: nn.Module) -> dict[Role, Iterable[Tensor]]:
    """Return what a model holds, by role."""
    return {"parameter": parameters_of(model), "buffer": buffers_of(model)}
