"""Inputs guessed from the names of forward's arguments and from the model's own config."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

from msgspec.structs import replace

from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs import pictures, sources
from alexnet_cli.tracing.inputs.feed import first_convolution
from alexnet_cli.tracing.inputs.sources import TOKENS, Guess, Source

MOST_COMBINATIONS = 60
_SAY_NOTHING = ("input", "inputs", "hidden", "states", "values", "embeds", "ids", "mask", "encoder", "decoder", "cond")
_DECODED = "decoder_input_ids"
_MAIN = ("input_ids", "pixel_values", "input_values", "input_features", "sample", "hidden_states", "past_values")
_SHORTEST = 3
_INTEGERS = re.compile("LongTensor|IntTensor")
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

_RULES: tuple[tuple[str, Guess], ...] = (
    (r"(.*_)?input_ids|tokens?|token_ids|.*_tokens|ids|idx|word_ids|src|tgt|text|texts|sentences?", sources.tokens),
    (r"(.*_)?time_ids", pictures.time_ids),
    (r"pixel_position_ids", pictures.places),
    (r"(.*_)?langs?_ids?|langs", sources.first_of_each),
    (r"(.*_)?(token_type|segment|position|entity)_ids?", sources.per_token),
    (r"(.*_)?grid_thw", pictures.grids),
    (r"(.*_)?merge_sizes?", pictures.merge_sizes),
    (r"(.*_)?(spatial_shapes?|target_sizes?)", pictures.grid_sides),
    (r"image_sizes", pictures.image_sizes),
    (r"aspect_ratio_ids", pictures.aspect_ratios),
    (r"aspect_ratio_mask", pictures.tiles_mask),
    (r"cross_attention_mask", pictures.seen_mask),
    (r"image_attention_mask", pictures.seen_pictures),
    (r"class_labels?|classes", sources.labels),
    (r".*_(structure|counts?)", sources.counts),
    (r"past_observed_mask", sources.series_mask),
    (r"pixel_attention_mask", pictures.pictures_mask),
    (r"(.*_)?attention_mask", sources.per_token),
    (r"is_longer", sources.flags),
    (r"pixel_mask", pictures.pixel_mask),
    (r"(.*_)?mask", sources.mask),
    (r"bbox|boxes|layout", sources.boxes),
    (r"pixel_values_videos?|videos?", pictures.videos),
    (r"(.*_)?pixel_values", pictures.images),
    (r"input_features|(.*_)?mels?|mel_spec.*|spectrograms?|log_mel", pictures.spectrograms),
    (r"(.*_)?input_values|wave(form)?s?|audios?", pictures.sounds),
    (r"(.*_)?inputs_embeds|encoder_hidden_states|context", sources.embeddings),
    (r"sample", pictures.samples),
    (pictures.TIME, pictures.times),
    (r"edge_index|adj_t", sources.edges),
    (r"hidden_states", pictures.states),
    (r"past_values", sources.series),
    (r"past_time_features", sources.past_times),
    (r"future_values", sources.future),
    (r"future_time_features", sources.future_times),
)


class Guesser(Source):
    """Guesses what an argument of forward may be."""

    def of(self, name: str) -> list[InputSpec]:
        """Return what an argument of this name may be, the likeliest first; nothing if the name says nothing."""
        rule = next((rule for pattern, rule in _RULES if re.fullmatch(pattern, name)), None)
        return [replace(spec, name=name) for spec in (rule(self) if rule else self._by_word(name))]

    def _by_word(self, name: str) -> Iterator[InputSpec]:
        """Vectors of a size that the config names alike: `pooled_projection_dim`, and `act_dim` of `actions`."""
        if self.config and name.endswith("embeds"):
            yield from sources.embeddings(self)
        words = [word.removesuffix("s") for word in name.split("_") if word not in _SAY_NOTHING]
        for setting, size in self.config.numbers(r".*_(dim|size|width|channels|features|len|length)"):
            short = setting.partition("_")[0]
            shortened = len(short) >= _SHORTEST and len(words) == 1 and words[0].startswith(short)
            if words and size > 1 and (shortened or all(word in setting for word in words)):
                yield InputSpec((size,))
                yield InputSpec((self.lengths[0], size))

    def unnamed(self, name: str) -> list[InputSpec]:
        """Return what a tensor may be whose name says nothing: what the first layers take, integers if it is said."""
        said = self._annotation(name)
        if _INTEGERS.search(said):
            return [InputSpec(shape, TOKENS, name) for shape in ((), (self.lengths[0],))]
        return [replace(spec, name=name) for spec in self.by_layer] if "Tensor" in said or "Any" in said else []

    def is_integer(self, name: str) -> bool:
        """Tell whether an argument is said to be a tensor of integers."""
        return _INTEGERS.search(self._annotation(name)) is not None

    def _annotation(self, name: str) -> str:
        parameter = next((each for each in parameters_of(self.model) or () if each.name == name), None)
        return "Tensor" if parameter is None or parameter.annotation is parameter.empty else str(parameter.annotation)

    def takes_batch_for_channels(self, specs: Sequence[InputSpec]) -> bool:
        """Tell whether the first layer is a convolution that would take an input for one sample without a batch."""
        ranks = {len(spec.shape) for spec in self.by_layer[:1]}
        first = first_convolution(self.model)
        by_convolution = first is not None and ranks == {len(first.kernel_size) + 1}
        return first is not None and by_convolution and any(len(spec.shape) == len(first.kernel_size) for spec in specs)


def by_name(guesser: Guesser) -> Iterator[tuple[InputSpec, ...]]:
    """Yield inputs from the names of forward's arguments; nothing where no name says anything.

    They are the required arguments, or if there are none each of the usual main ones.
    """
    parameters = [each for each in parameters_of(guesser.model) or () if each.kind not in _VARIADIC]
    required = [each for each in parameters if each.default is each.empty]
    names = [each.name for each in required]
    guesses = {name: guesser.of(name) for name in names}
    if any(guesses.values()):
        guesses = {name: specs or _unsaid(name, names, guesser) for name, specs in guesses.items()}
        guesses |= {name: _masks(name, specs, guesses) for name, specs in guesses.items()}
        for chosen in _simplest_first(list(guesses.values())):
            yield tuple(_positional(spec, required) for spec in chosen)
    elif not required:
        main = getattr(guesser.model, "main_input_name", None)
        optional = {each.name for each in parameters}
        for name in dict.fromkeys(name for name in (main, *_MAIN) if name in optional):
            decoded = guesser.of(_DECODED)[:1] if name != _DECODED and _DECODED in optional else []
            for spec in guesser.of(name) or guesser.unnamed(name):
                yield (spec,)
                yield from ((spec, first) for first in decoded)


def _masks(name: str, specs: list[InputSpec], guesses: Mapping[str, list[InputSpec]]) -> list[InputSpec]:
    """Return a mask for each guess of what is called alike, as long as that: `audio_mel_mask` for `audio_mel`."""
    masked = guesses.get(name.removesuffix("_mask"), []) if name.endswith("_mask") and specs else []
    return [replace(specs[0], shape=each.shape[:1]) for each in masked] or specs


def _unsaid(name: str, names: Sequence[str], guesser: Guesser) -> list[InputSpec]:
    if guesser.is_integer(name):
        return guesser.unnamed(name)
    others = sources.nodes(guesser) if "edge_index" in names else guesser.by_layer
    return [replace(spec, name=name) for spec in others]


def _simplest_first(options: Sequence[Sequence[InputSpec]]) -> Iterator[tuple[InputSpec, ...]]:
    """Combine what each argument may be, the likeliest first; sequences of one length come before others."""
    shortest = [each[:6] for each in options]
    lengths = [list(range(len(each))) for each in shortest]
    ordered = sorted(product(*lengths), key=lambda places: (len(set(places)) > 1, sum(places)))
    for places in islice(ordered, MOST_COMBINATIONS):
        yield tuple(each[place] for each, place in zip(shortest, places, strict=True))


def _positional(spec: InputSpec, required: Sequence[inspect.Parameter]) -> InputSpec:
    """Drop the name of an argument that is required by position."""
    positional = any(each.name == spec.name and each.kind is not each.KEYWORD_ONLY for each in required)
    return replace(spec, name=None) if positional else spec
