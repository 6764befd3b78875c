"""Make the config of a `transformers` model small: few layers, experts and tokens, and narrow where that is not enough.

A config is changed in place, with all those inside it. What is left alone keeps its default, so that the kinds of
layers, the ratios of the widths and the sizes of images stay those of the architecture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

LAYERS = 2
"""Layers that are left of each stack; more where it takes more to have one of each kind."""
MOST_LAYERS = 8
EXPERTS, PER_TOKEN = 8, 2
TOKENS = 1024

_LAYERS = re.compile(
    r"n_layers?|depth|(num_)?(hidden_|encoder_|decoder_|text_|vision_|audio_|backbone_|attention_)*(layers|blocks)"
    r"|num_(en|de)coder_layers|(en|de)coder_num_(hidden_)?layers|layers_count|num_hidden_groups_unused"
)
_EXPERTS = re.compile(r"(moe_)?num_(local_|routed_)?experts|n_routed_experts")
_PER_TOKEN = re.compile(r"num_experts_per_tok(en)?|(moe_)?top_?k(_experts)?|num_selected_experts")
_GROUPS = {"n_group": 2, "topk_group": 1, "num_expert_group": 2}
_VOCABULARY = re.compile(r"(.*_)?vocab(ulary)?_size(_per_layer_input)?")
_TOKEN = re.compile(r".*token_(id|index)s?|.*_(id|index)")
_WIDTH = re.compile(
    r".*(hidden|embd|embed_dim|embedding_size|embedding_dim|intermediate|inner|ffn|d_model|d_ff|d_kv|lora_rank|width"
    r"|channels|proj|dim|dims|d_head|head_size)(_.*)?s?"
)
_NO_WIDTH = re.compile(
    r".*(image_size|patch|vocab|kernel|window|chunk|block_size|max_|^num_|layers|token|_ids?$|mel|sampl|stride|rate|bins"
    r"|positions|pos_emb|groups|factor|ratio|probs?$|dropout|act|num_channels|in_chans|index).*"
)


def shrink(config: Any, *, layers: int = LAYERS, width: int = 1, tokens: int = TOKENS) -> None:
    """Shrink a config: `layers` of each stack, widths divided by `width`, a few `tokens`; 0 leaves a thing as it is."""
    renumbered: dict[int, int] = {}
    parts = list(parts_of(config))
    for part in parts:
        if layers and not getattr(part, "_out_indices", None):
            _fewer_layers(part, layers)
        _fewer_experts(part)
        if tokens:
            _fewer_tokens(part, tokens)
        if width > 1:
            _narrower(part, width)
    if tokens:
        for part in parts:
            _renumber(part, tokens, renumbered)


def parts_of(config: Any) -> Iterator[Any]:
    """Yield a config and those inside it."""
    yield config
    for value in list(vars(config).values()):
        if hasattr(value, "model_type") and hasattr(value, "to_dict"):
            yield from parts_of(value)


def _numbers(part: Any, pattern: re.Pattern[str]) -> list[tuple[str, int]]:
    return [
        (name, value)
        for name, value in vars(part).items()
        if isinstance(value, int) and not isinstance(value, bool) and pattern.fullmatch(name)
    ]


def _fewer_layers(part: Any, layers: int) -> None:
    for name, before in _numbers(part, _LAYERS):
        lists = [
            (key, value)
            for key, value in vars(part).items()
            if isinstance(value, (list, tuple)) and len(value) == before and not key.startswith("id2")
        ]
        needed = max((_first_of_all_kinds(value) for _, value in lists), default=0)
        after = max(layers, min(needed, MOST_LAYERS))
        if after < before:
            _set(part, name, after)
            for key, value in lists:
                _set(part, key, value[:after])
    depths = getattr(part, "depths", None)
    if isinstance(depths, (list, tuple)) and all(isinstance(depth, int) for depth in depths):
        _set(part, "depths", type(depths)(min(depth, layers) for depth in depths))


def _first_of_all_kinds(values: Any) -> int:
    """Return after how many layers each kind has come once; numbers of their own in each layer are no kinds."""
    seen: dict[str, int] = {}
    for place, value in enumerate(values):
        seen.setdefault(str(value), place)
    return max(seen.values()) + 1 if len(seen) < len(values) else 0


def _fewer_experts(part: Any) -> None:
    for name, value in _numbers(part, _EXPERTS):
        _set(part, name, min(value, EXPERTS))
    for name, value in _numbers(part, _PER_TOKEN):
        _set(part, name, min(value, PER_TOKEN))
    for name, most in _GROUPS.items():
        if isinstance(getattr(part, name, None), int):
            _set(part, name, min(getattr(part, name), most))


def _fewer_tokens(part: Any, tokens: int) -> None:
    for name, value in _numbers(part, _VOCABULARY):
        _set(part, name, min(value, tokens))


def _renumber(part: Any, tokens: int, renumbered: dict[int, int]) -> None:
    """Give special tokens past the end of the vocabulary numbers of their own at its end."""

    def new(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(new, value))
        if isinstance(value, int) and value >= tokens:
            return renumbered.setdefault(value, tokens - 1 - len(renumbered))
        return value

    for name, value in list(vars(part).items()):
        if _TOKEN.fullmatch(name) and not isinstance(value, bool):
            _set(part, name, new(value))


def _narrower(part: Any, factor: int) -> None:
    def narrow(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(narrow, value))
        is_width = isinstance(value, int) and not isinstance(value, bool) and value >= 32 and value % factor == 0  # noqa: PLR2004
        return value // factor if is_width else value

    for name, value in list(vars(part).items()):
        if _WIDTH.fullmatch(name) and not _NO_WIDTH.fullmatch(name):
            _set(part, name, narrow(value))


def divide_heads(part: Any) -> None:
    """Divide the rotated half of a head between time, height and width, a quarter for time, as Qwen2-VL does."""
    rope = part.rope_parameters
    head = getattr(part, "head_dim", None) or part.hidden_size // part.num_attention_heads
    rotated = int(head * (rope.get("partial_rotary_factor") or 1)) // 2
    rope["mrope_section"] = [rotated - 2 * (rotated * 3 // 8), rotated * 3 // 8, rotated * 3 // 8]


def _set(part: Any, name: str, value: Any) -> None:
    if getattr(part, name) != value:
        setattr(part, name, value)
