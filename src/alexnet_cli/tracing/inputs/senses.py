"""Pictures and sound beside the text of a model that takes them too, and the tokens that stand for them in the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import zip_longest

from msgspec.structs import replace

from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs.by_kind import Inputs
from alexnet_cli.tracing.inputs.by_name import Guesser
from alexnet_cli.tracing.inputs.feed import ordinary_tokens
from alexnet_cli.tracing.inputs.sources import TOKENS

KINDS = "mm_token_type_ids"
"""What the argument is called that says of each token which sense it stands for."""

WORDS = 16
"""So many ordinary tokens stand around those of pictures and sound."""

_GUESSES = 6
_MOST_SPECIAL = 20_000
_SENSES = {
    r"(image_)?pixel_values(_images)?|images?": r"(image|img|vision)(_patch)?_token_(id|index)",
    r"input_features|audio_features|(audio_)?input_values|audio_values": r"(audio|speech|sound)_token_(id|index)",
}
"""Arguments of forward by sense, and the settings that name the token of each."""
_KINDS = {"image": 1, "video": 2}
_LEFT_OUT = "|".join((*_SENSES, r"pixel_values_videos?|videos?"))


def beside(specs: Inputs, guesser: Guesser) -> Iterator[Inputs]:
    """Yield a text with pictures and sound, all senses that forward has an optional argument for at once."""
    place = next((place for place, spec in enumerate(specs) if _is_text(spec)), None)
    if place is None or not guesser.config:
        return
    names = _optional(specs, guesser)
    senses = [(name, told) for pattern, told in _SENSES.items() for name in names if re.fullmatch(pattern, name)]
    guesses = [guesser.of(name)[:_GUESSES] for name, _ in senses]
    tokens = (next(guesser.config.numbers(told), None) for _, told in senses)
    special = {token[1]: 1 for token in tokens if token is not None}
    text = (*specs[:place], with_special(specs[place], special, guesser), *specs[place + 1 :])
    for others in zip_longest(*guesses):
        if others:
            yield (*text, *(each or guesses[sense][0] for sense, each in enumerate(others)))


def left_out(specs: Inputs, guesser: Guesser) -> tuple[str, ...]:
    """Return the optional arguments for pictures, videos and sound that are not given."""
    return tuple(name for name in _optional(specs, guesser) if re.fullmatch(_LEFT_OUT, name))


def _optional(specs: Inputs, guesser: Guesser) -> list[str]:
    given = {spec.name for spec in specs}
    parameters = parameters_of(guesser.model) or ()
    return [each.name for each in parameters if each.default is None and each.name not in given]


def _is_text(spec: InputSpec) -> bool:
    return spec.dtype == TOKENS and len(spec.shape) == 1 and spec.is_batched and spec.name in (None, "input_ids")


def with_special(spec: InputSpec, special: Mapping[int, int], guesser: Guesser) -> InputSpec:
    """Return a text with so many of each special token in it."""
    if not special:
        return spec
    usual = ordinary_tokens(guesser.model)
    words = [usual[place % len(usual)] for place in range(WORDS)]
    placed = [token for token, times in special.items() for _ in range(times)]
    values = (words[0], *placed, *words[1:])
    return replace(spec, shape=(len(values),), values=values)


def with_kinds(specs: Inputs, guesser: Guesser) -> Inputs:
    """Say which sense each token of a text stands for, where that is an argument: 1 for pictures, 2 for videos."""
    text = next((spec for spec in specs if _is_text(spec) and spec.values), None)
    if text is None or not text.values or all(spec.name != KINDS for spec in specs):
        return specs
    named = {token: name for name, token in guesser.config.numbers(r"(image|video)_token_(id|index)")}
    values = tuple(_KINDS.get(named.get(token, "").partition("_")[0], 0) for token in text.values)
    return tuple(replace(spec, shape=text.shape, values=values) if spec.name == KINDS else spec for spec in specs)


def recounted(specs: Inputs, numbers: list[int], guesser: Guesser) -> Iterator[Inputs]:
    """Put as many special tokens in a text as a failure names features, which may be counted by their elements.

    It names those of all samples.
    """
    usual = set(ordinary_tokens(guesser.model))
    widths = {size for _, size in guesser.config.numbers("hidden_size|d_model")} - {0}
    for place, spec in enumerate(specs):
        special = Counter(token for token in spec.values or () if token not in usual) if _is_text(spec) else {}
        for token, times in special.items():
            counted = [*numbers, *(number // width for number in numbers for width in widths if not number % width)]
            for number in counted:
                each, rest = divmod(number, guesser.batch)
                if 0 < each <= _MOST_SPECIAL and each != times and not rest:
                    other = with_special(spec, {**special, token: each}, guesser)
                    beside = (_as_long(each, spec, other) for each in specs)
                    yield tuple(other if which == place else each for which, each in enumerate(beside))


def _as_long(spec: InputSpec, text: InputSpec, other: InputSpec) -> InputSpec:
    """Return a mask that was as long as a text as long as another text."""
    is_its_mask = (spec.name or "").endswith("mask") and spec.shape == text.shape and spec.is_batched
    return replace(spec, shape=other.shape) if is_its_mask else spec
