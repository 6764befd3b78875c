"""The private names of torch that this program uses, all in one place.

Each name is looked up tolerantly: a torch without it costs speed or exactness, as the comment beside the name says,
but never a failed import. A torch upgrade starts here. Imported only where torch is needed anyway.
"""

from __future__ import annotations

import inspect
import sys
from abc import ABCMeta
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from io import BytesIO
from operator import attrgetter
from threading import get_ident
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm, conv, dropout

from alexnet_cli.errors import AlexnetError

if TYPE_CHECKING:
    from torch.utils._python_dispatch import TorchDispatchMode

with suppress(ImportError):  # not all of them come with `import torch`
    import torch.overrides
    import torch.utils._device
    import torch.utils._python_dispatch

NAMES: dict[str, bool] = {}
"""Every name that was looked up below, and whether this torch has it."""


def _look_up(path: str, fallback: Any = None) -> Any:
    found: Any = torch
    for part in path.split("."):
        found = getattr(found, part, None)
    NAMES[path] = found is not None
    return fallback if found is None else found


# --- What runs: modes, nodes of the autograd graph, storages --------------------------------------------------------

DisableTorchFunction: Any = _look_up("_C.DisableTorchFunction", nullcontext)
"""Looks at tensors without the recorder's own function mode seeing it. Without it the mode counts those looks too."""

sequence_number: Any = _look_up("_C._autograd._get_sequence_nr", lambda: 0)
"""Returns the number of the next autograd node. Without it no row is named for the operators of the backward."""

_current_node: Any = _look_up("_C._current_autograd_node", lambda: None)
"""Returns the autograd node that is running. Without it no row is named for the operators of the backward."""

storage_identity: Any = attrgetter("_cdata") if _look_up("UntypedStorage._cdata") else id
"""Returns what a storage is known by. Without `_cdata` that is the Python object, which torch keeps for a storage."""


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

    DispatchMode = _look_up("utils._python_dispatch.TorchDispatchMode", _NoDispatchMode)
"""The base of modes that see every operator. Without it a trace says that this torch has none."""


_CONSTRUCTORS = """
    arange as_tensor asarray empty empty_permuted empty_strided eye full linspace logspace ones rand randint randn
    randperm scalar_tensor sparse_coo_tensor tensor tril_indices triu_indices zeros
"""


device_constructors: Any = _look_up(
    "utils._device._device_constructors", lambda: {getattr(torch, name) for name in _CONSTRUCTORS.split()}
)
"""Returns the functions that make tensors on the default device. Without it those listed above."""


def fake_tensor_mode() -> Any:
    """Return the mode whose tensors have a device and no values, None without it. Imports sympy and torch._dynamo."""
    try:
        from torch._subclasses import fake_tensor
    except ImportError:
        return None
    return getattr(fake_tensor, "FakeTensorMode", None)


# --- Operators ------------------------------------------------------------------------------------------------------


_OVERLOAD = _look_up("_ops.OpOverload")


def operator_named(name: str) -> Any:
    """Return an ATen operator by name, `relu` or `add.Tensor`; None if this torch has none of that name."""
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet, None), overload or "default", None)


def schema_of(overload: Any) -> Any:
    """Return an operator's schema. Without it the operator has a name only: no argument names, no views."""
    unknown = SimpleNamespace(name=str(overload).replace(".", "::", 1), arguments=(), returns=(), is_mutable=False)
    return getattr(overload, "_schema", unknown)


def has_tag(overload: Any, name: str) -> bool:
    """Tell whether torch tags an operator so; it does not where it knows no such tag."""
    return getattr(torch.Tag, name, None) in getattr(overload, "tags", ())


def has_kernel(overload: Any, key: str) -> bool:
    """Tell whether an operator has a kernel for a dispatch key; without that knowledge it has none."""
    known = getattr(overload, "has_kernel_for_dispatch_key", None)
    return known is not None and bool(known(key))


def kernel_of(overload: Any) -> Any:
    """Return what an operator overload calls itself, a tenth of a trace faster; without it the overload."""
    return getattr(overload, "_op", overload) if type(overload) is _OVERLOAD else overload


