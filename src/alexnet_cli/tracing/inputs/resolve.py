"""Resolves what forward is called with, from what was asked for, given, known of the model, or found."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from msgspec.structs import replace
from torch import nn

from alexnet_cli.targets.example import Example, cut, example_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.targets.subject import Subject
from alexnet_cli.tracing.build import Notify
from alexnet_cli.tracing.inputs.context import is_prompt, of_length
from alexnet_cli.tracing.inputs.feed import Fed, from_example, from_specs, settle_sides
from alexnet_cli.tracing.inputs.said import check_names, from_said
from alexnet_cli.tracing.inputs.trial import Trial
from alexnet_cli.tracing.options import Size, TraceOptions


def feed(model: nn.Module, device: torch.device, trial: Trial, notify: Notify) -> Fed:
    """Return what forward is called with: what was asked for or given, what the model is known to take, or found.

    The prompt of a language model at work is as long as it was asked to be; other arguments that were given are as
    they are.
    """
    fed, options = _feed(model, device, trial, notify), trial.options
    if not options.sizes:
        return fed
    given = options.inputs is None and (options.inputs_from is not None or trial.subject.example is not None)
    return _with_sizes(fed, options.sizes, model, device, given=given)


def _feed(model: nn.Module, device: torch.device, trial: Trial, notify: Notify) -> Fed:
    subject, options = trial.subject, trial.options
    asked, batch, found = options.serving, options.batch_size, False
    if options.inputs is not None:
        fed = from_said(settle_sides(options.inputs, model, subject.inputs), batch, model, device)
        if asked is None or not fed.specs:
            return fed
        specs = fed.specs
    elif (example := _example(model, subject, options)) is not None:
        check_names(list(example.kwargs), model)
        fed = from_example(example, batch, model, device)
        if asked is None or options.inputs_from is not None or not is_prompt(example, model):
            return fed
        specs, batch = fed.specs, fed.batch_size
    elif subject.inputs is not None:
        specs, batch = list(subject.inputs), _batch(subject, options, notify)
    else:
        specs, found = list(trial.search().specs), True
    if asked is None:
        return from_specs(specs, batch, model, device, found=found)
    fed = from_specs(of_length(specs, model, asked), batch, model, device, found=found)
    return replace(fed, is_prompt=True)


def _example(model: nn.Module, subject: Subject, options: TraceOptions) -> Example | None:
    """Return what the caller gave forward, or what `--inputs` names; None if neither."""
    if options.inputs_from is None:
        return subject.example
    from alexnet_cli.targets.python_code import python_value

    return example_of(python_value(options.inputs_from), model)


def _batch(subject: Subject, options: TraceOptions, notify: Notify) -> int | None:
    """Return the batch that was asked for, or the nearest one that the model runs with; without one the least."""
    if subject.batches is None:
        return options.batch_size
    least, most = subject.batches
    if options.batch_size is None:
        return least
    batch = min(max(options.batch_size, least), most)
    if batch != options.batch_size:
        takes = f"a batch of {least} only" if least == most else f"batches from {least:,} to {most:,}"
        notify(f"the model was made for {takes}: it was run with {batch:,}, not {options.batch_size:,}")
    return batch


def _with_sizes(fed: Fed, sizes: Sequence[Size], model: nn.Module, device: torch.device, *, given: bool) -> Fed:
    """Return what forward is called with, with other sizes of some axes; `given` tells that a caller gave the values.

    Raises:
        UsageError: a tensor of that size cannot be.
    """
    if fed.specs and not given:
        batched = fed.batch_size is not None
        specs = [_resized(spec, at, sizes, batched=batched) for at, spec in enumerate(fed.specs)]
        return from_specs(specs, fed.batch_size, model, device, found=any(each.found for each in fed.inputs))
    called = Example(tuple(fed.args), fed.kwargs).resized(sizes)
    values = None if fed.given is None else fed.given.resized(sizes, read_only=True)
    inputs = [
        replace(each, shape=tuple(tensor.shape)) for each, (_, tensor) in zip(fed.inputs, called.tensors(), strict=True)
    ]
    return replace(fed, inputs=tuple(inputs), args=list(called.args), kwargs=called.kwargs, specs=[], given=values)


def _resized(spec: InputSpec, number: int, sizes: Sequence[Size], *, batched: bool) -> InputSpec:
    """Change the shape of an input, and the values of one sample where they are known."""
    before = 1 if batched and not spec.whole else 0
    for at, axis, size in sizes:
        own = axis - before
        if at == number and own >= 0:
            sample = None if spec.values is None else cut(torch.tensor(spec.values).reshape(spec.shape), own, size)
            shape = (*spec.shape[:own], size, *spec.shape[own + 1 :])
            spec = replace(spec, shape=shape, values=None if sample is None else tuple(sample.flatten().tolist()))
    return spec
