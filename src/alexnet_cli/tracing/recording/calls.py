"""A recorded call of a module or a function, and what it is: its family and its settings."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Any

from msgspec import Struct
from torch import nn
from torch.nn.modules import activation, padding, pooling

from alexnet_cli.report import Family
from alexnet_cli.tape import Shape
from alexnet_cli.torch_insides import ConvNd, DropoutNd, NormBase, has_parts_or_hooks, own_parameters
from alexnet_cli.tracing.recording.operators import Operator, row_family

_SOFTMAX = (nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.AdaptiveLogSoftmaxWithLoss)
_POOLS = tuple(getattr(pooling, name) for name in pooling.__all__)
_PADDINGS = tuple(getattr(padding, name) for name in padding.__all__)
_SHUFFLES = (nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
_NOT_ACTIVATIONS = (*_SOFTMAX, nn.MultiheadAttention)
_ACTIVATIONS = tuple(
    cls for name in activation.__all__ if not issubclass(cls := getattr(activation, name), _NOT_ACTIVATIONS)
)
_CLASSES: tuple[tuple[Family, tuple[type[nn.Module], ...]], ...] = (
    ("conv", (ConvNd,)),
    ("linear", (nn.Linear, nn.Bilinear)),
    ("norm", (NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, nn.CrossMapLRN2d)),
    ("pool", _POOLS),
    ("softmax", _SOFTMAX),
    ("attention", (nn.MultiheadAttention,)),
    ("activation", _ACTIVATIONS),
    ("dropout", (DropoutNd,)),
    ("embedding", (nn.Embedding, nn.EmbeddingBag)),
    ("recurrent", (nn.RNNBase, nn.RNNCellBase)),
    ("reshape", (nn.Flatten, nn.Unflatten, nn.Fold, nn.Unfold, nn.Identity, *_SHUFFLES, *_PADDINGS)),
)
_LAYERS = tuple(cls for _, classes in _CLASSES for cls in classes)
_DIMENSIONS = ("1d", "2d", "3d")
_POOLINGS = ("max_pool", "avg_pool", "lp_pool", "max_unpool", "fractional_max_pool", "adaptive_max_pool")
_FUNCTIONS: dict[str, Family] = {
    "scaled_dot_product_attention": "attention",
    "multi_head_attention_forward": "attention",
    "flex_attention": "attention",
    **{f"{name}{n}{more}": "pool" for name in _POOLINGS for n in _DIMENSIONS for more in ("", "_with_indices")},
    **{f"adaptive_avg_pool{n}": "pool" for n in _DIMENSIONS},
}
"""Functions whose operators do not tell what they are: pooling to one value is a mean."""
LONGEST_TEXT = 200
LONGEST_SEQUENCE = 32
LARGEST_INTEGER = 2**63 - 1  # what JSON readers handle reliably
_NOT_SETTINGS = frozenset({"training", "call_super_init", "dump_patches"})


class Call(Struct, eq=False):  # made in half the time of a dataclass
    """A call of a module or a function; `parts` are the calls inside it, in the order they ran.

    Its own work excludes that of modules below it. `counted` tells whether any of its operators had a MAC formula,
    `uncounted` names those that compute but have none, `mutated` holds the storages written to. A call that `attends`
    does one of the two products of attention; `named` are the families that functions inside have by their names. A
    module's is `training` if it was in that mode when it was called.
    """

    module: nn.Module | None
    name: str
    started: int
    input_shapes: tuple[Shape, ...] = ()
    output_shapes: tuple[Shape, ...] = ()
    output_bytes: int = 0
    in_place: bool = False
    finished: bool = False
    settings: dict[str, Any] | None = None
    macs: int = 0
    counted: bool = False
    mutated: frozenset[int] = frozenset()
    calls_modules: bool = False
    operators: set[Operator] = set()
    uncounted: list[str] = []
    parts: list[Call] = []
    named: set[Family] = set()
    attends: bool = False
    training: bool = True
    absorbed_by: Call | None = None

    @property
    def row(self) -> Call:
        """The call in whose row this one is."""
        call = self
        while call.absorbed_by is not None:
            call = call.absorbed_by
        return call

    def absorb_parts(self) -> None:
        """Make the parts' work the call's own."""
        for part in self.parts:
            self.macs += part.macs
            self.counted = self.counted or part.counted
            self.operators |= part.operators
            self.uncounted += part.uncounted
            self.mutated |= part.mutated
            self.attends = self.attends or part.attends
            self.named |= part.named if part.module is not None else named_families(part.name)
            part.absorbed_by = self
        self.parts.clear()


def module_family(cls: type[nn.Module]) -> Family | None:
    """Return the family of a torch layer or a subclass of one, None for any other class."""
    if issubclass(cls, _LAYERS):
        for family, classes in _CLASSES:
            if issubclass(cls, classes):
                return family
    return None


def named_families(function: str) -> set[Family]:
    """Return the family that a function has by its name, if it has one."""
    return {_FUNCTIONS[function]} if function in _FUNCTIONS else set()


def call_family(call: Call) -> Family:
    """Return the family of a call: of a torch layer by its class, of anything else by what ran in it."""
    if call.module is not None:
        family = module_family(type(call.module))
        if family is not None or call.parts:
            return family or "container"
    named = call.named if call.module is not None else named_families(call.name)
    return row_family(call.operators, {*named, *(("attention",) if call.attends else ())})


def is_one_row(call: Call, root: Call | None) -> bool:
    """Tell whether a call is one row, with the work of its functions: a module that called no other module.

    The model itself, the `root`, is one row only if it is one of torch's layers; otherwise its functions are shown.
    """
    if call.module is None or call.calls_modules:
        return False
    return call is not root or module_family(type(call.module)) is not None


def is_torch_leaf(module: nn.Module) -> bool:
    """Tell whether a module is one of torch's own layers and calls no other, so that its functions' work is its own.

    Known before it runs, this saves a `Call` for each of its functions.
    """
    cls = type(module)
    return not has_parts_or_hooks(module) and cls.__module__.startswith("torch.nn.") and module_family(cls) is not None


def module_settings(module: nn.Module) -> dict[str, Any]:
    """Return the constructor arguments that the module keeps as attributes, and whether it has a bias."""
    attributes = vars(module)
    settings = _plain_ones(attributes, _setting_names(tuple(attributes)))
    parameters = own_parameters(module)
    if "bias" in parameters and "bias" not in settings:
        settings["bias"] = parameters["bias"] is not None
    return settings


def call_settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the plain keyword arguments of a function call."""
    return _plain_ones(kwargs, tuple(name for name in kwargs if not name.startswith("_")))


