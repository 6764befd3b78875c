"""Why a change that a finding proposes cannot be made; free of torch."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):  # noqa: N818 - that a layer cannot be changed is an answer
    """Why the model cannot be had with half the outputs of a layer: a key, and the layers and numbers that say more.

    `does_not_fit` (`at`): the forward fails where what is half as wide meets what is not; `last_layer`: no layer takes
    up the new width before the model returns; `not_divisible` (`at`, `width`, `groups`); `shared_weights` (`at`);
    `other_weights` (`at`, `type`): the layer does not hold its weights as torch's own do; `too_few` (`width`);
    `other_kind` (`type`): it is no layer whose outputs can be halved.
    """

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(key)
        self.key = key
        self.values = values
