"""The code that a chosen change is: a module with functions that apply it to a model and run one training step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from alexnet_cli.analyses.fitting.tried import Changed, has_8_bits, updates_singly
from alexnet_cli.views import patch_layers
from alexnet_cli.views.patch_layers import loss_of
from alexnet_cli.views.patch_trained import changes_of, constants_of, functions_of, imports_of

_CLASSES = {
    "sgd": "torch.optim.SGD",
    "sgd-momentum": "torch.optim.SGD",
    "adam": "torch.optim.Adam",
    "adamw": "torch.optim.AdamW",
    "adam-8bit": "torchao.optim.Adam8bit",
    "adamw-8bit": "torchao.optim.AdamW8bit",
    "adam-paged": "bitsandbytes.optim.PagedAdam",
    "adamw-paged": "bitsandbytes.optim.PagedAdamW",
}


def patch_of(
    step: Changed,
    about: Iterable[str],
    *,
    autocast: str | None,
    statistics: bool,
    cached: bool,
    modules: Collection[str] = (),
) -> str:
    """Return the module's text, with what it is `about` in comments at its head.

    `autocast` is the dtype that the forward runs in, None for its own.
    `statistics` tells that blocks which are run again hold batch norms, `cached` that the model may keep a cache of
    keys and values. `modules` are the paths of the model's modules.
    """
    head = "\n".join(f"# {_plain(line)}".rstrip() for line in about)
    statistics = statistics and bool(step.checkpoint)
    blocks = "".join(f"    {_tuple(paths)},\n" for paths in step.checkpoint)
    constants = [*constants_of(step, modules), *patch_layers.constants_of(step)]
    constants += [*([_BLOCKS.format(blocks=blocks)] if blocks else []), *_number(step)]
    parts = [
        "\n\n".join(each.strip("\n") for each in (head, "\n".join(_imports(step, statistics=statistics)), *constants))
    ]
    if changes_model(step):
        parts += [_changed(step, cached=cached), *functions_of(step), *patch_layers.functions_of(step)]
    if step.checkpoint:
        parts += [_AGAIN.format(once=", context_fn=partial(_once, modules)" * statistics)]
        parts += [_ONCE] * statistics
    if step.optimizer != "none":
        parts.append(_optimizer(step))
    parts += [loss_of(step)[1], *_training_step(step, autocast)]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def changes_model(step: Changed) -> bool:
    """Tell whether the code has a function that changes the model."""
    return bool(step.checkpoint or step.adapted or step.trained or step.in_place or step.chunked)


def _plain(line: str) -> str:
    """Return a line that stays one in a comment, whatever names are in it."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)


def _imports(step: Changed, *, statistics: bool) -> Iterator[str]:
    if statistics:
        yield "from contextlib import contextmanager, nullcontext"
        yield "from functools import partial"
    if step.four_bits:
        yield "import re"
    if step.chunked is not None:
        yield "from typing import Any, NamedTuple"
    if statistics or step.four_bits or step.chunked is not None:
        yield ""
    yield from imports_of(step)
    yield "import torch"
    if has_8_bits(step.optimizer):
        yield "import torchao.optim  # pip install torchao"
    yield from patch_layers.imports_of(step)
    if step.checkpoint:
        yield "from torch.utils.checkpoint import checkpoint"


def _tuple(paths: tuple[str, ...]) -> str:
    """Write a tuple of strings in double quotes, but for names that need more than that."""
    plain = (path.isprintable() and not {'"', "\\"} & set(path) for path in paths)
    if not all(plain):
        return repr(paths)
    return f"({', '.join(chr(34) + path + chr(34) for path in paths)}{',' * (len(paths) == 1)})"


def _number(step: Changed) -> list[str]:
    return [f"MICRO_BATCHES = {step.micro_batches}"] if step.micro_batches > 1 else []


_BLOCKS = '''
BLOCKS = (
{blocks})
"""What the backward runs again instead of keeping what it computes: a module each, or neighbours in a Sequential."""
'''

_AGAIN = """
def _run_again(modules):
    forwards = [module.forward for module in modules]

    def run(*args, **kwargs):
        result = forwards[0](*args, **kwargs)
        for forward in forwards[1:]:
            result = forward(result)
        return result

    def again(*args, **kwargs):
        if not torch.is_grad_enabled():
            return run(*args, **kwargs)
        return checkpoint(run, *args, use_reentrant=False{once}, **kwargs)

    modules[0].forward = again
    for module in modules[1:]:  # the first of them runs them all
        module.forward = lambda given: given
"""