@lru_cache(maxsize=1024)
def _setting_names(attributes: tuple[str, ...]) -> tuple[str, ...]:
    """Return which attributes may be settings; cached, as layers of one class mostly have the same attributes."""
    return tuple(name for name in attributes if not name.startswith("_") and name not in _NOT_SETTINGS)


def _plain_ones(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        value = values[name]
        if value is True or value is False:
            found[name] = value
        elif isinstance(value, (list, tuple)):
            first = value[: LONGEST_SEQUENCE + 1]
            items = [item for item in first if type(item) is int and -LARGEST_INTEGER <= item <= LARGEST_INTEGER]
            if len(items) < len(first):  # not the common case
                items = [_plain(item) for item in first if _is_plain(item)]
            if len(items) == len(value):
                found[name] = items
        elif _is_plain(value):
            found[name] = _plain(value)
    return found


def _is_plain(value: Any) -> bool:
    """Tell whether JSON can hold a value; by exact type, as subclasses of str and int may be anything."""
    kind = type(value)
    if kind is int:
        return bool(-LARGEST_INTEGER <= value <= LARGEST_INTEGER)
    if kind is str:
        return len(value) <= LONGEST_TEXT
    return isinstance(value, bool) or (isinstance(value, float) and isfinite(value))


def _plain(value: Any) -> Any:
    """Return a plain value as JSON has it: `numpy.float64`, as `np.power` returns, is a float."""
    return float(value) if isinstance(value, float) else value
