"""Files changed at random: how many, and how. `ALEXNET_MUTATIONS=5000` changes each that often."""

from __future__ import annotations

import copy
import os
from random import Random
from typing import Any

CODE = "__import__('os').system('touch hacked')"
VALUES: tuple[Any, ...] = (
    None,
    *(0, -1, 1, 3, 7, 2**15, 2**31, 2**63, 2**70, -(2**63), 99_999, 1e308, float("nan"), 0.5, True),
    *("", "x", "\0\x1b[31m", "ü" * 300, CODE, "os.system", "hacked", "../../../etc/passwd", "hf-hub:a/evil", "a/evil"),
    *([], {}, [[]], [None], [2**40] * 3, {"a": {"b": []}}),
)  # fmt: skip


def rounds(few: int) -> int:
    """Return how often a test changes a file: `few`, or as often as the environment says."""
    return int(os.environ.get("ALEXNET_MUTATIONS", few))


def places(value: Any) -> Any:
    """Yield each place in JSON as the holder and the key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield value, key
        yield from places(each)


def changed_json(value: Any, chance: Random, more: dict[str, tuple[Any, ...]] | None = None) -> Any:
    """Return JSON with a few values taken out, replaced, moved or added; `more` are values for keys."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        found = [*places(value)]
        if not found:
            return value
        holder, key = chance.choice(found)
        how = chance.random()
        if how < 0.15:
            del holder[key]
        elif how < 0.3:
            other, place = chance.choice(found)
            holder[key] = copy.deepcopy(other[place])
        elif how < 0.6 and more and isinstance(value, dict):
            name = chance.choice([*more])
            (holder if isinstance(holder, dict) and chance.random() < 0.3 else value)[name] = copy.deepcopy(
                chance.choice(more[name])
            )
        elif how < 0.7 and isinstance(holder[key], int):
            holder[key] = holder[key] * chance.choice((2, 10, 1000, -1)) + chance.choice((0, 1))
        else:
            holder[key] = copy.deepcopy(chance.choice(VALUES))  # what is put in may be changed next
    return value


def changed_bytes(data: bytes, chance: Random) -> bytes:
    """Return bytes of which some are others, left out or repeated."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(changed) or 1)
        match chance.randrange(4):
            case 0 | 1:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                del changed[at : at + chance.randrange(1, 40)]
            case 3:
                changed[at:at] = changed[at : at + chance.randrange(1, 40)]
    return bytes(changed)
