"""What tensors are for: which function uses a parameter, and which products are those of attention.

Both are followed through the operators of a run, by storage. A parameter is followed through what is computed of
parameters alone (views, casts, weight norm, a table read at fixed places) to the function in which it meets the data.
The scores of attention are followed through a softmax to the product with the values.

Most models need none of it: their parameters lie in layers that say what they are for, and nothing attends. So a run
only notes which storages each operator read and made, and they are followed once somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct
from torch import Tensor
from torch.nn.parameter import is_lazy

from alexnet_cli.report import Family
from alexnet_cli.tracing.recording.calls import Call, call_family
from alexnet_cli.tracing.recording.operators import Operator
from alexnet_cli.tracing.recording.tensors import storage_of

_SOFTMAX = frozenset({"_softmax", "_safe_softmax"})
_CONSTANTS = frozenset({"lift", "lift_fresh"})  # what `torch.tensor` makes of numbers
_LOOKS_UP = frozenset({"index", "_unsafe_index", "index_select", "gather", "take"})
_PUTS = frozenset({"where", "index_put", "_unsafe_index_put", "index_copy", "masked_scatter", "scatter"})
_ADDS = frozenset({"add", "sub", "add_", "sub_"})
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


class _Ran(Struct, eq=False):
    """An operator of a call that ran: the storages that it read and made.

    Of one that adds, `dims` are how many dimensions of each tensor that it read are longer than 1.
    """

    op: Operator
    read: Sequence[int]
    dims: Sequence[int]
    made: Sequence[int]
    call: Call


class _Registered(NamedTuple):
    """A parameter that got its memory during the run."""

    parameter: int
    storage: int


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
                self._register(id(parameter), storage_of(parameter))
        self._noted: list[_Ran | _Registered] = []
        self._scores = False  # whether a softmax ran

    def note(self, op: Operator, read: Sequence[Tensor], made: Sequence[int], call: Call) -> None:
        """Note that an operator of a call read tensors and made storages."""
        if op.view:
            return  # its results have the storage of what it read
        for tensor in read if self._lazy else ():
            if id(tensor) in self._lazy:  # it has become a parameter like any other
                self._lazy.discard(id(tensor))
                self._noted.append(_Registered(id(tensor), storage_of(tensor)))
        dims = [sum(size > 1 for size in tensor.shape) for tensor in read] if op.name in _ADDS else ()
        self._noted.append(_Ran(op, [storage_of(tensor) for tensor in read], dims, made, call))
        self._scores = self._scores or op.name in _SOFTMAX

    def find_attention(self) -> None:
        """Mark the calls that attend, which a run without a softmax has none of."""
        if self._scores:
            self._follow()

    def _follow(self) -> None:
        """Follow what was noted since the last time."""
        noted, self._noted = self._noted, []
        for each in noted:
            if isinstance(each, _Registered):
                self._register(*each)
                continue
            made = _CONSTANT if each.op.name in _CONSTANTS else self._combined(each)
            for storage in each.made:
                if made is not _DATA:
                    self._trails[storage] = made
                elif self._trails:
                    self._trails.pop(storage, None)

    def family(self, parameter: Tensor, holder: Family) -> Family:
        """Return the family that a parameter counts under: its holder's, or that of the function that uses it.

        The holder's says little if it only contains others. Of several uses the one with the most MACs counts; a
        parameter that becomes part of the data, as a position embedding that is added to it, is an embedding.
        """
        if holder not in _SAYS_LITTLE:
            return holder
        self._follow()
        uses = self._uses.get(id(parameter))
        if not uses:
            return holder
        use = max(uses, key=lambda use: use.call.macs)
        family = call_family(use.call)
        return "embedding" if use.part and family in _SAYS_LITTLE else family

    def _register(self, parameter: int, storage: int) -> None:
        others = self._trails.get(storage, _CONSTANT).parameters  # two may be views of one memory
        self._trails[storage] = _Trail(others | {parameter})

    def _combined(self, ran: _Ran) -> _Trail:
        """Return the trail of what an operator makes, and note the parameters that it uses."""
        op, call = ran.op, ran.call
        trails = [self._trails.get(storage, _DATA) for storage in ran.read]
        if trails and trails.count(_DATA) == len(trails):  # the common case
            return _Trail(data=True, product=call) if op.family == "linear" and len(trails) > 1 else _DATA
        of_data = [trail.data for trail in trails].count(True)
        if not of_data:
            parameters = frozenset[int]().union(*(trail.parameters for trail in trails))
            return _Trail(parameters) if parameters else _CONSTANT
        for place, trail in enumerate(trails):
            if trail.parameters and of_data > trail.data:
                use = _Use(call, _becomes_part(ran, place))
                for parameter in trail.parameters:
                    self._uses.setdefault(parameter, []).append(use)
        return _after(op, trails, of_data, call)


def _becomes_part(ran: _Ran, place: int) -> bool:
    """Tell whether what was read in a place becomes data: joined to it, put or looked up into it, or added to it.

    Added with a single dimension it is a bias.
    """
    name = ran.op.name.rstrip("_")
    if name in _ADDS:
        return ran.dims[place] > 1
    return ran.op.family == "reshape" or name in _PUTS or name in _LOOKS_UP


def _after(op: Operator, trails: Sequence[_Trail], of_data: int, call: Call) -> _Trail:
    """Return the trail of what an operator makes of tensors of which `of_data` are data."""
    attended = next((trail.attends for trail in trails if trail.attends), None)
    if op.family == "linear":
        if attended is not None and of_data > 1:  # scores may also be features, for a layer with weights
            for part in (attended, call):
                part.attends = part.row.attends = True
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