_HIGHER_ORDER = _look_up("_ops.HigherOrderOperator", ())


def is_higher_order(func: Any) -> bool:
    """Tell whether a dispatch mode is given an operator that takes functions; without their class none is."""
    return isinstance(func, _HIGHER_ORDER)


def higher_order_kernel(func: Any) -> Any:
    """Return the function by which a higher-order operator calls plain ones; None if torch has none or hides it."""
    key = getattr(getattr(torch._C, "DispatchKey", None), "CompositeExplicitAutograd", None)
    return getattr(func, "py_kernels", {}).get(key)


@contextmanager
def flex_attention_written_out() -> Iterator[None]:
    """Let `flex_attention` run without the compiler, and on `meta`, if the model's code has imported it.

    Without these names, as before torch 2.9, it is compiled, which fails while a run is watched.
    """
    module: Any = sys.modules.get("torch.nn.attention.flex_attention")
    kept = {name: vars(module)[name] for name in _FLEX if name in vars(module)} if module is not None else {}
    if len(kept) < len(_FLEX):
        yield
        return
    plain, check = _FLEX

    def check_real(query: Tensor, *others: Tensor) -> None:
        if not query.is_meta:
            kept[check](query, *others)

    setattr(module, plain, True)
    setattr(module, check, check_real)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(module, name, value)


_FLEX = ("_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", "_validate_device")


@contextmanager
def kernel_replaced(name: str, kernel: Any, key: str) -> Iterator[None]:
    """Run an ATen operator by another kernel inside. Without `_destroy` it lasts until the library is collected."""
    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call] # torch leaves it untyped
    can_say_so = "allow_override" in inspect.signature(library.impl).parameters  # torch 2.9 refuses it unsaid
    library.impl(name, kernel, key, **({"allow_override": True} if can_say_so else {}))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        getattr(library, "_destroy", lambda: None)()


# --- Modules --------------------------------------------------------------------------------------------------------


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return the parameters registered in a module itself, those that are None too."""
    return module._parameters


def own_buffers(module: nn.Module) -> dict[str, Tensor | None]:
    """Return the buffers registered in a module itself, those that are None too."""
    return module._buffers


def own_modules(module: nn.Module) -> Mapping[str, nn.Module | None]:
    """Return the modules registered in a module itself, those that are None too."""
    return module._modules


def has_parts_or_hooks(module: nn.Module) -> bool:
    """Tell whether a call of a module runs more than its own forward; without torch's own lists it may."""
    try:
        return bool(module._modules or module._forward_hooks or module._forward_pre_hooks)
    except AttributeError:
        return True


def _base_class(where: Any, name: str, public: str) -> Any:
    """Return the private base class of torch's layers of a kind; without it a class that the public ones count as."""
    stand_in = ABCMeta(name, (), {})
    for layer in public.split():
        stand_in.register(getattr(nn, layer))
    NAMES[f"nn.modules.{where.__name__.rpartition('.')[2]}.{name}"] = hasattr(where, name)
    return getattr(where, name, stand_in)


if TYPE_CHECKING:
    ConvNd = conv._ConvNd
    NormBase = batchnorm._NormBase
    DropoutNd = dropout._DropoutNd
else:
    ConvNd = _base_class(conv, "_ConvNd", "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d")
    NormBase = _base_class(
        batchnorm,
        "_NormBase",
        "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    )
    DropoutNd = _base_class(
        dropout, "_DropoutNd", "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout"
    )


# --- The compiler, the profiler, the default device -----------------------------------------------------------------


_COMPILER = "torch._dynamo"


def compiler_is_loaded() -> bool:
    """Tell whether torch's compiler was imported, which takes a second."""
    return _COMPILER in sys.modules


def spare_compiler() -> None:
    """Let optimisers be made without importing the compiler, which they do to be hidden from it.

    A torch that does that in another way imports it: a second of start-up.
    """
    if not compiler_is_loaded():
        for method in (torch.optim.Optimizer.add_param_group, torch.optim.Optimizer.zero_grad):
            plain = getattr(method, "__wrapped__", None)
            if plain is not None:
                plain.__dynamo_disable = plain


_COMPILER_LOADS_ANYWHERE = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 9)


