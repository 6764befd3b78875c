"""Which operators are collectives, among whom they run, and how many bytes they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from alexnet_cli.rank import CollectiveKind, GroupName
from alexnet_cli.torch_insides import group_name
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.tensors import bytes_of, tensors_in

_KINDS: dict[str, CollectiveKind] = {
    "allgather": "all_gather",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "allreduce": "all_reduce",
    "all_reduce": "all_reduce",
    "alltoall": "all_to_all",
    "all_to_all": "all_to_all",
    "broadcast": "broadcast",
    "send": "send",
    "recv": "recv",
}
_IN_PLACE = "c10d"
_NAMESPACES = (_IN_PLACE, "_c10d_functional")
_MADE_ELSEWHERE = ("output_tensor", "output_tensors", "output", "outputs", "out")
"""Arguments of in-place collectives that receive what they make."""


class Group(NamedTuple):
    """What a process group is for, as a dimension of the mesh, and its number of ranks."""

    name: GroupName
    ranks: int


class Message(NamedTuple):
    """A collective that an operator runs."""

    kind: CollectiveKind
    group: Group
    bytes: int


def message_of(
    op: Operator, args: Any, kwargs: Mapping[str, Any], output: object, groups: Mapping[str, Group]
) -> Message | None:
    """Return the collective that an operator runs; None if it runs none, or among a single rank."""
    kind = kind_of(op.name)
    if kind is None:
        return None
    named = {**dict(zip(op.arguments, args, strict=False)), **kwargs}
    names = (value if isinstance(value, str) else group_name(value) for value in named.values())
    group = next((groups[name] for name in names if name is not None and name in groups), None)
    if group is None or group.ranks == 1:
        return None
    made = [value for name, value in named.items() if name in _MADE_ELSEWHERE]
    read = [value for name, value in named.items() if name not in _MADE_ELSEWHERE]
    whole = (made or output) if kind == "all_gather" else read
    if kind == "all_to_all" and _to_one(named.get("input_split_sizes")):
        kind = "send"  # a ring: each rank hands all that it has to the next
    return Message(kind, group, sum(map(bytes_of, tensors_in(whole))))


def _to_one(sizes: object) -> bool:
    return isinstance(sizes, list) and sum(size != 0 for size in sizes) == 1


def kind_of(name: str) -> CollectiveKind | None:
    """Return what a collective operator does, None for any other operator."""
    namespace, _, plain = name.rpartition("::")
    kinds = _KINDS.items() if namespace in _NAMESPACES else ()
    return next((kind for prefix, kind in kinds if plain.lstrip("_").startswith(prefix)), None)


def is_in_place(name: str) -> bool:
    """Tell whether a collective writes to tensors that it is given, which then are there to be sent or received."""
    return name.startswith(f"{_IN_PLACE}::")
