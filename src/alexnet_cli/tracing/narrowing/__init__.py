"""A model with half the outputs of one layer, and why one cannot be had; this file imports no torch."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """Why a layer's outputs cannot be halved: a key, with the layers and numbers that belong to it.

    `does_not_fit` (`at`): the forward fails where a halved tensor meets a full one; `last_layer`: the model returns
    before any layer takes in the new width; `not_divisible` (`at`, `width`, `groups`); `shared_weights` (`at`);
    `other_weights` (`at`, `type`): the layer does not store its weights as torch's layers do; `too_few` (`width`);
    `other_kind` (`type`): this kind of layer cannot be halved.
    """

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values
