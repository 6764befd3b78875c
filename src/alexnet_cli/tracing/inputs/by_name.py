"""Inputs guessed from the names of forward's arguments and from the model's own config."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

from torch import nn

from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec

TOKENS = "int64"
NODES, EDGES = 16, 32
MOST_COMBINATIONS = 60
_SAMPLES = 16_000
_SECONDS_OF_FRAMES = 100
_OPTIONAL = (
    (),
    ("decoder_input_ids",),
    ("input_ids",),
    ("input_ids", "attention_mask"),
    ("attention_mask",),
    ("pixel_values",),
    ("pixel_values", "input_ids", "attention_mask"),
    ("bbox",),
    ("pixel_values", "bbox"),
    ("input_features",),
    ("is_longer",),
    ("input_features", "is_longer"),
    ("input_values",),
    ("decoder_input_values",),
    ("encoder_hidden_states",),
    ("past_time_features", "past_observed_mask", "future_values", "future_time_features"),
)
"""Arguments that are optional in the signature and yet needed, to be tried beside the main one."""
_MAIN = ("input_ids", "pixel_values", "input_values", "input_features", "sample", "hidden_states", "past_values")


class Config:
    """A model's config and those nested in it: transformers' and diffusers' are objects or mappings."""

    def __init__(self, model: nn.Module) -> None:
        root = getattr(model, "config", None)
        self.parts: list[tuple[str, Any]] = [] if root is None else [("", root)]
        for name, part in self.parts:  # grows while it is walked
            inner = part if isinstance(part, Mapping) else getattr(part, "__dict__", {})
            known = {id(other) for _, other in self.parts}
            self.parts += [
                (f"{name}.{key}", value)
                for key, value in inner.items()
                if id(value) not in known and (hasattr(value, "model_type") or str(key).endswith("_config"))
            ]

    def __bool__(self) -> bool:
        return bool(self.parts)

    def get(self, *names: str, of: str = "") -> Any:
        """Return the first setting of these names, from parts whose name holds one of the words in `of` first."""
        words = of.split()
        parts = sorted(self.parts, key=lambda part: not any(word in part[0] for word in words)) if words else self.parts
        for _, part in parts:
            for name in names:
                value = part.get(name) if isinstance(part, Mapping) else getattr(part, name, None)
                if value is not None:
                    return value
        return None

    def number(self, *names: str, of: str = "", default: int = 0) -> int:
        """Return the first setting that is a positive number; of a sequence its first."""
        value = self.get(*names, of=of)
        if isinstance(value, (tuple, list)) and value:
            value = value[0]
        return int(value) if isinstance(value, (int, float)) and value >= 1 else default


