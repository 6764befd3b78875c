"""A cache or weights stored in other formats than those of the code that ran: an assumption, applied to a tape.

A format takes so many bits an element, and where it has groups, a scale for each group of elements along the last
dimension: of a weight along its inputs, of keys and values along the width of a head. An `fp8` tensor has one scale,
which is not counted. `int8` and `int4` have groups of 128 with a scale in half precision and no zero points, as GPTQ's
symmetric ones; `nf4` is that of QLoRA (blocks of 64 with a float32 scale), `mxfp8` and `mxfp4` are those of the OCP
Microscaling specification 1.0 (blocks of 32 with 8 bits), `nvfp4` is that of NVIDIA Blackwell (blocks of 16 with fp8).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct
from msgspec.structs import replace

from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.serving.cached import values_by_path
from alexnet_cli.analyses.serving.weights import GROUPED_PRODUCTS
from alexnet_cli.errors import UsageError, nearest
from alexnet_cli.report import Report
from alexnet_cli.tape import Tape, Value

_FLOATS = {"float64": 64, "float32": 32, "bfloat16": 16, "float16": 16}
_PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm", "linear", "addmv", "mv", "grouped_mm"}) | GROUPED_PRODUCTS
_LOOKUPS = frozenset({"index", "index_select", "gather"})


class StoredAs(Struct, frozen=True):
    """A format of stored numbers: bits an element, and a scale of `scale_bits` for each `group` of them, if any."""

    dtype: str
    bits: int
    group: int | None = None
    scale_bits: int = 0

    def bytes_of(self, elements: int, width: int) -> int:
        """Return the bytes of so many elements in rows of `width`; the last group of a row may not be full."""
        scales = 0 if self.group is None else -(-elements // width) * -(-width // self.group)
        return -(-(elements * self.bits + scales * self.scale_bits) // 8)


FORMATS: dict[str, StoredAs] = {
    **{dtype: StoredAs(dtype, bits) for dtype, bits in _FLOATS.items() if dtype != "float64"},
    "fp8": StoredAs("fp8", 8),
    "mxfp8": StoredAs("mxfp8", 8, 32, 8),
    "int8": StoredAs("int8", 8, 128, 16),
    "int4": StoredAs("int4", 4, 128, 16),
    "nf4": StoredAs("nf4", 4, 64, 32),
    "mxfp4": StoredAs("mxfp4", 4, 32, 8),
    "nvfp4": StoredAs("nvfp4", 4, 16, 8),
}
_ALIASES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "float8_e4m3fn": "fp8", "float8_e5m2": "fp8"}


def format_named(name: str | None, option: str) -> StoredAs | None:
    """Return a format by its name, None if no name is given.

    Raises:
        UsageError: there is none of this name.
    """
    if name is None:
        return None
    known = _ALIASES.get(name.lower(), name.lower())
    if known not in FORMATS:
        raise UsageError(f"{option}: unknown format {name!r}", nearest(name.lower(), FORMATS))
    return FORMATS[known]


class Assumptions(Struct, frozen=True):
    """What is assumed to be otherwise than in the code that ran; None or false: nothing.

    `cache` is the format of keys and values, `weights` that of the weights of linear layers; `last_logits`: the model
    was asked for the logits of the last token alone.
    """

    cache: StoredAs | None = None
    weights: StoredAs | None = None
    last_logits: bool = False


class Assumed(Struct, frozen=True):
    """What is assumed to be stored otherwise, so that it can be applied to runs of one model.

    `cache` is the format of keys and values, None: as they are. The states at `states`, which are paths of modules,
    stay as they are. `weight_bytes` are those of weights by their places among all parameters that the model holds.
    """

    cache: StoredAs | None = None
    states: frozenset[str] = frozenset()
    weight_bytes: dict[int, int] = {}

    def of(self, report: Report) -> Report:
        """Return a report whose tape has the bytes that follow from what is assumed."""
        if self.cache is None and not self.weight_bytes:
            return report
        tape = tape_of(report)
        storages, held = list(tape.storages), _parameters(tape)
        for place, size in self.weight_bytes.items():
            storages[held[place]] = replace(storages[held[place]], bytes=size)
        values = list(tape.values)
        if self.cache is not None:
            cached = {number for number, storage in enumerate(tape.storages) if storage.role == "cache"}
            cached -= _at(report, tape, self.states)
            for number, value in _floats(tape, cached).items():
                size = _stored(storages[number].bytes, value, self.cache)
                storages[number] = replace(storages[number], bytes=size)
            for at, value in enumerate(values):
                if value.storage in cached and value.dtype in _FLOATS:
                    size = _stored(value.bytes, value, self.cache)
                    values[at] = replace(value, dtype=self.cache.dtype, bytes=size)
        return replace(report, tape=replace(tape, storages=tuple(storages), values=tuple(values)))


def _stored(size: int, value: Value, stored: StoredAs) -> int:
    """Return the bytes in another format of what takes `size` bytes in the dtype of a value."""
    return stored.bytes_of(size * 8 // _FLOATS[value.dtype], value.shape[-1] if value.shape and value.shape[-1] else 1)


def _at(report: Report, tape: Tape, paths: Collection[str]) -> set[int]:
    """Return the storages of the cache that belong to modules, before the run and after it."""
    held = [values_by_path(report, before=before) for before in (True, False)] if paths else []
    return {tape.values[value].storage for by_path in held for path in paths for value in by_path.get(path, ())}


def _floats(tape: Tape, storages: Collection[int]) -> dict[int, Value]:
    """Return the first value of each of these storages that holds floats: that of a weight is the weight itself."""
    found: dict[int, Value] = {}
    for value in tape.values:
        if value.storage in storages and value.dtype in _FLOATS:
            found.setdefault(value.storage, value)
    return found


def _parameters(tape: Tape) -> list[int]:
    return [number for number, storage in enumerate(tape.storages) if storage.role == "parameter"]


def linear_weights(report: Report, stored: StoredAs) -> dict[int, int]:
    """Return what weights of linear layers, those of experts too, take in a format, by their places among parameters.

    Left out are those in which rows are looked up, as embeddings and heads that are tied to them, and the head, which
    makes the model's results.
    """
    tape = tape_of(report)
    looked_up = {
        tape.values[operation.reads[0]].storage for operation in tape.operations if operation.op == "embedding"
    }
    matrices = {number for _, number in _products(tape)} - looked_up - set(_heads(tape))
    places = {number: place for place, number in enumerate(_parameters(tape))}
    return {
        places[number]: _stored(tape.storages[number].bytes, value, stored)
        for number, value in _floats(tape, matrices).items()
    }


def _products(tape: Tape) -> Iterator[tuple[int, int]]:
    """Yield the operations that multiply by a weight, each with the weight's storage."""
    origin: dict[int, int] = {}  # values that were looked up in weights of experts, and views of them
    for at, operation in enumerate(tape.operations):
        read = operation.reads[0] if operation.reads else None
        if read is not None and (operation.nature == "view" and read in origin):
            origin |= dict.fromkeys(operation.makes, origin[read])
        elif read is not None and operation.op in _LOOKUPS and _is_weight(tape, read):
            origin |= dict.fromkeys(operation.makes, tape.values[read].storage)
        elif operation.op in _PRODUCTS:
            for value in operation.reads:
                if value in origin:
                    yield at, origin[value]
                elif _is_weight(tape, value):
                    yield at, tape.values[value].storage


def _is_weight(tape: Tape, value: int) -> bool:
    """Tell whether a value is of a parameter and no vector: the bias of `addmm` is one."""
    found = tape.values[value]
    return tape.storages[found.storage].role == "parameter" and len(found.shape) > 1


def _heads(tape: Tape) -> Iterator[int]:
    """Yield the weights of products of which a result follows one by one: scaled, capped, in another shape or dtype."""
    makers = {value: at for at, operation in enumerate(tape.operations) for value in operation.makes}
    weights = dict(_products(tape))
    for result in tape.outputs:
        at = None if tape.storages[tape.values[result].storage].role == "cache" else makers.get(result)
        while at is not None and at not in weights:
            operation = tape.operations[at]
            made = [makers[value] for value in operation.reads if value in makers]
            at = made[0] if operation.nature != "compute" and len(made) == 1 else None
        if at in weights:
            yield weights[at]
