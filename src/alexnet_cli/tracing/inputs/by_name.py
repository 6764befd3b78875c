"""Inputs guessed from the names of forward's arguments and from the model's own config."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from torch import nn

from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.torch_insides import ConvNd
from alexnet_cli.tracing.inputs.config import Config

TOKENS = "int64"
NODES, EDGES = 16, 32
MOST_COMBINATIONS = 60
_SAMPLES = 16_000
_SECONDS_OF_FRAMES = 100
_HALF_A_MINUTE = 3000
_PATCHES = 16
_LATENTS = 64
_TIME = r"timesteps?|t|time"
_SAY_NOTHING = ("input", "inputs", "hidden", "states", "values", "embeds", "ids", "mask", "encoder", "decoder", "cond")
_CUT = ("pixel_values", "hidden_states")
_DECODED = "decoder_input_ids"
_MAIN = ("input_ids", "pixel_values", "input_values", "input_features", "sample", "hidden_states", "past_values")


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
        return [replace(spec, name=name) for spec in (rule(self) if rule else self._by_setting(name))]

    def _by_setting(self, name: str) -> Iterator[InputSpec]:
        """Vectors of a size that the config names alike: `pooled_projections` and `pooled_projection_dim`."""
        words = [word.removesuffix("s") for word in name.split("_") if word not in _SAY_NOTHING]
        for setting, size in self.config.numbers(r".*_(dim|size|width|channels|features|len|length)"):
            if words and size > 1 and all(word in setting for word in words):
                yield InputSpec((size,))
                yield InputSpec((self.lengths[0], size))

    def unnamed(self, name: str) -> list[InputSpec]:
        """Return what a tensor may be whose name says nothing: what the first layers take, integers if it is said."""
        parameter = next((each for each in parameters_of(self.model) or () if each.name == name), None)
        said = "Tensor" if parameter is None or parameter.annotation is parameter.empty else str(parameter.annotation)
        if "LongTensor" in said or "IntTensor" in said:
            return [InputSpec(shape, TOKENS, name) for shape in ((), (self.lengths[0],))]
        return [replace(spec, name=name) for spec in self.by_layer] if "Tensor" in said or "Any" in said else []

    def takes_batch_for_channels(self, specs: Sequence[InputSpec]) -> bool:
        """Tell whether the first layer is a convolution that would take an input for one sample without a batch."""
        ranks = {len(spec.shape) for spec in self.by_layer[:1]}
        first = next((layer for layer in self.model.modules() if isinstance(layer, ConvNd)), None)
        by_convolution = first is not None and ranks == {len(first.kernel_size) + 1}
        return first is not None and by_convolution and any(len(spec.shape) == len(first.kernel_size) for spec in specs)

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
        size = self.config.get("image_size", "img_size", "input_size", "sample_size", "max_img_size", of=of)
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
        length = self.config.number("max_length", of=of)
        for frames in filter(None, (positions, length, _SECONDS_OF_FRAMES, _HALF_A_MINUTE, 1024)):
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
        widths = ("cross_attention_dim", "joint_attention_dim", "caption_channels", "encoder_hidden_size")
        width = self.config.number(*widths, "hidden_size", "d_model", "dim")
        for size in dict.fromkeys(filter(None, (width, *self.features))):
            yield from (InputSpec((length, size)) for length in self.lengths[:3])

    def samples(self) -> Iterator[InputSpec]:
        """The noisy latents of a diffusion model: sound, images or videos, as its first convolution takes them."""
        channels, *size = self._image()
        if not self.config:
            return
        if self.config.get("sample_size") is None:
            if not any(re.fullmatch(_TIME, each.name) for each in parameters_of(self.model) or ()):
                return
            size = [_LATENTS, _LATENTS]
        first = next((layer for layer in self.model.modules() if isinstance(layer, ConvNd)), None)
        if first is not None and len(first.kernel_size) == 1:
            yield InputSpec((channels, size[0]))
        yield InputSpec((channels, *size))
        frames = self.config.number("sample_frames", "num_frames", default=4)
        yield InputSpec((channels, frames, *size))
        yield InputSpec((frames, channels, *size))

    def states(self) -> Iterator[InputSpec]:
        """The latents of a transformer that denoises them; nothing where the config has no size for them."""
        if self.config.get("sample_size") is not None:
            yield from self.samples()

    def patches(self) -> Iterator[InputSpec]:
        """An image cut into patches, each a vector."""
        patch = self.config.number("patch_size", of="vision image")
        frames = self.config.number("temporal_patch_size", of="vision image", default=1)
        if patch:
            yield InputSpec((_PATCHES**2, self._image()[0] * frames * patch**2))

    def grids(self) -> Iterator[InputSpec]:
        """How many patches an image has: in time, in height and in width."""
        yield InputSpec((1, 3), TOKENS, values=(1, _PATCHES, _PATCHES), whole=True)

    def grid_sides(self) -> Iterator[InputSpec]:
        """How many patches an image has in height and in width."""
        yield InputSpec((2,), TOKENS, values=(_PATCHES, _PATCHES))

    def image_sizes(self) -> Iterator[InputSpec]:
        """The height and the width of an image."""
        yield InputSpec((2,), TOKENS, values=self._image()[1:])

    def labels(self) -> Iterator[InputSpec]:
        """The class of each sample."""
        yield InputSpec((), TOKENS)

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
        length, channels = self._past(), self.config.number("num_input_channels", "input_size", default=1)
        yield InputSpec((length,)) if channels == 1 else InputSpec((length, channels))
        yield InputSpec((length, channels))
        yield InputSpec((length,))

    def series_mask(self) -> Iterator[InputSpec]:
        """Which values of the past were observed."""
        yield from (replace(spec, dtype="bool") for spec in self.series())

    def _past(self) -> int:
        context = self.config.number("context_length", "prediction_length", default=32)
        return context + int(max(self.config.get("lags_sequence") or (0,)))

    def past_times(self) -> Iterator[InputSpec]:
        """What is known of each moment of the past, perhaps nothing."""
        yield InputSpec((self._past(), self._times()))

    def _times(self) -> int:
        return sum(self.config.number(f"num_{kind}_features") for kind in ("time", "dynamic_real"))

    def future(self) -> Iterator[InputSpec]:
        """The values that a time series is to have."""
        yield InputSpec((self.config.number("prediction_length", default=32),))

    def future_times(self) -> Iterator[InputSpec]:
        """What is known of each moment to come."""
        yield InputSpec((self.config.number("prediction_length", default=32), self._times()))


Rule = Callable[[Guesser], Iterator[InputSpec]]
_RULES: tuple[tuple[str, Rule], ...] = (
    (r"(.*_)?input_ids|tokens?|token_ids|.*_tokens|ids|idx|word_ids|src|tgt|text|texts|sentences?", Guesser.tokens),
    (r"(.*_)?(token_type|segment|position|entity|langs?|time)_ids?|langs", Guesser.per_token),
    (r"(.*_)?grid_thw", Guesser.grids),
    (r"(.*_)?(spatial_shapes?|target_sizes?)", Guesser.grid_sides),
    (r"image_sizes", Guesser.image_sizes),
    (r"class_labels?|classes", Guesser.labels),
    (r"past_observed_mask", Guesser.series_mask),
    (r"(.*_)?attention_mask", Guesser.per_token),
    (r"is_longer", Guesser.flags),
    (r"pixel_mask", Guesser.pixel_mask),
    (r"(.*_)?mask", Guesser.mask),
    (r"bbox|boxes|layout", Guesser.boxes),
    (r"pixel_values_videos?|videos?", Guesser.videos),
    (r"(.*_)?pixel_values", Guesser.images),
    (r"input_features|(.*_)?mels?|mel_spec.*|spectrograms?|log_mel", Guesser.spectrograms),
    (r"(.*_)?input_values|wave(form)?s?|audios?", Guesser.sounds),
    (r"(.*_)?inputs_embeds|encoder_hidden_states|context", Guesser.embeddings),
    (r"sample", Guesser.samples),
    (_TIME, Guesser.times),
    (r"edge_index|adj_t", Guesser.edges),
    (r"hidden_states", Guesser.states),
    (r"past_values", Guesser.series),
    (r"past_time_features", Guesser.past_times),
    (r"future_values", Guesser.future),
    (r"future_time_features", Guesser.future_times),
)


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
        if any(name.endswith("grid_thw") for name in names):
            cut = [replace(spec, whole=True) for spec in guesser.patches()]
            guesses |= {name: [replace(spec, name=name) for spec in cut] for name in names if name in _CUT}
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


def _unsaid(name: str, names: Sequence[str], guesser: Guesser) -> list[InputSpec]:
    others = guesser.nodes() if "edge_index" in names else guesser.by_layer
    return [replace(spec, name=name) for spec in others]


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


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
