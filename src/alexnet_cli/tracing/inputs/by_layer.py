"""Inputs guessed from a model's layers and parameters: what a model may take that begins with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.torch_insides import ConvNd, NormBase, own_parameters
from alexnet_cli.tracing.inputs.feed import image_channels
from alexnet_cli.tracing.inputs.sources import TOKENS

SIDES = (224, 227, 256, 32, 28, 64, 96, 128, 299, 384, 512, 16, 8)
LENGTHS = (16, 8, 32, 64, 128, 256, 512, 77, 197, 4, 1)
SAMPLES = (16_000, 1024, 128, 4096, 512, 64, 16)
FRAMES = (128, *SAMPLES[1:2], *SAMPLES[3:], SAMPLES[0])
"""Of more channels than sound has there are fewer: a second of sound makes some ten to a hundred."""
EARS = 2
VOLUMES = ((16, 112, 112), (32, 32, 32), (16, 64, 64), (64, 64, 64), (16, 224, 224))
SCANNED_SIDES = range(4, 400)
FIRST_LAYERS = 4


def late_embeddings(model: nn.Module) -> Iterator[tuple[str, InputSpec]]:
    """Yield token ids for an embedding that comes after the first layers in the order of registration."""
    first = {name for name, _ in first_layers(model)}
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)) and name not in first:
            yield from ((name, spec) for spec in shapes_for(layer, model))
            return


def raw_parameters(model: nn.Module) -> Iterator[InputSpec]:
    """Yield vectors, sequences and images as wide as parameters that the model's own code multiplies with."""
    for size in feature_counts(model):
        for shape in ((size,), (LENGTHS[0], size), *((size, side, side) for side in SIDES[:4])):
            yield InputSpec(shape)


def feature_counts(model: nn.Module) -> list[int]:
    """Return widths that an input may have: those that first layers take, then sizes of raw parameters."""
    telling = ("in_features", "in_channels", "input_size", "embed_dim")
    taken = (getattr(module, name, None) for module in model.modules() for name in telling)
    raw = (size for _, shape in _shapes(model) for size in shape)
    sizes = (size for size in (*taken, *raw) if isinstance(size, int) and size > 1)
    return list(islice(dict.fromkeys(sizes), FIRST_LAYERS))


def images_of_any_size(model: nn.Module) -> Iterator[tuple[str, InputSpec]]:
    """Yield square images of every size for the convolutions among the first layers."""
    for name, layer in first_layers(model):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            yield from ((name, InputSpec((image_channels(layer), side, side))) for side in SCANNED_SIDES)


def shapes_for(layer: nn.Module, model: nn.Module) -> Iterator[InputSpec]:
    """Yield shapes that a model beginning with this layer may take."""
    match layer:
        case ConvNd():
            rank = len(layer.kernel_size)
            channels = image_channels(layer)
            beyond_sound = rank == 1 and channels > EARS
            yield from (InputSpec((channels, *size)) for size in (zip(FRAMES) if beyond_sound else _spatial(rank)))
        case NormBase() | nn.GroupNorm():
            channels = layer.num_features if isinstance(layer, NormBase) else layer.num_channels
            volumes = isinstance(layer, nn.BatchNorm3d | nn.InstanceNorm3d)
            sizes = _spatial(3) if volumes else ((), *_spatial(2), *_spatial(1))
            yield from (InputSpec((channels, *size)) for size in sizes)
        case nn.Linear():
            yield from _features(layer.in_features, model)
        case nn.Bilinear():
            yield from (InputSpec((size,)) for size in (layer.in1_features, layer.in2_features))
        case nn.Embedding() | nn.EmbeddingBag():
            yield from (InputSpec((length,), TOKENS) for length in lengths(model))
            yield InputSpec((), TOKENS)
        case nn.RNNCellBase():
            yield InputSpec((layer.input_size,))
        case nn.RNNBase():
            yield from (InputSpec((length, layer.input_size)) for length in lengths(model))
        case nn.MultiheadAttention():
            yield from (InputSpec((length, layer.embed_dim)) for length in lengths(model))
        case nn.LayerNorm() | nn.RMSNorm():
            yield from (InputSpec((length, *layer.normalized_shape)) for length in lengths(model))
        case _:
            pass


def _features(size: int, model: nn.Module) -> Iterator[InputSpec]:
    """Yield vectors and sequences of them; sequences first where something attends or recurs."""
    sequences = [InputSpec((length, size)) for length in lengths(model)]
    in_order = any(isinstance(module, (nn.MultiheadAttention, nn.RNNBase)) for module in model.modules())
    yield from (*sequences, InputSpec((size,))) if in_order else (InputSpec((size,)), *sequences)


def _spatial(rank: int) -> Iterator[tuple[int, ...]]:
    if rank == 1:
        yield from ((samples,) for samples in SAMPLES)
    elif rank == 2:  # noqa: PLR2004 - images have two dimensions
        yield from ((side, side) for side in SIDES)
    else:
        yield from VOLUMES


def lengths(model: nn.Module) -> list[int]:
    """Return sequence lengths to try, among them those of learned position embeddings."""
    positions = [
        size
        for module, shape in _shapes(model)
        if not isinstance(module, (nn.Linear, ConvNd))
        for size in shape[:-1]
        if 1 < size <= LENGTHS[6]
    ]
    return list(dict.fromkeys((LENGTHS[0], *positions[:4], *LENGTHS)))


def _shapes(model: nn.Module) -> Iterator[tuple[nn.Module, torch.Size]]:
    """Yield the shape of each parameter with the module that holds it."""
    for module in model.modules():
        for parameter in own_parameters(module).values():
            if parameter is not None and not is_lazy(parameter):
                yield module, parameter.shape


def first_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the first layers, in registration order, that restrict their input's shape."""
    telling = (
        (name, module)
        for name, module in model.named_modules()
        if not _takes_anything(module)
        and next(shapes_for(module, model), None) is not None
        and not _inside_attention(name, model)
    )
    return list(islice(((name or "itself", module) for name, module in telling), FIRST_LAYERS))


def _takes_anything(module: nn.Module) -> bool:
    """Tell whether a lazy layer adapts to any input; one for images is assumed to get colour images."""
    lazy = isinstance(module, LazyModuleMixin) and module.has_uninitialized_params()
    return lazy and not isinstance(module, nn.LazyConv2d)


def _inside_attention(name: str, model: nn.Module) -> bool:
    parent = name.rpartition(".")[0]
    return bool(name) and isinstance(model.get_submodule(parent), nn.MultiheadAttention)