def load_compiler() -> None:
    """Import the compiler on the CPU, where torch cannot do it while `meta` is the default device."""
    if not _COMPILER_LOADS_ANYWHERE:
        with torch.device("cpu"):
            import_module(_COMPILER)


@contextmanager
def compiler_importable() -> Iterator[None]:
    """Let a model's code call `torch.compile` while `meta` is the default device: torch 2.6 imports the compiler then.

    That import reads values of tensors, which fails on `meta` and leaves the compiler half imported.
    """
    if _COMPILER_LOADS_ANYWHERE or compiler_is_loaded():
        yield
        return
    compiled = torch.compile

    def import_and_compile(*args: Any, **options: Any) -> Any:
        load_compiler()
        return compiled(*args, **options)

    torch.compile = import_and_compile
    try:
        yield
    finally:
        torch.compile = compiled


def memory_events(profiler: Any) -> Iterable[Any] | None:
    """Return a profiler's raw events, allocations among them; None where it does not keep them: no peak is known."""
    results = getattr(getattr(profiler, "profiler", None), "kineto_results", None)
    return None if results is None else results.events()


_function_modes: Any = _look_up("overrides._get_current_function_mode_stack")
_push_mode: Any = _look_up("overrides._push_mode")
_pop_mode: Any = _look_up("overrides._pop_mode")
_DEVICE_HOLDERS: Any = _look_up("_GLOBAL_DEVICE_CONTEXT"), _look_up("utils._device")
_MODES_KNOWN = None not in (_function_modes, _push_mode, _pop_mode)


def _set_function_modes(modes: list[Any]) -> None:
    while _function_modes():
        _pop_mode()
    for mode in modes:
        _push_mode(mode)


class _ImportedWithoutModes(MetaPathFinder):
    """Imports the compiler with no mode active: it tries operators out, which would be recorded, or fail on `meta`."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find only the compiler."""
        spec = PathFinder.find_spec(name, path, target) if name == _COMPILER else None
        loader: Any = spec and spec.loader
        if loader is not None:
            loader.exec_module = self._without_modes(loader.exec_module)
        return spec

    @staticmethod
    def _without_modes(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def run(module: ModuleType) -> None:
            modes = _function_modes()
            _set_function_modes([])
            try:
                with _no_dispatch_modes():
                    execute(module)
            finally:
                _set_function_modes(modes)

        return run


_no_dispatch_modes: Any = _look_up("utils._python_dispatch._disable_current_modes", nullcontext)
"""Switches all dispatch modes off. Without it the operators that an import runs may be recorded."""


@contextmanager
def imports_unwatched() -> Iterator[None]:
    """Keep the modes that are active from seeing what an import of the compiler runs, if one happens inside.

    Without torch's functions for its stack of modes they see it.
    """
    if compiler_is_loaded() or not _MODES_KNOWN:
        yield
        return
    finder = _ImportedWithoutModes()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def default_device_kept() -> Iterator[None]:
    """Restore the default device.

    Setting one inside `with torch.device(…)` and setting it back outside leaves that device behind, so torch's own
    state is restored instead: the global context, the current device and the stack of function modes. Without these
    names the device is set back.
    """
    if None in _DEVICE_HOLDERS or not _MODES_KNOWN:
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


# --- Weights in other forms than a plain tensor ----------------------------------------------------------------------

_ScriptObject: Any = _look_up("ScriptObject")
"""Holds the packed weights of a quantised layer. Without it such a layer has no parameters."""

_HALF = 2


def packed_below(module: nn.Module) -> list[tuple[nn.Module, Any]]:
    """Return the objects in which a quantised layer of torch packs its weights, each with the part that holds it."""
    if _ScriptObject is None or not type(module).__module__.startswith("torch.ao.nn."):
        return []
    parts = module.modules()
    return [(part, value) for part in parts for value in vars(part).values() if isinstance(value, _ScriptObject)]


def packed_tensors(packed: Any) -> list[Tensor]:
    """Return the weights and biases in such an object; those of an RNN's layer hold other such objects."""
    found: list[Tensor] = []
    if packed._has_method("unpack"):
        waiting: list[Any] = [packed.unpack()]
    else:
        waiting = [packed.__getstate__()]
    for value in waiting:  # grows during the loop
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, _ScriptObject):
            waiting += packed_tensors(value)
        elif isinstance(value, (list, tuple)):
            waiting += value
    return list({(each.data_ptr() or id(each)): each for each in found}.values())


