"""Pictures and sound beside the text of a model that takes them too, and the tokens that stand for them in the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest

from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs.by_name import TOKENS, Guesser
from alexnet_cli.tracing.inputs.feed import ordinary_tokens

Inputs = tuple[InputSpec, ...]
WORDS = 16
"""So many ordinary tokens stand around those of pictures and sound."""

_GUESSES = 6
_MOST_SPECIAL = 20_000
_SENSES = {
    r"(image_)?pixel_values(_images)?|images?": r"(image|img|vision)(_patch)?_token_(id|index)",
    r"input_features|audio_features|(audio_)?input_values|audio_values": r"(audio|speech|sound)_token_(id|index)",
}
"""Arguments of forward by sense, and the settings that name the token of each."""
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
    return spec.dtype == TOKENS and len(spec.shape) == 1 and not spec.whole and spec.name in (None, "input_ids")


def with_special(spec: InputSpec, special: Mapping[int, int], guesser: Guesser) -> InputSpec:
    """Return a text with so many of each special token in it."""
    if not special:
        return spec
    usual = ordinary_tokens(guesser.model)
    words = [usual[place % len(usual)] for place in range(WORDS)]
    placed = [token for token, times in special.items() for _ in range(times)]
    values = (words[0], *placed, *words[1:])
    return replace(spec, shape=(len(values),), values=values)


def recounted(specs: Inputs, numbers: list[int], guesser: Guesser) -> Iterator[Inputs]:
    """Put as many special tokens in a text as a failure names features, which may be counted by their elements."""
    usual = set(ordinary_tokens(guesser.model))
    widths = {size for _, size in guesser.config.numbers("hidden_size|d_model")} - {0}
    for place, spec in enumerate(specs):
        special = Counter(token for token in spec.values or () if token not in usual) if _is_text(spec) else {}
        for token, times in special.items():
            for number in (
                *numbers,
                *(number // width for number in numbers for width in widths if not number % width),
            ):
                if 0 < number <= _MOST_SPECIAL and number != times:
                    other = with_special(spec, {**special, token: number}, guesser)
                    yield (*specs[:place], other, *specs[place + 1 :])
