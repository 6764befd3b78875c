"""A quantised checkpoint as the model has its weights: each with its own shape, and the bytes that it is stored in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.contents import Contents, Stored, opened, read_json
from alexnet_cli.targets.checkpoint.other_packings import OTHER_FORMATS
from alexnet_cli.targets.checkpoint.packed import FORMATS, OF_THE_CACHE, OF_THE_MODULE, Format, Packed

CONFIGS = ("config.json", "quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""The files beside a checkpoint that may say how it is quantised: of transformers, AutoGPTQ, AutoAWQ, ModelOpt."""
_LARGEST_CONFIG = 20_000_000
_ALL_FORMATS = (*FORMATS, *OTHER_FORMATS)
_UNREAD = (".qweight", "_packed", ".absmax", "_qdata", ".W_q", "._data", ".compressed")


class Quantisation(NamedTuple):
    """What a config says: its file, the method, and the numbers of bits that it names."""

    file: str
    method: str
    bits: frozenset[int]


def quantisation_beside(path: Path) -> Quantisation | None:
    """Return what the config beside a checkpoint says about quantisation; None if there is none that can be read."""
    for name in CONFIGS:
        file = path.parent / name
        if not file.is_file():
            continue
        try:
            with opened(file) as (stream, size):
                values = read_json(stream.read(), file, "content", "config") if size <= _LARGEST_CONFIG else {}
        except TargetError:
            continue  # it is the checkpoint that was asked about
        if found := quantisation_of(values, name):
            return found
    return None


def quantisation_of(config: Mapping[str, Any], file: str) -> Quantisation | None:
    """Return what a config says about quantisation."""
    said = next((config[key] for key in ("quantization_config", "compression_config") if key in config), config)
    said = said.get("quantization", said) if isinstance(said, dict) else {}
    if not isinstance(said, dict):
        return None
    method = said.get("quant_method", said.get("quant_algo"))
    if method is None and "w_bit" in said:
        method = "awq"
    elif method is None and "bits" in said and "group_size" in said:
        method = "gptq"
    return Quantisation(file, method.lower(), frozenset(_bits(said))) if isinstance(method, str) else None


def _bits(said: Mapping[str, Any]) -> Iterator[int]:
    """Yield the bits of the weights in each group of layers."""
    groups = said.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        bits = weights.get("num_bits") if isinstance(weights, dict) else None
        if type(bits) is int:
            yield bits


def as_the_model_has_them(contents: Contents, said: Quantisation | None) -> Contents:
    """Return the weights that are packed as the model has them; scales and zero points are no parameters.

    A weight's bytes are those of all tensors that it is stored in. Where no config says how it is quantised, names,
    dtypes and shapes do, if they fit one format only.
    """
    known = [each for each in _ALL_FORMATS if said is None or said.method in each.methods]
    tensors = dict(contents.tensors)
    found = {}
    for kind in known or _ALL_FORMATS:
        for stem in _stems(tensors, kind):
            if _replace(tensors, kind, stem, contents, said):
                found[kind.name] = True
    if not found and said is None:
        return replace(contents, note=_joined(contents.note, _left(tensors)))
    for key, tensor in tensors.items():
        if key.rpartition(".")[2] in OF_THE_CACHE:
            tensors[key] = replace(tensor, buffer=True)
    note = _joined(contents.note, _note(list(found), said), _left(tensors))
    ordered = {key: tensors[key] for key in _in_order(contents, tensors)}
    return replace(contents, tensors=ordered, note=note)


def _stems(tensors: Mapping[str, Stored], kind: Format) -> list[str]:
    """List what the names of the tensors of each weight have in common."""
    return [key[: -len(mark)] for key in tensors for mark in kind.one_of if key.endswith(mark)]


def _replace(
    tensors: dict[str, Stored], kind: Format, stem: str, contents: Contents, said: Quantisation | None
) -> bool:
    """Put a weight in the place of the tensors that it is packed in, if they are of that format."""
    main = tensors.get(stem + kind.main)
    if main is None or main.packed:
        return False
    there = [end for end in (*kind.one_of, *kind.others) if stem + end in tensors]
    beside = {end: tensors[stem + end] for end in there}
    values = {end: contents.values[stem + end] for end in there if stem + end in contents.values}
    key = _name(stem, kind)
    bits = said.bits if said else frozenset[int]()
    logical = kind.logical(Packed(main, beside, values, contents.metadata.get(key, ""), bits))
    if logical is None or (key in tensors and key != stem + kind.main):
        return False
    module = key[: key.rfind(".") + 1]
    around = [module + end for end in OF_THE_MODULE if module + end in tensors]
    gone = [stem + kind.main, *(stem + end for end in beside), *around]
    size = sum([tensors.pop(name).size_bytes for name in dict.fromkeys(gone)])
    tensors[key] = Stored(logical.shape, logical.dtype, size, main.same_as, packed=kind.name)
    return True


def _name(stem: str, kind: Format) -> str:
    """Return the weight's own name; torchao puts an underscore before it."""
    if kind.main == "_qdata":
        module, dot, name = stem.rpartition(".")
        return f"{module}{dot}{name.removeprefix('_')}"
    return stem + kind.weight


def _in_order(contents: Contents, tensors: Mapping[str, Stored]) -> list[str]:
    """Order the keys as the file has them, a weight where the first of its tensors was."""
    places = {key: place for place, key in enumerate(contents.tensors)}
    modules: dict[str, int] = {}
    for key, place in places.items():
        modules.setdefault(key[: key.rfind(".") + 1], place)

    def place_of(key: str) -> int:
        place = places.get(key)
        return modules.get(key[: key.rfind(".") + 1], len(places)) if place is None else place

    return sorted(tensors, key=place_of)


def _note(found: list[str], said: Quantisation | None) -> str | None:
    names = " and ".join(found)
    if said is None:
        return f"quantised ({names}): inferred from names and shapes, as no config beside it says so"
    if not found:
        return (
            f"{said.file} says that it is quantised ({said.method}), but no tensor is packed in a known way: "
            "these numbers are of what is stored, and the model's parameters are not known"
        )
    by = "" if any(said.method in kind.methods for kind in _ALL_FORMATS) else f" ({said.method})"
    return f"quantised ({names}), as {said.file} says{by}"


def _joined(*notes: str | None) -> str | None:
    return "; ".join(filter(None, notes)) or None


def _left(tensors: Mapping[str, Stored]) -> str | None:
    left = [key for key, tensor in tensors.items() if key.endswith(_UNREAD) and not tensor.packed]
    more = f" and {len(left) - 1:,} more" if len(left) > 1 else ""
    return f"counted as stored, as no known format fits: {left[0]}{more}" if left else None
