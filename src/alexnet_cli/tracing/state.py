"""The state_dict of a model, by name and shape."""

from __future__ import annotations

import torch
from torch.nn.parameter import is_lazy

from alexnet_cli.tape import Shape
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.build import build
from alexnet_cli.tracing.options import META, TraceOptions
from alexnet_cli.tracing.undisturbed import undisturbed


def state_shapes(subject: Subject, options: TraceOptions) -> dict[str, Shape]:
    """Return the keys of the model's `state_dict` with their shapes, built on `meta`; lazy parameters have no shape.

    Raises:
        TargetError: the model cannot be built.
    """
    with undisturbed(), subject.within():
        model = build(subject, torch.device(META), options, notify=lambda _: None)
        state = model.state_dict(keep_vars=True)
    return {name: tuple(value.shape) for name, value in state.items() if not is_lazy(value)}
