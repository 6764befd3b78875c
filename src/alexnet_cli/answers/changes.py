"""What is different in a step that `fit` tries, in kinds and in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alexnet_cli.analyses.fitting.chain import Block
from alexnet_cli.analyses.fitting.choose import regular
from alexnet_cli.analyses.fitting.parts import Choice
from alexnet_cli.analyses.fitting.tried import Kind, is_paged, updates_singly
from alexnet_cli.session.how import TrainingStep
from alexnet_cli.units import count

NAMES = {
    "sgd": "SGD",
    "sgd-momentum": "SGD with momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "adam-8bit": "8-bit Adam",
    "adamw-8bit": "8-bit AdamW",
    "adam-paged": "paged Adam",
    "adamw-paged": "paged AdamW",
    "none": "no update",
}


def paths_of(chain: Sequence[Block], choice: Choice) -> tuple[tuple[str, ...], ...]:
    """Return the paths of the blocks that a choice runs again."""
    return tuple(block.paths for block, own in zip(chain, choice, strict=True) if own)


def kinds_of(step: TrainingStep, asked: TrainingStep) -> Iterator[Kind]:
    """Yield the kinds of changes that a step has against the one that was asked for."""
    if step.lora is not None:
        yield "qlora" if step.lora.four_bits else "lora"
    if step.trained:
        yield "freeze"
    if step.in_place:
        yield "in_place"
    if step.chunked is not None:
        yield "chunked_loss"
    if step.checkpoint:
        yield "checkpoint"
    if step.micro_batches > 1:
        yield "micro_batches"
    if step.foreach != asked.foreach and not updates_singly(step.optimizer):
        yield "foreach"
    if step.amp != asked.amp:
        yield "amp"
    if step.optimizer != asked.optimizer:
        yield "paged" if is_paged(step.optimizer) else "optimizer"


def said_of(step: TrainingStep, asked: TrainingStep, chain: Sequence[Block], batch: int | None) -> Iterator[str]:
    """Yield what a step has changed, in the words of a row; `batch` is how many samples a step sees."""
    for kind in kinds_of(step, asked):
        yield _said(kind, step, asked, chain, batch or 0)


def _said(kind: Kind, step: TrainingStep, asked: TrainingStep, chain: Sequence[Block], batch: int) -> str:
    blocks, rank = count(len(chain)), 0 if step.lora is None else step.lora.rank
    usual = {paths_of(chain, choice): name for name, choice in regular(len(chain))}
    left = sum(block.paths[0] in step.trained for block in chain)
    last = f"only the last{f' {count(left)}' * (left > 1)} of {blocks} blocks trained"
    activations = f"{count(len(step.in_place))} activation{'s' * (len(step.in_place) > 1)} in place"
    optimizer = f"{NAMES[step.optimizer]} instead of {NAMES[asked.optimizer]}"
    said: dict[Kind, str] = {
        "in_place": activations,
        "chunked_loss": "the loss in chunks",
        "checkpoint": f"checkpoint {usual.get(step.checkpoint) or f'{count(len(step.checkpoint))} of {blocks} blocks'}",
        "micro_batches": f"{count(step.micro_batches)} micro-batches of {count(batch // step.micro_batches)}",
        "foreach": "parameters updated one by one",
        "amp": f"autocast to {step.amp}",
        "paged": optimizer,
        "optimizer": optimizer,
        "freeze": last if left else "no block trained",
        "lora": f"LoRA of rank {count(rank)}",
        "qlora": f"QLoRA of rank {count(rank)}",
    }
    return said[kind]