def packed_bytes(module: nn.Module, tensor: Tensor) -> int:
    """Return the bytes that a packed weight takes; one in half precision is unpacked into more."""
    is_half = torch.float16 in (getattr(module, "dtype", None), getattr(module, "weight_dtype", None))
    return _HALF * tensor.numel() if is_half and tensor.dim() > 1 else stored_bytes(tensor)


def tensors_inside(tensor: Tensor) -> list[Tensor]:
    """Return the tensors that a subclass holds its values in; none for a plain tensor, or a distributed one."""
    cls = type(tensor)
    if cls is Tensor or cls is nn.Parameter or cls.__module__.startswith("torch.distributed"):
        return []
    flatten = getattr(tensor, "__tensor_flatten__", None)
    return [getattr(tensor, name) for name in flatten()[0]] if flatten is not None else []


def _sparse_parts(tensor: Tensor) -> list[Tensor]:
    """Return the values and indices of a sparse tensor; none of a dense one."""
    if tensor.layout is torch.sparse_coo:
        return [tensor._values(), tensor._indices()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.values(), tensor.crow_indices(), tensor.col_indices()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.values(), tensor.ccol_indices(), tensor.row_indices()]
    return []


def stored_bytes(tensor: Tensor) -> int:
    """Return the bytes in which a tensor is stored: of a subclass the tensors inside it, with scales and zero points.

    A distributed tensor counts whole, as its shape does; a sparse one with its indices.
    """
    if inner := tensors_inside(tensor) or _sparse_parts(tensor):
        return sum(map(stored_bytes, inner))
    size = tensor.numel() * tensor.element_size()
    if tensor.is_quantized and tensor.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams):
        beside = (tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points())
        size += sum(each.numel() * each.element_size() for each in beside)
    return size


# --- Checkpoints ----------------------------------------------------------------------------------------------------


def place_in_file(storage: Any) -> int | None:
    """Return where in a checkpoint a storage on meta has its values; None if torch does not mark it, or it has none."""
    return getattr(storage, "_checkpoint_offset", None) or None


@cache
def meta_storages_are_marked() -> bool:
    """Tell whether this torch marks storages that it loads on meta, as of 2.9; if not, files are mapped into memory."""
    file = BytesIO()
    torch.save(torch.zeros(1), file)
    file.seek(0)
    return place_in_file(torch.load(file, map_location="meta", weights_only=True).untyped_storage()) is not None


_check_sparse: Any = _look_up("_utils._validate_loaded_sparse_tensors")


@contextmanager
def sparse_tensors_unchecked() -> Iterator[None]:
    """Let this thread load sparse tensors without their values, which torch 2.6, and 2.14 and newer, want to check.

    Without the check's name such a checkpoint is mapped into memory, or refused.
    """
    if _check_sparse is None:
        yield
        return
    thread = get_ident()

    def forget(*args: Any, **kwargs: Any) -> None:
        if get_ident() != thread:
            _check_sparse(*args, **kwargs)
        elif waiting := getattr(torch._utils, "_get_sparse_tensors_to_validate", None):
            waiting().clear()
        else:
            getattr(torch._utils, "_sparse_tensors_to_validate", []).clear()

    torch._utils._validate_loaded_sparse_tensors = forget
    try:
        yield
    finally:
        torch._utils._validate_loaded_sparse_tensors = _check_sparse


# --- Exported programs ----------------------------------------------------------------------------------------------


def overload_named(namespace: str, name: str, overload: str) -> Any:
    """Return a registered operator overload, `aten`, `add`, `Tensor`; None if there is no such one.

    Without torch's class of overloads there is none, and no exported program can be run.
    """
    found = getattr(getattr(getattr(torch.ops, namespace, None), name, None), overload, None)
    return found if _OVERLOAD is not None and type(found) is _OVERLOAD else None


