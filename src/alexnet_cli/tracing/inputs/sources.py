"""What guesses of inputs draw from, a model's config above all, and those of words, graphs and series."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace
from torch import nn

from alexnet_cli.tape import Shape
from alexnet_cli.targets.example import parameters_of
from alexnet_cli.targets.inputs import InputSpec

TOKENS = "int64"
NODES, EDGES = 16, 32
_SIDE = 224
_COLOURS = 3

Guess = Callable[["Source"], Iterator[InputSpec]]


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

    def numbers(self, pattern: str) -> Iterator[tuple[str, int]]:
        """Yield the settings that are whole numbers and whose names fit a pattern."""
        for _, part in self.parts:
            settings = part if isinstance(part, Mapping) else getattr(part, "__dict__", {})
            for name, value in settings.items():
                if isinstance(value, int) and not isinstance(value, bool) and re.fullmatch(pattern, str(name)):
                    yield str(name), value

    def number(self, *names: str, of: str = "", default: int = 0) -> int:
        """Return the first setting that is a positive number; of a sequence its first."""
        value = self.get(*names, of=of)
        if isinstance(value, (tuple, list)) and value:
            value = value[0]
        return int(value) if isinstance(value, (int, float)) and value >= 1 else default


@dataclass(frozen=True)
class Source:
    """What guesses draw from; `lengths` are those of sequences, the likely ones first.

    `features` are widths that layers take, `by_layer` what an argument may be whose name says nothing; `batch` is how
    many samples the inputs are tried with.
    """

    model: nn.Module
    config: Config
    lengths: Sequence[int]
    features: Sequence[int]
    by_layer: Sequence[InputSpec]
    batch: int = 1

    def arguments(self) -> list[str]:
        """Return the names of forward's arguments."""
        return [each.name for each in parameters_of(self.model) or ()]

    def image(self) -> tuple[int, int, int]:
        """Return the channels, height and width of images, colour images of a usual size if the config says nothing."""
        of = "vision image"
        size = self.config.get("image_size", "img_size", "input_size", "sample_size", "max_img_size", of=of)
        if isinstance(size, Mapping):
            size = tuple(size.values())
        height, width = (*size, *size)[:2] if isinstance(size, (tuple, list)) and size else (size, size)
        sides = [side if isinstance(side, int) and side > 1 else _SIDE for side in (height, width)]
        names = ("num_channels", "in_channels", "in_chans", "num_input_channels")
        return self.config.number(*names, of=of, default=_COLOURS), sides[0], sides[1]


def always(shape: Shape, dtype: str = TOKENS, **said: Any) -> Guess:
    """Return the guess of one input, whatever the model is."""
    return once(lambda _: InputSpec(shape, dtype, **said))


def once(make: Callable[[Source], InputSpec]) -> Guess:
    """Return the guess of the one input that is made for a model."""
    return lambda source: iter((make(source),))


def each_length(make: Callable[[int], InputSpec]) -> Guess:
    """Return the guess of an input for each length of a sequence."""
    return lambda source: map(make, source.lengths)


flags = always((1,), "bool")
"""Yes or no for each sample."""
labels = always(())
"""The class of each sample."""
counts = always((), values=(1,))
"""Of how many parts each sample is: of one."""
edges = always((2, EDGES), whole=True)
"""The two nodes of each edge."""
per_token = each_length(lambda length: InputSpec((length,), TOKENS))
"""One number for each token."""
first_of_each = each_length(lambda length: InputSpec((length,), TOKENS, values=(0,) * length))
"""The first of a few kinds for each token, such as languages."""
mask = each_length(lambda length: InputSpec((length,), "bool"))
"""Whether each token counts."""
boxes = each_length(lambda length: InputSpec((length, 4), TOKENS))
"""Where each token stands on a page."""
past_times = once(lambda source: InputSpec((_past(source), _of_each_time(source))))
"""What is known of each moment of the past, perhaps nothing."""
future = once(lambda source: InputSpec((_to_come(source),)))
"""The values that a time series is to have."""
future_times = once(lambda source: InputSpec((_to_come(source), _of_each_time(source))))
"""What is known of each moment to come."""


def tokens(source: Source) -> Iterator[InputSpec]:
    """Token ids; none where nothing embeds them."""
    embeds = any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in source.model.modules())
    if source.config or embeds:
        yield from per_token(source)


def embeddings(source: Source) -> Iterator[InputSpec]:
    """A sequence of vectors as wide as the model, or as one of its parts."""
    widths = ("cross_attention_dim", "joint_attention_dim", "caption_channels", "encoder_hidden_size")
    first = source.config.number(*widths, "hidden_size", "d_model", "dim")
    parts = (size for _, size in source.config.numbers("hidden_size|d_model"))
    sizes = list(dict.fromkeys(filter(None, (first, *source.features, *parts))))
    usual, *longer = source.lengths[:3]
    yield from (InputSpec((length, size)) for size in sizes[:1] for length in (usual, *longer))
    yield from (InputSpec((usual, size)) for size in sizes[1:])
    yield from (InputSpec((length, size)) for size in sizes[1:] for length in longer)


def nodes(source: Source) -> Iterator[InputSpec]:
    """The vectors of a graph's nodes, for which there is no batch."""
    yield from (InputSpec((NODES, size), whole=True) for size in source.features)


def series(source: Source) -> Iterator[InputSpec]:
    """The past of a time series: as long as the context and the lags before it."""
    length, channels = _past(source), source.config.number("num_input_channels", "input_size", default=1)
    yield InputSpec((length,)) if channels == 1 else InputSpec((length, channels))
    yield InputSpec((length, channels))
    yield InputSpec((length,))


def series_mask(source: Source) -> Iterator[InputSpec]:
    """Which values of the past were observed."""
    yield from (replace(spec, dtype="bool") for spec in series(source))


def _past(source: Source) -> int:
    context = source.config.number("context_length", "prediction_length", default=32)
    return context + int(max(source.config.get("lags_sequence") or (0,)))


def _to_come(source: Source) -> int:
    return source.config.number("prediction_length", default=32)


def _of_each_time(source: Source) -> int:
    return sum(source.config.number(f"num_{kind}_features") for kind in ("time", "dynamic_real"))
