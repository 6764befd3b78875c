"""Guesses of pictures, videos and sound, whole or cut into patches, and of the noise that diffusion models clean."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs.feed import first_convolution
from alexnet_cli.tracing.inputs.sources import TOKENS, Source, always, once, per_token

TIME = r"timesteps?|t|time"
"""What the argument is called that says how noisy a sample is."""

_SAMPLES = 16_000
_SECONDS_OF_FRAMES = 100
_HALF_A_MINUTE = 3000
_PATCHES = 16
_LATENTS = 64
_PLACES = "pixel_position_ids"
_VISION = "vision image"
_FRAMES = ("num_frames", "frames", "frames_per_clip")


aspect_ratios = always((1,), values=(1,))
"""The number of the shape that the tiles of each picture form: that of a single tile."""
grids = always((3,), values=(1, _PATCHES, _PATCHES))
"""How many patches an image has: in time, in height and in width."""
grid_sides = always((2,), values=(_PATCHES, _PATCHES))
"""How many patches an image has in height and in width."""
videos = once(lambda source: InputSpec((source.config.number(*_FRAMES, default=8), *source.image())))
"""Frames of a video."""
pixel_mask = once(lambda source: InputSpec(source.image()[1:], TOKENS))
"""Whether each pixel counts."""
tiles_mask = once(lambda source: InputSpec((1, _tiles(source) or 1), TOKENS))
"""Whether each tile of each picture counts."""
image_sizes = once(lambda source: InputSpec((2,), TOKENS, values=source.image()[1:]))
"""The height and the width of an image."""
merge_sizes = once(lambda source: InputSpec((), TOKENS, values=(_merged(source),)))
"""How many patches become one in height and in width."""


def images(source: Source) -> Iterator[InputSpec]:
    """Images, and then those of videos, at the size of the config and at usual ones; patches where a grid is said."""
    if _says_grid(source):
        yield from patches(source)
    if _PLACES in source.arguments():
        yield from (
            replace(spec, shape=(_pooled_side(source) ** 2, *spec.shape[1:]), stacked=False) for spec in patches(source)
        )
    channels, *size = source.image()
    if tiles := _tiles(source):
        yield InputSpec((1, tiles, channels, *size))
    if frames := source.config.number(*_FRAMES):
        yield InputSpec((frames, channels, *size))
    for sides in (tuple(size), (224, 224), (64, 64), (384, 384), (512, 512)):
        yield InputSpec((channels, *sides))
    yield InputSpec((1, channels, *size))


def pictures_mask(source: Source) -> Iterator[InputSpec]:
    """Whether each of several pictures counts, or each pixel of them."""
    yield InputSpec((1,), "bool")
    yield InputSpec((1, *source.image()[1:]), "bool")


def seen_mask(source: Source) -> Iterator[InputSpec]:
    """Whether each token sees each tile of each picture."""
    yield from (InputSpec((length, 1, _tiles(source) or 1), TOKENS) for length in source.lengths)


def seen_pictures(source: Source) -> Iterator[InputSpec]:
    """Whether each token sees each picture, or each counts."""
    yield InputSpec((source.lengths[0], 1), TOKENS)
    yield from per_token(source)


def _tiles(source: Source) -> int:
    return source.config.number("max_num_tiles", of=_VISION)


def patches(source: Source) -> Iterator[InputSpec]:
    """An image cut into patches, vectors or small images; those of all samples follow one another."""
    patch = source.config.number("patch_size", of=_VISION)
    frames = source.config.number("temporal_patch_size", of=_VISION, default=1)
    if patch:
        channels, side = source.image()[0], patch * _merged(source)
        yield InputSpec((_PATCHES**2, channels * frames * patch**2), stacked=True)
        yield InputSpec((_PATCHES**2, channels, patch, patch), stacked=True)
        yield InputSpec((_PATCHES**2, side, side, channels), stacked=True)


def places(source: Source) -> Iterator[InputSpec]:
    """In which column and row of its image each patch stands."""
    side = _pooled_side(source)
    values = tuple(number for row in range(side) for column in range(side) for number in (column, row))
    yield InputSpec((side**2, 2), TOKENS, values=values)


def _pooled_side(source: Source) -> int:
    """Return how many patches an image has in height and in width, if whole windows of them are pooled."""
    window = source.config.number("pooling_kernel_size", of=_VISION, default=1)
    return max(_PATCHES // window, 1) * window


def _merged(source: Source) -> int:
    return source.config.number("spatial_merge_size", "merge_size", of=_VISION, default=1)


def spectrograms(source: Source) -> Iterator[InputSpec]:
    """Mel bands by frames, and frames by mel bands; Whisper takes twice its positions."""
    of = "audio encoder speech"
    names = ("num_mel_bins", "input_feat_per_channel", "input_feat_size", "feature_size", "input_dim", "n_mels")
    bands = source.config.number(*names, of=of, default=80)
    positions = 2 * source.config.number("max_source_positions", of=of)
    length = source.config.number("max_length", of=of)
    for frames in filter(None, (positions, length, _SECONDS_OF_FRAMES, _HALF_A_MINUTE, 1024)):
        yield InputSpec((bands, frames))
        yield InputSpec((frames, bands))
        yield InputSpec((1, frames, bands))


def sounds(source: Source) -> Iterator[InputSpec]:
    """A second of sound, or a spectrogram where the config has bands."""
    bands, length = source.config.number("num_mel_bins"), source.config.number("max_length")
    if bands and length:
        yield InputSpec((length, bands))
    yield InputSpec((_SAMPLES,))
    yield InputSpec((source.config.number("audio_channels", default=1), _SAMPLES))
    yield InputSpec((_SECONDS_OF_FRAMES, source.config.number("num_mel_bins", default=80)))


def samples(source: Source) -> Iterator[InputSpec]:
    """The noisy latents of a diffusion model: sound, images or videos, as its first convolution takes them."""
    channels, *size = source.image()
    if not source.config:
        return
    if source.config.get("sample_size") is None:
        if not any(re.fullmatch(TIME, name) for name in source.arguments()):
            return
        size = [_LATENTS, _LATENTS]
    first = first_convolution(source.model)
    if first is not None and len(first.kernel_size) == 1:
        yield InputSpec((channels, size[0]))
    told = source.config.number("num_frames")
    if told:
        yield InputSpec((told, channels, *size))
    yield InputSpec((channels, *size))
    frames = source.config.number("sample_frames", default=told or 4)
    yield InputSpec((channels, frames, *size))
    yield InputSpec((frames, channels, *size))


def states(source: Source) -> Iterator[InputSpec]:
    """The latents of a transformer that denoises them; patches where a grid is to be said; else nothing."""
    if source.config.get("sample_size") is not None:
        yield from samples(source)
    elif _says_grid(source):
        yield from patches(source)


def _says_grid(source: Source) -> bool:
    return any(name.endswith("grid_thw") for name in source.arguments())


def times(_: Source) -> Iterator[InputSpec]:
    """A time step for each sample, or one for all."""
    yield InputSpec((), TOKENS)
    yield InputSpec((), None)
    yield InputSpec((), TOKENS, whole=True)
    yield InputSpec((1,))


def time_ids(source: Source) -> Iterator[InputSpec]:
    """Numbers that are embedded like time steps, as many as the layer takes that follows; else one for each token."""
    every = source.config.number("projection_class_embeddings_input_dim")
    each = source.config.number("addition_time_embed_dim")
    if every and each:
        yield InputSpec((every // each,))
    else:
        yield from per_token(source)