# --- Many ranks in one process ---------------------------------------------------------------------------------------


def fake_store() -> Any:
    """Return the store of a process group that sends nothing; None if no parallel run can be traced with this torch.

    Its collectives must run on shapes: before torch 2.13 a module of torch has to be imported for that, before 2.9 some
    of them cannot.
    """
    try:
        from torch.testing._internal.distributed.fake_pg import FakeStore

        one: Any = torch.ops.c10d.allreduce_.default
        if not has_kernel(one, "Meta"):
            import_module("torch.distributed._tools.fake_collectives")  # registers them
    except (ImportError, AttributeError):
        return None
    return FakeStore() if has_kernel(one, "Meta") else None


def group_name(group: Any) -> str | None:
    """Return the name of the process group that a collective is given, boxed or not; None if torch hides it."""
    unbox = getattr(torch.distributed.ProcessGroup, "unbox", None)
    try:
        plain = unbox(group) if isinstance(group, _ScriptObject or ()) and unbox is not None else group
    except RuntimeError:
        return None
    return getattr(plain, "group_name", None)


def local_tensor(tensor: Tensor) -> Tensor:
    """Return the part of a distributed tensor that this rank holds, or what an unfinished collective will have made."""
    while type(tensor).__module__.startswith("torch.distributed"):
        inner = next(
            (each for name in ("_local_tensor", "elem") if (each := getattr(tensor, name, None)) is not None), None
        )
        if not isinstance(inner, Tensor):
            break
        tensor = inner
    return tensor


def distributed_classes() -> tuple[type, ...]:
    """Return torch's tensors that stand for others: those of many ranks, and those that collectives still make."""
    from torch.distributed import _functional_collectives
    from torch.distributed.tensor import DTensor

    return (DTensor, _functional_collectives.AsyncCollectiveTensor)


@contextmanager
def fsdp_collectives_told(within: Callable[[list[nn.Module]], Any]) -> Iterator[None]:
    """Run what FSDP does for the parameters of some modules inside `within` of these; without its functions it is not.

    Then collectives in the backward name no layer.
    """
    try:
        group: Any = import_module("torch.distributed.fsdp._fully_shard._fsdp_param_group")
    except ImportError:
        group = None
    kept = {name: vars(group)[name] for name in _FSDP_FUNCTIONS if group is not None and name in vars(group)}

    def told(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            params: Any = next((each for each in args if isinstance(each, list)), kwargs.get("fsdp_params", []))
            modules = [getattr(getattr(each, "_module_info", None), "module", None) for each in params]
            with within([module for module in modules if module is not None]):
                return function(*args, **kwargs)

        return run

    for name, function in kept.items():
        setattr(group, name, told(function))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(group, name, function)


_FSDP_FUNCTIONS = ("foreach_all_gather", "foreach_all_gather_copy_out", "foreach_reduce")


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


def hooks_of(module: nn.Module) -> tuple[dict[int, Any], ...]:
    """Return the hooks that run before and after a module's forward, by number."""
    return (module._forward_pre_hooks, module._forward_hooks)


def bucket_assignment(tensors: list[Any], limits: list[int], indices: list[int]) -> list[list[int]]:
    """Return how DDP puts gradients that arrive in this order into buckets; without its function all are in one."""
    assign = getattr(torch.distributed, "_compute_bucket_assignment_by_size", None)
    return [indices] if assign is None else list(assign(tensors, limits, [], indices)[0])


@contextmanager
def ddp_buckets_given(buckets: list[list[int]]) -> Iterator[None]:
    """Let DDP reduce gradients in these buckets, in this order; without its function for that it has one or its own."""
    name = "_compute_bucket_assignment_by_size"
    plain = getattr(torch.distributed, name, None)
    if plain is None:
        yield
        return
    setattr(torch.distributed, name, lambda *_: (buckets[::-1], [sys.maxsize] * len(buckets)))
    try:
        yield
    finally:
        setattr(torch.distributed, name, plain)