@dataclass(frozen=True)
class Guesser:
    """Guesses what an argument of forward may be; `lengths` are those of sequences, the likely ones first.

    `features` are widths that layers take, `by_layer` what an argument may be whose name says nothing.
    """

    model: nn.Module
    config: Config
    lengths: Sequence[int]
    features: Sequence[int]
    by_layer: Sequence[InputSpec]

    def of(self, name: str) -> list[InputSpec]:
        """Return what an argument of this name may be, the likeliest first; nothing if the name says nothing."""
        rule = next((rule for pattern, rule in _RULES if re.fullmatch(pattern, name)), None)
        return [replace(spec, name=name) for spec in rule(self)] if rule else []

    def unnamed(self, name: str) -> list[InputSpec]:
        """Return what an argument may be whose name says nothing: what the first layers take."""
        return [replace(spec, name=name) for spec in self.by_layer]

    def tokens(self) -> Iterator[InputSpec]:
        """Token ids; none where nothing embeds them."""
        if self.config or self._embeds():
            yield from (InputSpec((length,), TOKENS) for length in self.lengths)

    def _embeds(self) -> bool:
        return any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in self.model.modules())

    def per_token(self) -> Iterator[InputSpec]:
        """One number for each token."""
        yield from (InputSpec((length,), TOKENS) for length in self.lengths)

    def mask(self) -> Iterator[InputSpec]:
        """Whether each token counts."""
        yield from (InputSpec((length,), "bool") for length in self.lengths)

    def flags(self) -> Iterator[InputSpec]:
        """Yes or no for each sample."""
        yield InputSpec((1,), "bool")

    def boxes(self) -> Iterator[InputSpec]:
        """Where each token stands on a page."""
        yield from (InputSpec((length, 4), TOKENS) for length in self.lengths)

    def _image(self) -> tuple[int, int, int]:
        of = "vision image"
        size = self.config.get("image_size", "img_size", "input_size", "sample_size", of=of)
        if isinstance(size, Mapping):
            size = tuple(size.values())
        height, width = (*size, *size)[:2] if isinstance(size, (tuple, list)) and size else (size, size)
        sides = [side if isinstance(side, int) and side > 1 else 224 for side in (height, width)]
        channels = self.config.number("num_channels", "in_channels", "in_chans", "num_input_channels", of=of, default=3)
        return channels, sides[0], sides[1]

    def images(self) -> Iterator[InputSpec]:
        """Images, and then those of videos, at the size of the config and at usual ones."""
        channels, *size = self._image()
        frames = self.config.number("num_frames", "frames", "frames_per_clip", default=0)
        if frames:
            yield InputSpec((frames, channels, *size))
        for sides in (tuple(size), (224, 224), (64, 64), (384, 384), (512, 512)):
            yield InputSpec((channels, *sides))
        yield InputSpec((1, channels, *size))

    def videos(self) -> Iterator[InputSpec]:
        """Frames of a video."""
        frames = self.config.number("num_frames", "frames", "frames_per_clip", default=8)
        yield InputSpec((frames, *self._image()))

    def pixel_mask(self) -> Iterator[InputSpec]:
        """Whether each pixel counts."""
        yield InputSpec(self._image()[1:], TOKENS)

    def spectrograms(self) -> Iterator[InputSpec]:
        """Mel bands by frames, and frames by mel bands; Whisper takes twice its positions."""
        of = "audio encoder speech"
        bands = self.config.number(
            "num_mel_bins", "input_feat_per_channel", "feature_size", "input_dim", "n_mels", of=of, default=80
        )
        positions = 2 * self.config.number("max_source_positions", of=of)
        for frames in filter(None, (positions, self.config.number("max_length", of=of), _SECONDS_OF_FRAMES, 1024)):
            yield InputSpec((bands, frames))
            yield InputSpec((frames, bands))
            yield InputSpec((1, frames, bands))

    def sounds(self) -> Iterator[InputSpec]:
        """A second of sound, or a spectrogram where the config has bands."""
        if self.config.number("num_mel_bins") and self.config.number("max_length"):
            yield InputSpec((self.config.number("max_length"), self.config.number("num_mel_bins")))
        yield InputSpec((_SAMPLES,))
        yield InputSpec((self.config.number("audio_channels", default=1), _SAMPLES))
        yield InputSpec((_SECONDS_OF_FRAMES, self.config.number("num_mel_bins", default=80)))

    def embeddings(self) -> Iterator[InputSpec]:
        """A sequence of vectors as wide as the model."""
        width = self.config.number("cross_attention_dim", "encoder_hidden_size", "hidden_size", "d_model", "dim")
        for size in dict.fromkeys(filter(None, (width, *self.features))):
            yield from (InputSpec((length, size)) for length in self.lengths[:3])

    def samples(self) -> Iterator[InputSpec]:
        """The noisy latents of a diffusion model."""
        channels, *size = self._image()
        if self.config.get("sample_size") is not None:
            yield InputSpec((channels, *size))
            yield InputSpec((channels, self.config.number("sample_frames", "num_frames", default=4), *size))

    def times(self) -> Iterator[InputSpec]:
        """A time step for each sample, or one for all."""
        yield InputSpec((), TOKENS)
        yield InputSpec((), None)
        yield InputSpec((), TOKENS, whole=True)
        yield InputSpec((1,))

    def edges(self) -> Iterator[InputSpec]:
        """The two nodes of each edge."""
        yield InputSpec((2, EDGES), TOKENS, whole=True)

    def nodes(self) -> Iterator[InputSpec]:
        """The vectors of a graph's nodes, for which there is no batch."""
        yield from (InputSpec((NODES, size), whole=True) for size in self.features)

    def series(self) -> Iterator[InputSpec]:
        """The past of a time series: as long as the context and the lags before it."""
        context = self.config.number("context_length", "prediction_length", default=32)
        lags = self.config.get("lags_sequence") or (0,)
        length = context + max(lags)
        channels = self.config.number("num_input_channels", "input_size", default=1)
        yield InputSpec((length,)) if channels == 1 else InputSpec((length, channels))
        yield InputSpec((length, channels))
        yield InputSpec((length,))


