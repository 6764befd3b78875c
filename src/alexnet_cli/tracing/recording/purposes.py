"""What tensors are for: which function uses a parameter, and which products are those of attention.

Both are followed through the operators of a run, by storage. A parameter is followed through what is computed of
parameters alone (views, casts, weight norm, a table read at fixed places) to the function in which it meets the data.
The scores of attention are followed through a softmax to the product with the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct
from torch import Tensor
from torch.nn.parameter import is_lazy

from alexnet_cli.report import Family
from alexnet_cli.tracing.recording.calls import Call, call_family
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.tensors import storage_of, tensors_among, tensors_in

_SOFTMAX = frozenset({"_softmax", "_safe_softmax"})
_CONSTANTS = frozenset({"lift", "lift_fresh"})  # what `torch.tensor` makes of numbers
_LOOKS_UP = frozenset({"index", "_unsafe_index", "index_select", "gather", "take"})
_PUTS = frozenset({"where", "index_put", "_unsafe_index_put", "index_copy", "masked_scatter", "scatter"})
_ADDS = frozenset({"add", "sub"})
_SAYS_LITTLE: tuple[Family, ...] = ("container", "other", "reshape")


class _Trail(Struct, frozen=True, eq=False):  # compared by identity, as one is looked up for each tensor read
    """What is known of a storage: the parameters that it is made of, and whether data went into it.

    It may be a product of two tensors of data, scaled, masked or reshaped since; `attends` is the product whose softmax
    it is.
    """

    parameters: frozenset[int] = frozenset()
    data: bool = False
    product: Call | None = None
    attends: Call | None = None


_CONSTANT = _Trail()
_DATA = _Trail(data=True)


class _Use(Struct, frozen=True):
    """A function that a parameter meets the data in; there it may become `part` of the data itself."""

    call: Call
    part: bool


class Purposes:
    """Follows the parameters and buffers that a model holds; of other tensors that nobody made here, all is data."""

    def __init__(self, parameters: Iterable[Tensor] = (), buffers: Iterable[Tensor] = ()) -> None:
        self._uses: dict[int, list[_Use]] = {}
        self._trails = {storage_of(buffer): _CONSTANT for buffer in buffers if not is_lazy(buffer)}
        self._lazy = set[int]()
        for parameter in parameters:
            if is_lazy(parameter):
                self._lazy.add(id(parameter))
            else:
                self._register(parameter)

    def follow(self, op: Operator, args: Any, kwargs: dict[str, Any], output: object, call: Call) -> None:
        """Note what an operator of a call read and made."""
        if op.view:
            return  # its results have the storage of what it read
        given = tensors_among((*args, *kwargs.values()) if kwargs else args)
        for tensor in given if self._lazy else ():
            if id(tensor) in self._lazy:  # it has become a parameter like any other
                self._lazy.discard(id(tensor))
                self._register(tensor)
        made = _CONSTANT if op.name in _CONSTANTS else self._combined(op, given, call)
        for tensor in tensors_in(output):
            if made is not _DATA:
                self._trails[storage_of(tensor)] = made
            elif self._trails:
                self._trails.pop(storage_of(tensor), None)

    def family(self, parameter: Tensor, holder: Family) -> Family:
        """Return the family that a parameter counts under: its holder's, or that of the function that uses it.

        The holder's says little if it only contains others. Of several uses the one with the most MACs counts; a
        parameter that becomes part of the data, as a position embedding that is added to it, is an embedding.
        """
        uses = self._uses.get(id(parameter))
        if holder not in _SAYS_LITTLE or not uses:
            return holder
        use = max(uses, key=lambda use: use.call.macs)
        family = call_family(use.call)
        return "embedding" if use.part and family in _SAYS_LITTLE else family

    def _register(self, parameter: Tensor) -> None:
        storage = storage_of(parameter)
        others = self._trails.get(storage, _CONSTANT).parameters  # two may be views of one memory
        self._trails[storage] = _Trail(others | {id(parameter)})

    def _combined(self, op: Operator, given: Sequence[Tensor], call: Call) -> _Trail:
        """Return the trail of what an operator makes of tensors, and note the parameters that it uses."""
        trails = [self._trails.get(storage_of(tensor), _DATA) for tensor in given]
        if trails and trails.count(_DATA) == len(trails):  # the common case
            return _Trail(data=True, product=call) if op.family == "linear" and len(trails) > 1 else _DATA
        of_data = [trail.data for trail in trails].count(True)
        if not of_data:
            parameters = frozenset[int]().union(*(trail.parameters for trail in trails))
            return _Trail(parameters) if parameters else _CONSTANT
        for tensor, trail in zip(given, trails, strict=True):
            if trail.parameters and of_data > trail.data:
                use = _Use(call, _becomes_part(op, tensor))
                for parameter in trail.parameters:
                    self._uses.setdefault(parameter, []).append(use)
        return _after(op, trails, of_data, call)


def _becomes_part(op: Operator, parameter: Tensor) -> bool:
    """Tell whether a parameter becomes data: joined to it, put or looked up into it, or added place by place.

    Added with a single dimension it is a bias.
    """
    name = op.name.rstrip("_")
    if name in _ADDS:
        return sum(size > 1 for size in parameter.shape) > 1
    return op.family == "reshape" or name in _PUTS or name in _LOOKS_UP


def _after(op: Operator, trails: Sequence[_Trail], of_data: int, call: Call) -> _Trail:
    """Return the trail of what an operator makes of tensors of which `of_data` are data."""
    attended = next((trail.attends for trail in trails if trail.attends), None)
    if op.family == "linear":
        if attended is not None and of_data > 1:  # scores may also be features, for a layer with weights
            attended.row.attends = call.row.attends = True
        return _Trail(data=True, product=call) if of_data > 1 else _DATA
    product = next((trail.product for trail in trails if trail.product), None)
    if op.name in _SOFTMAX:
        return _Trail(data=True, attends=product) if product is not None else _DATA
    if op.name in _LOOKS_UP and trails[0].parameters and not trails[0].data:
        return _Trail(trails[0].parameters, data=True)  # rows of a table: they may still be used as weights
    if op.nature != "pointwise" and op.family not in ("reshape", "dropout"):
        return _DATA
    distinct = {id(trail): trail for trail in trails if trail is not _CONSTANT}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    return _Trail(data=True, product=product, attends=attended) if product or attended else _DATA
