"""Which arguments of forward are text, how long it is in a prompt, and what comes after it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from alexnet_cli.errors import UsageError
from alexnet_cli.targets.example import Example, argument_names, keyword_names, parameters_of
from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.options import Serving
from alexnet_cli.tracing.recording.tensors import tensors_within

_DECODER = "decoder_"
_USE_CACHE = "use_cache"
_LAST_LOGITS = ("logits_to_keep", "num_logits_to_keep")
"""Arguments that say for how many of the last tokens a forward is to return logits."""
_ENCODED = ("encoder_outputs", "encoder_last_hidden_state")
"""The argument by which a decoder takes what an encoder made, and the result in which that comes back."""


class _Encoded(tuple[Any, ...]):
    """What an encoder made, for decoders that take it by place, and for those that take it by name."""

    __slots__ = ()
    hidden_states = attentions = None

    @property
    def last_hidden_state(self) -> Any:
        """The first, which is all there is."""
        return self[0]


@dataclass(frozen=True)
class Text:
    """The arguments of a prompt that hold a place for each token, by name.

    `tokens` is the text that the model continues, `beside` what goes with it place by place, `read` what an encoder
    reads.
    """

    tokens: str
    beside: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


def text_of(specs: Mapping[str, InputSpec]) -> Text | None:
    """Tell which inputs, by name, are text; None if none is.

    The text is the first integers with a place for each token, those of a decoder if there are any. What is as long as
    it goes with it.
    """
    whole = {name: spec for name, spec in specs.items() if not spec.whole and spec.shape}
    integers = [name for name, spec in whole.items() if spec.dtype in ("int64", "int32") and len(spec.shape) == 1]
    decoded = [name for name in integers if name.startswith(_DECODER)]
    rows = [name for name, spec in whole.items() if spec.dtype is None and len(spec.shape) == 2]  # noqa: PLR2004
    tokens = next(iter([*decoded, *integers, *rows]), None)
    if tokens is None:
        return None
    length = whole[tokens].shape[0]
    alike = [name for name, spec in whole.items() if name != tokens and spec.shape[0] == length and spec.dtype]
    if not tokens.startswith(_DECODER):
        return Text(tokens, tuple(alike))
    read = [name for name in integers if not name.startswith(_DECODER)]
    return Text(tokens, tuple(name for name in alike if name.startswith(_DECODER)), tuple(read))


def of_length(specs: Sequence[InputSpec], model: nn.Module, serving: Serving) -> list[InputSpec]:
    """Return the inputs of a prompt: those given, with as many tokens as the run is to have before the one it decodes.

    An encoder reads as many tokens as the context has.

    Raises:
        UsageError: no input is text, or the text that was found is longer.
    """
    named = by_name(specs, model)
    text = text_of(named)
    if text is None or serving.context is None:
        raise UsageError(
            "no input of the model is a text of tokens",
            "say what forward is called with for one token, cache included: --inputs file.py:NAME",
        )
    prompt = serving.context if serving.part == "prefill" else max(serving.context - 1, 1)
    lengths = {text.tokens: prompt} | dict.fromkeys(text.beside, prompt) | dict.fromkeys(text.read, serving.context)
    return [_resized(spec, lengths[name]) if name in lengths else spec for name, spec in named.items()]


def by_name(specs: Sequence[InputSpec], model: nn.Module) -> dict[str, InputSpec]:
    """Return inputs by the names of the arguments that they are."""
    unnamed = [spec for spec in specs if spec.name is None]
    places = zip_longest(unnamed, argument_names(model)[: len(unnamed)])
    named = {name or str(place): spec for place, (spec, name) in enumerate(places) if spec is not None}
    return named | {spec.name: spec for spec in specs if spec.name is not None}


def _resized(spec: InputSpec, length: int) -> InputSpec:
    if spec.values is None:
        return replace(spec, shape=(length, *spec.shape[1:]))
    if length < len(spec.values) or len(spec.shape) > 1:
        raise UsageError(f"a context of {length} is too short: the input that was found has {len(spec.values)} tokens")
    more = (spec.values[-1],) * (length - len(spec.values))
    return replace(spec, shape=(length,), values=(*spec.values, *more))


def is_prompt(example: Example, model: nn.Module) -> bool:
    """Tell whether arguments that were given are a text to continue: tensors, for a model that says it has a cache.

    Other arguments are those of one token, or of a prompt as it is, with what the model keeps in between.
    """
    return example.is_flat and takes(model, _USE_CACHE)


def takes(model: nn.Module, name: str) -> bool:
    """Tell whether forward has an argument of this name."""
    return any(each.name == name for each in parameters_of(model) or ())


def with_cache(model: nn.Module, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments with the one that asks for a cache, if forward has it."""
    return {**kwargs, _USE_CACHE: True} if takes(model, _USE_CACHE) else dict(kwargs)


def with_last_logits(model: nn.Module, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword arguments with the one that asks for the logits of the last token alone.

    Raises:
        UsageError: forward has none.
    """
    name = next((name for name in _LAST_LOGITS if takes(model, name)), None)
    if name is None:
        raise UsageError(f"the forward of {type(model).__name__} has no {' or '.join(_LAST_LOGITS)}: it makes them all")
    return {**kwargs, name: 1}


def returned_state(output: Any, model: nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what came back under the name of an argument that was not given, if it holds tensors."""
    fields = dict(output) if isinstance(output, Mapping) else getattr(output, "__dict__", {})
    names = keyword_names(model) or [each.name for each in parameters_of(model) or ()]
    back = {name: fields[name] for name in names if name in fields and name not in given}
    return {name: value for name, value in back.items() if tensors_within(value)}


def next_token(text: Text, given: Mapping[str, Any], output: Any, model: nn.Module) -> dict[str, Any]:
    """Return the arguments for one token after a prompt, without the state, from the prompt's and from its result.

    What went with the text place by place has one place, except a mask, which is as long as the text and the token;
    what an encoder read stays out where the decoder takes what the encoder made of it. Pictures and sound, which the
    prompt has seen, stay out if they may.
    """
    required = {each.name for each in parameters_of(model) or () if each.default is inspect.Parameter.empty}
    argument, result = _ENCODED
    encoded = output.get(result) if isinstance(output, Mapping) else getattr(output, result, None)
    continues = encoded is not None and takes(model, argument)
    kept: dict[str, Any] = {argument: _Encoded((encoded,))} if continues else {}
    for name, value in given.items():
        stays = "mask" in name or name in required or not isinstance(value, Tensor)
        if name == text.tokens or (name in text.beside and "mask" not in name):
            kept[name] = value[:, -1:].clone()
        elif name in text.beside:
            kept[name] = torch.cat([value, value[:, -1:]], 1)
        elif stays or (name in text.read and not continues):
            kept[name] = value
    return kept