_ONCE = '''
def _once(modules):
    return nullcontext(), _still(modules)


@contextmanager
def _still(modules):
    """Keep the running averages of batch norms as they are: the first run has moved them."""
    every = (part for module in modules for part in module.modules())
    norms = [part for part in every if isinstance(getattr(part, "momentum", None), float)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before):
            norm.momentum = momentum
'''


def _changed(step: Changed, *, cached: bool) -> str:
    said = "Its state_dict stays the same."
    said = "Its own weights are frozen, adapters are trained." if step.adapted else said
    lines = ["def changed(model):", f'    """Change a model in place, and return it; call it once. {said}"""']
    if cached and step.checkpoint:
        lines += [
            '    if getattr(getattr(model, "config", None), "use_cache", False):',
            "        model.config.use_cache = False  # a cache would hold on to what is computed again",
        ]
    lines += [*patch_layers.changes_of(step), *changes_of(step)]
    if step.checkpoint:
        lines += ["    for paths in BLOCKS:", "        _run_again([model.get_submodule(path) for path in paths])"]
    return "\n".join((*lines, f"    return {'adapted' if step.adapted else 'model'}", ""))


def _optimizer(step: Changed) -> str:
    momentum = ", momentum=0.9" if step.optimizer == "sgd-momentum" else ""
    foreach = "" if updates_singly(step.optimizer) else f", foreach={step.foreach}"
    return f'''
def optimizer_of(model, **settings):
    """Return the optimiser; the learning rate and the like are yours to set."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return {_CLASSES[step.optimizer]}(trained{momentum}{foreach}, **settings)
'''


def _training_step(step: Changed, dtype: str | None) -> Iterator[str]:
    cut = step.micro_batches > 1
    autocast = "" if dtype is None else f"with torch.autocast(device, torch.{dtype}):"
    scaled = step.amp == "fp16" and step.optimizer != "none"
    update = ["scaler.step(optimizer)", "scaler.update()"] if scaled else ["optimizer.step()"]
    update = update if step.optimizer != "none" else []
    optimizer = "optimizer, " if update else ""
    scaler = "scaler, " if scaled else ""
    clear = "optimizer.zero_grad(set_to_none=True)" if update else "model.zero_grad(set_to_none=True)"
    device = ["device = next(model.parameters()).device.type"] if autocast else []
    backward = "scaler.scale({}).backward()" if scaled else "{}.backward()"
    about = "the mean over its samples" if cut else "a number"
    said = [
        f"def training_step(model, {optimizer}{scaler}*args, loss_of={loss_of(step)[0]}, targets=(), **kwargs):",
        f'    """Run one step; `loss_of(output, *targets)` is {about}, `args` and `kwargs` go to the model."""',
        f"    {clear}",
    ]
    forward = ["output = model(*args, **kwargs)", "loss = loss_of(output, *targets)"]
    within = [autocast, *(f"    {line}" for line in forward)] if autocast else forward
    if not cut:
        body = [*device, *within, backward.format("loss"), *update]
        yield "\n".join((*said, *(f"    {line}" for line in body), ""))
        return
    body = [
        "given = (args, kwargs, tuple(targets))",
        "size = _size(given)",
        "number = min(MICRO_BATCHES, size)",
        "for at in range(number):",
        f"    _backward(model, {scaler}loss_of, number, *_part(given, at, number, size))",
        *update,
    ]
    yield "\n".join((*said, *(f"    {line}" for line in body), ""))
    inner = [*device, *within, backward.format("(loss / number)")]
    head = f"def _backward(model, {scaler}loss_of, number, args, kwargs, targets):"
    why = '    """Add the gradients of one part to the others; what it computed is let go of on return."""'
    yield "\n".join((head, why, *(f"    {line}" for line in inner), ""))
    yield _CUT


_CUT = '''
def _size(given):
    """The batch: the first dimension of the first tensor that has any."""
    for value in given.values() if isinstance(given, dict) else given:
        if isinstance(value, torch.Tensor) and value.dim():
            return len(value)
        if isinstance(value, (list, tuple, dict)) and (size := _size(value)):
            return size
    return 0


def _part(value, at, number, size):
    """The part of what begins with the batch; all else whole."""
    if isinstance(value, torch.Tensor):
        return value.tensor_split(number)[at] if value.dim() and len(value) == size else value
    if isinstance(value, (list, tuple)):
        return type(value)([_part(each, at, number, size) for each in value])
    if isinstance(value, dict):
        return {name: _part(each, at, number, size) for name, each in value.items()}
    return value
'''
