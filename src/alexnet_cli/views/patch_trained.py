"""The part of the written code that says what is trained: adapters beside frozen weights, or some modules alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

from alexnet_cli.analyses.fitting.tried import Changed, is_paged


def imports_of(step: Changed) -> Iterator[str]:
    """Yield the packages that the code needs beside torch."""
    if step.four_bits or is_paged(step.optimizer):
        yield "import bitsandbytes  # pip install bitsandbytes"
    if step.adapted:
        yield "import peft  # pip install peft"


def constants_of(step: Changed, modules: Collection[str]) -> Iterator[str]:
    """Yield the names that the code has for what is trained; `modules` are the paths of all modules of the model."""
    if step.adapted:
        yield f"RANK = {step.lora_rank}"
        lines = "".join(f"        {_raw(pattern)},\n" for pattern in patterns_of(step.adapted, modules))
        yield _TARGETS.format(patterns=lines)
    if step.trained:
        yield _TRAINED.format(paths="".join(f"    {quoted(path)},\n" for path in step.trained))


def patterns_of(paths: Sequence[str], modules: Collection[str]) -> list[str]:
    """Return regular expressions that match these paths and no other module's.

    Paths that differ in numbers alone have one together, or one for each last name, unless it would match another.
    """
    return [each for group in _alike(paths, _any_number) for each in _patterns(group, set(modules).difference(paths))]


def _patterns(paths: Sequence[str], others: Collection[str]) -> Iterator[str]:
    for form in (_any_number, _any_number_but_the_last):
        groups = _alike(paths, form)
        patterns = [form(group[0]) if len(group) > 1 else re.escape(group[0]) for group in groups]
        if not any(re.fullmatch(pattern, path) for pattern in patterns for path in others):
            return iter(patterns)
    return map(re.escape, paths)


def _alike(paths: Sequence[str], form: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[form(path)].append(path)
    return list(groups.values())


def _any_number(path: str) -> str:
    return re.sub(r"\d+", lambda _: r"\d+", re.escape(path))


def _any_number_but_the_last(path: str) -> str:
    above, _, name = path.rpartition(".")
    return _any_number(f"{above}.") + re.escape(name) if above else re.escape(name)


def _raw(pattern: str) -> str:
    plain = pattern.isprintable() and '"' not in pattern
    return f'r"{pattern}"' if plain else repr(pattern)


def quoted(path: str) -> str:
    """Write a string in double quotes, but one that needs more than that."""
    plain = path.isprintable() and not {'"', "\\"} & set(path)
    return f'"{path}"' if plain else repr(path)


def changes_of(step: Changed) -> list[str]:
    """Return the lines of `changed` that change what is trained."""
    lines = ["    _in_four_bits(model)"] if step.four_bits else []
    if step.adapted:
        lines += [
            "    config = peft.LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS)",
            "    adapted = peft.get_peft_model(model, config)",
        ]
    return [*lines, "    _freeze(model)"] if step.trained else lines


def functions_of(step: Changed) -> list[str]:
    """Return the functions that `changed` calls for it."""
    return [_FOUR_BITS] * step.four_bits + [_FREEZE] * bool(step.trained)


_TARGETS = '''
TARGETS = "|".join(
    (
{patterns}    )
)
"""The linear layers that get adapters, all but the output layer: a regular expression, as peft takes it."""
'''

_TRAINED = '''
TRAINED = (
{paths})
"""What is trained; all else is frozen, also what these share with it."""
'''

_FOUR_BITS = '''
def _in_four_bits(model):
    """Hold the weights of these layers in NF4, with double quantisation, as QLoRA does."""
    for path, part in list(model.named_modules()):
        if type(part) is torch.nn.Linear and re.fullmatch(TARGETS, path):
            sizes = part.in_features, part.out_features, part.bias is not None
            held = bitsandbytes.nn.Linear4bit(*sizes, quant_type="nf4", device="meta")
            weight = part.weight.data
            held.weight = bitsandbytes.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=held)
            held.bias = part.bias
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, held.to(weight.device))
'''

_FREEZE = """
def _freeze(model):
    trained = {id(part) for path in TRAINED for part in model.get_submodule(path).modules()}
    for part in model.modules():
        if id(part) not in trained:
            for parameter in part.parameters(recurse=False):
                parameter.requires_grad_(False)
"""
