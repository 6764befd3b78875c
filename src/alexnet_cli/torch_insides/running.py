"""What runs: modes, nodes of the autograd graph, storages, and a profiler's events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from alexnet_cli.errors import AlexnetError
from alexnet_cli.torch_insides.names import look_up

if TYPE_CHECKING:
    from torch.utils._python_dispatch import TorchDispatchMode


DisableTorchFunction: Any = look_up("_C.DisableTorchFunction", nullcontext)
"""Looks at tensors without the recorder's own function mode seeing it. Without it the mode counts those looks too."""

DeviceMode: Any = look_up("utils._device.DeviceContext")
"""What `with torch.device(…)` enters. Without it tensors that a model makes of numbers on `meta` have no values."""

sequence_number: Any = look_up("_C._autograd._get_sequence_nr", lambda: 0)
"""Returns the number of the next autograd node. Without it no row is named for the operators of the backward."""

_current_node: Any = look_up("_C._current_autograd_node", lambda: None)
"""Returns the autograd node that is running. Without it no row is named for the operators of the backward."""

_HAS_IDENTITY = look_up("UntypedStorage._cdata") is not None
storage_identity: Any = attrgetter("_cdata") if _HAS_IDENTITY else id
"""Returns what a storage is known by. Without `_cdata` that is the Python object, which torch keeps for a storage."""


def _identity_behind(tensor: Tensor) -> int:
    return storage_identity(tensor.untyped_storage())  # type: ignore[no-any-return] # an int


_address = look_up("_C._storage_address")
storage_behind: Any = _address if _HAS_IDENTITY and _address is not None else _identity_behind
"""Returns what a tensor's storage is known by. Without `_storage_address` a Python object is made for each storage."""


def writes_to(tensor: Tensor) -> int | None:
    """Return how often a tensor's memory was written to, None where torch does not count it."""
    try:
        return int(tensor._version)
    except (RuntimeError, AttributeError):  # made for inference
        return None


def backward_node() -> tuple[str, int] | None:
    """Return the name and number of the autograd node that is running, None outside of one."""
    node = _current_node()
    number = getattr(node, "_sequence_nr", None)
    return None if number is None else (node.name(), number())


def is_view(tensor: Tensor) -> bool:
    """Tell whether autograd knows a tensor as a view. Without `_is_view` all are: no gradient is summed in place."""
    return bool(getattr(tensor, "_is_view", lambda: True)())


if TYPE_CHECKING:
    DispatchMode = TorchDispatchMode
else:

    class _NoDispatchMode:
        """Stands where torch has no dispatch modes: nothing else shows the operators, so no trace can be had."""

        def __enter__(self) -> None:
            said = f"torch {torch.__version__} has no dispatch modes, which show the operators that run"
            raise AlexnetError(said, "install a version of torch that the README names")

        def __exit__(self, *_: object) -> None:
            """Nothing was entered."""

    DispatchMode = look_up("utils._python_dispatch.TorchDispatchMode", _NoDispatchMode)
"""The base of modes that see every operator. Without it a trace says that this torch has none."""

_CONSTRUCTORS = """
    arange as_tensor asarray empty empty_permuted empty_strided eye full linspace logspace ones rand randint randn
    randperm scalar_tensor sparse_coo_tensor tensor tril_indices triu_indices zeros
"""

device_constructors: Any = look_up(
    "utils._device._device_constructors", lambda: {getattr(torch, name) for name in _CONSTRUCTORS.split()}
)
"""Returns the functions that make tensors on the default device. Without it those listed above."""


def made_state(optimizer: torch.optim.Optimizer) -> bool:
    """Make the state that Adam keeps for parameters with gradients, without an update; tell whether that was done.

    Without `_init_group`, or where it takes other arguments, an update has to make it.
    """
    make: Any = getattr(optimizer, "_init_group", None)
    if make is None or not isinstance(optimizer, torch.optim.Adam):
        return False
    try:
        for group in optimizer.param_groups:
            make(group, *([] for _ in range(6)))  # parameters, gradients, averages, squares, their maxima, steps
    except (TypeError, AttributeError):
        return False
    trained = (each for group in optimizer.param_groups for each in group["params"] if each.grad is not None)
    return all(each in optimizer.state for each in trained)


def raw_events(profiler: Any) -> Iterable[Any] | None:
    """Return a profiler's raw events, allocations among them; None where it does not keep them: no peak is known."""
    results = getattr(getattr(profiler, "profiler", None), "kineto_results", None)
    return None if results is None else results.events()


@contextmanager
def storages_resized(tell: Callable[[Any], None]) -> Iterator[None]:
    """Call `tell` with each storage that is given other memory inside, as FSDP frees and gathers weights."""
    plain: Any = torch.UntypedStorage.resize_

    def resize(storage: Any, size: int) -> Any:
        changed = plain(storage, size)
        tell(storage)
        return changed

    torch.UntypedStorage.resize_ = resize  # type: ignore[method-assign, assignment] # taken away below
    try:
        yield
    finally:
        del torch.UntypedStorage.resize_


_function_modes: Any = look_up("overrides._get_current_function_mode_stack")
function_modes: Any = look_up("_C._len_torch_function_stack", lambda: None)
"""Returns how many function modes watch. Without it no layer is run without the recorder's."""
_push_mode: Any = look_up("overrides._push_mode")
_pop_mode: Any = look_up("overrides._pop_mode")
_DEVICE_HOLDERS: Any = look_up("_GLOBAL_DEVICE_CONTEXT"), look_up("utils._device")
MODES_KNOWN = None not in (_function_modes, _push_mode, _pop_mode)
"""Whether torch's functions for its stack of function modes are there. Without them no mode is switched off."""

no_dispatch_modes: Any = look_up("utils._python_dispatch._disable_current_modes", nullcontext)
"""Switches all dispatch modes off. Without it the operators that an import runs may be recorded."""


def _set_function_modes(modes: list[Any]) -> None:
    while _function_modes():
        _pop_mode()
    for mode in modes:
        _push_mode(mode)


@contextmanager
def no_modes() -> Iterator[None]:
    """Switch all modes off, those of functions only where `MODES_KNOWN`."""
    if not MODES_KNOWN:
        with no_dispatch_modes():
            yield
        return
    modes = _function_modes()
    _set_function_modes([])
    try:
        with no_dispatch_modes():
            yield
    finally:
        _set_function_modes(modes)


@contextmanager
def default_device_kept() -> Iterator[None]:
    """Restore the default device.

    Setting one inside `with torch.device(…)` and setting it back outside leaves that device behind, so torch's own
    state is restored instead: the global context, the current device and the stack of function modes. Without these
    names the device is set back.
    """
    if None in _DEVICE_HOLDERS or not MODES_KNOWN:
        before = torch.get_default_device()
        try:
            yield
        finally:
            if torch.get_default_device() != before:
                torch.set_default_device(before)
        return
    states = [(vars(_DEVICE_HOLDERS[0]), "device_context"), (vars(_DEVICE_HOLDERS[1]), "CURRENT_DEVICE")]
    kept = [(state, name, state[name]) for state, name in states if name in state]
    modes = _function_modes()
    try:
        yield
    finally:
        for state, name in states:
            state.pop(name, None)
        for state, name, value in kept:
            state[name] = value
        _set_function_modes(modes)