Rule = Callable[[Guesser], Iterator[InputSpec]]
_RULES: tuple[tuple[str, Rule], ...] = (
    (r"(.*_)?input_ids|tokens?|token_ids|.*_tokens|ids|idx|word_ids|src|tgt|text|texts|sentences?", Guesser.tokens),
    (r"(.*_)?(token_type|segment|position|entity|langs?)_ids?|langs", Guesser.per_token),
    (r"(.*_)?attention_mask", Guesser.per_token),
    (r"is_longer", Guesser.flags),
    (r"pixel_mask", Guesser.pixel_mask),
    (r"(.*_)?mask", Guesser.mask),
    (r"bbox|boxes|layout", Guesser.boxes),
    (r"pixel_values_videos?|videos?", Guesser.videos),
    (r"(.*_)?pixel_values", Guesser.images),
    (r"input_features|mels?|mel_spec.*|spectrograms?|log_mel", Guesser.spectrograms),
    (r"(.*_)?input_values|wave(form)?s?|audios?", Guesser.sounds),
    (r"(.*_)?inputs_embeds|encoder_hidden_states|context", Guesser.embeddings),
    (r"sample", Guesser.samples),
    (r"timesteps?|t|time", Guesser.times),
    (r"edge_index|adj_t", Guesser.edges),
    (r"past_values|past_observed_mask", Guesser.series),
)


def by_name(guesser: Guesser) -> Iterator[tuple[InputSpec, ...]]:
    """Yield inputs from the names of forward's arguments; nothing where no name says anything."""
    parameters = [each for each in parameters_of(guesser.model) or () if each.kind not in _VARIADIC]
    required = [each for each in parameters if each.default is each.empty]
    optional = {each.name for each in parameters if each.default is not each.empty}
    is_graph = any(each.name == "edge_index" for each in required)
    guesses = {each.name: guesser.of(each.name) for each in required}
    main = getattr(guesser.model, "main_input_name", None)
    mains = list(dict.fromkeys(name for name in (main, *_MAIN) if name in optional)) if not required else []
    if not any(guesses.values()) and not mains:
        return
    others = list(guesser.nodes() if is_graph else guesser.by_layer)
    guesses |= {name: [replace(spec, name=name) for spec in others] for name, specs in guesses.items() if not specs}
    for chosen in _choices(list(guesses), mains, optional):
        options = [guesses[name] if name in guesses else guesser.of(name) for name in chosen]
        if all(options):
            for specs in _simplest_first(options):
                yield tuple(_positional(spec, required) for spec in specs)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _choices(required: Sequence[str], mains: Sequence[str], optional: set[str]) -> list[tuple[str, ...]]:
    """Return which arguments to give: the required ones or the main one, alone and with optional ones."""
    firsts = [tuple(required)] if required else [(name,) for name in mains]
    choices = [
        tuple(dict.fromkeys((*first, *others)))
        for first in firsts
        for others in _OPTIONAL
        if optional.issuperset(others)
    ]
    return list(dict.fromkeys(choices))


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
