"""The part of the written code that says how layers run, activations in place and scores in the loss, and the loss."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from alexnet_cli.analyses.fitting.tried import Changed
from alexnet_cli.views.patch_trained import quoted


def imports_of(step: Changed) -> Iterator[str]:
    """Yield what the code imports beside torch."""
    if step.chunked is not None:
        yield "from torch.nn import functional as F"


def constants_of(step: Changed) -> Iterator[str]:
    """Yield the names that the code has for the layers that run otherwise."""
    if step.in_place:
        yield _IN_PLACE.format(paths="".join(f"    {quoted(path)},\n" for path in step.in_place))
    if step.chunked is not None:
        yield f"SCORES = {quoted(step.chunked)}"


def changes_of(step: Changed) -> Iterator[str]:
    """Yield the lines of `changed` that let layers run otherwise."""
    if step.in_place:
        yield "    for path in IN_PLACE:"
        yield "        model.get_submodule(path).inplace = True"
    if step.chunked is not None:
        yield "    make_scores_in_loss(model.get_submodule(SCORES))"


def functions_of(step: Changed) -> list[str]:
    """Return the functions and classes that `changed` calls for it."""
    return [] if step.chunked is None else [_chunked_loss()]


def loss_of(step: Changed) -> tuple[str, str]:
    """Return the name and the code of the function that is the loss of the prediction."""
    return ("cross_entropy", _CROSS_ENTROPY) if step.loss == "cross-entropy" else ("total", _TOTAL)


@cache
def _chunked_loss() -> str:
    """Return the code that was traced, without what checkers of this program's own code read."""
    text = (files("alexnet_cli") / "tracing/recording/chunked_loss.py").read_text(encoding="utf-8")
    code = text[text.index("class Product") :]
    return "\n" + re.sub(r"  # (?:type: ignore|noqa).*", "", code)


_IN_PLACE = '''
IN_PLACE = (
{paths})
"""The activations that write over what they are given, which nothing else needs."""
'''

_TOTAL = '''
def total(output):
    """The sum of a model's outputs, or its output where that is one number: the loss of the prediction."""
    if isinstance(output, torch.Tensor):
        return output if output.dim() == 0 else output.sum()
    parts = output.values() if hasattr(output, "values") else output if isinstance(output, (list, tuple)) else ()
    return sum(total(part) for part in parts if not isinstance(part, torch.Tensor) or part.requires_grad)
'''

_CROSS_ENTROPY = '''
def cross_entropy(output, labels=None):
    """The number that a model returns, else the cross-entropy of its first output: the loss of the prediction."""
    trained = [each for each in _tensors(output) if each.requires_grad]
    for each in trained:
        if each.dim() == 0:
            return each
    scores = next(each for each in trained if each.dim() > 1)
    scores = scores if scores.dtype == torch.float64 else scores.float()
    if scores.dim() > 3:
        return torch.nn.functional.cross_entropy(scores, labels)
    return torch.nn.functional.cross_entropy(scores.flatten(0, -2), labels.flatten())


def _tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if hasattr(value, "values") else value if isinstance(value, (list, tuple)) else ()
    return [each for part in parts for each in _tensors(part)]
'''
