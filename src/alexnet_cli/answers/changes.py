"""What is different in a step that `fit` tries, in kinds and in words."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.fitting.chain import Block
from alexnet_cli.analyses.fitting.choose import regular
from alexnet_cli.analyses.fitting.parts import Choice
from alexnet_cli.analyses.fitting.tried import Kind, is_paged, updates_singly
from alexnet_cli.session.how import TrainingStep
from alexnet_cli.units import count
from alexnet_cli.views.memory import OPTIMIZERS

NAMES = {
    **OPTIMIZERS,
    "adam-8bit": "8-bit Adam",
    "adamw-8bit": "8-bit AdamW",
    "adam-paged": "paged Adam",
    "adamw-paged": "paged AdamW",
    "none": "no update",
}


def paths_of(chain: Sequence[Block], choice: Choice) -> tuple[tuple[str, ...], ...]:
    """Return the paths of the blocks that a choice runs again."""
    return tuple(block.paths for block, own in zip(chain, choice, strict=True) if own)


def kinds_of(step: TrainingStep, asked: TrainingStep) -> list[Kind]:
    """Return the kinds of changes that a step has against the one that was asked for."""
    changed: dict[Kind, bool] = {
        "qlora" if step.lora is not None and step.lora.four_bits else "lora": step.lora is not None,
        "freeze": bool(step.trained),
        "in_place": bool(step.in_place),
        "chunked_loss": step.chunked is not None,
        "checkpoint": bool(step.checkpoint),
        "micro_batches": step.micro_batches > 1,
        "foreach": step.foreach != asked.foreach and not updates_singly(step.optimizer),
        "amp": step.amp != asked.amp,
        "paged" if is_paged(step.optimizer) else "optimizer": step.optimizer != asked.optimizer,
    }
    return [kind for kind, is_changed in changed.items() if is_changed]


def said_of(step: TrainingStep, asked: TrainingStep, chain: Sequence[Block], batch: int | None) -> list[str]:
    """Return what a step has changed, in the words of a row; `batch` is how many samples a step sees."""
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
        "micro_batches": f"{count(step.micro_batches)} micro-batches of {count((batch or 0) // step.micro_batches)}",
        "foreach": "parameters updated one by one",
        "amp": f"autocast to {step.amp}",
        "paged": optimizer,
        "optimizer": optimizer,
        "freeze": last if left else "no block trained",
        "lora": f"LoRA of rank {count(rank)}",
        "qlora": f"QLoRA of rank {count(rank)}",
    }
    return [said[kind] for kind in kinds_of(step, asked)]
