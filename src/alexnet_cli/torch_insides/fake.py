"""Tensors that have a device and no values: torch's mode for them, and what its operators gave before.

The mode keeps what operators gave too, but takes 0.2 ms to find that and to make a tensor of it, most of what a trace
in mixed precision took.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import NoneType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alexnet_cli.torch_insides.names import look_up
from alexnet_cli.torch_insides.operators import schema_of
from alexnet_cli.torch_insides.running import DispatchMode, storage_behind

_no_dispatch: Any = look_up("utils._mode_utils.no_dispatch")
"""Runs operators without any mode. Without it scores in mixed precision cannot be made in the loss."""
_Unwatched: Any = look_up("_C._DisableTorchDispatch")
_keys: Any = look_up("_C._dispatch_key_set", type)
"""Returns how torch finds a tensor's kernels. Without it those of what we make are taken to be right."""
_default_device: Any = look_up("_C._get_default_device", torch.get_default_device)
_DATA_IS_OFF: Any = look_up("_C._set_throw_on_mutable_data_ptr")
_DATA_IS_ODD: Any = look_up("_C._set_warn_deprecated_on_mutable_data_ptr")
_make: Any = getattr(Tensor, "_make_subclass", None)
_active: Any = look_up("_C._get_dispatch_mode")
_FAKE: Any = look_up("_C._TorchDispatchModeKey.FAKE")
_CAN_REPEAT = None not in (_active, _FAKE, _Unwatched, _DATA_IS_OFF, _DATA_IS_ODD, _make)
"""Whether tensors without values can be made by us. Without these names torch makes all, in twice the time."""

_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
_DTYPES = frozenset((*_FLOATS, *_WHOLE))
_PLAIN = frozenset({
    NoneType, bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format,
})  # fmt: skip
_STRIDED = torch.strided
_BY_STORAGE = frozenset({"set_", "resize_", "resize_as_", "as_strided", "_resize_output_"})
"""Operators that depend on the size of a storage, or change which one a tensor has."""
_BY_VALUES = ("data_dependent_output", "dynamic_output_shape", "inplace_view")


def fake_tensor_mode() -> Any:
    """Return the mode whose tensors have a device and no values, None without it. Imports sympy and torch._dynamo."""
    try:
        from torch._subclasses import fake_tensor
    except ImportError:
        return None
    return getattr(fake_tensor, "FakeTensorMode", None)


def _fake_tensor() -> Any:
    """Return the class of tensors without values, if it has been imported."""
    return getattr(sys.modules.get("torch._subclasses.fake_tensor"), "FakeTensor", None)


def without_values(kind: type[Tensor], like: Tensor) -> type[Tensor]:
    """Return a subclass of a kind of tensors for what has a device and no values, the kind itself for all else.

    The kind makes tensors by its method `taking`, of one that has the shape, the dtype and the device.
    """
    fake = _fake_tensor()
    if fake is None or _no_dispatch is None or not isinstance(like, fake):
        return kind

    def taking(cls: Any, shaped: Any) -> Any:
        with _no_dispatch():
            nothing = torch.empty((), dtype=shaped.dtype, device="meta").expand(shaped.shape)
            return fake.__new__(cls, shaped.fake_mode, nothing, shaped.fake_device)

    return type(kind.__name__, (kind, fake), {"taking": classmethod(taking)})


class _Made(NamedTuple):
    """A tensor that an operator made: `view_of` is the place of the argument whose storage it shares."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: torch.dtype
    device: torch.device
    attributes: dict[str, Any]
    view_of: int | None


class _Answer(NamedTuple):
    """What an operator gave; `form` is the type of several results, None of one.

    A number stands for the argument in that place, if that is what it gave.
    """

    results: tuple[_Made | int | None, ...]
    form: type[Any] | None


class FakeResults:
    """What operators gave on tensors without values, of which each is asked once for the same shapes.

    An answer is kept for arguments that agree in all that the mode's own cache compares. `mode` is torch's, which
    answers whatever is not known: operators that depend on values or on other objects, and all that fails.
    """

    def __init__(self, mode: Any) -> None:
        self.mode = mode
        self._fake: Any = _fake_tensor()
        self._known: dict[tuple[Any, ...], _Answer | None] = {}
        self._mark = _DATA_IS_ODD if getattr(mode, "_allow_unsafe_data_ptr_access", False) else _DATA_IS_OFF

    @classmethod
    def of_active_mode(cls) -> FakeResults | None:
        """Return one for the mode that is on; None if none is, or where torch lacks what it needs."""
        mode = _active(_FAKE) if _CAN_REPEAT and _fake_tensor() is not None else None
        return None if mode is None else cls(mode)

    def answering(self) -> AbstractContextManager[Any]:
        """Let operators that nobody watches be answered, as those that make a model."""
        return _Answering(self)

    @staticmethod
    def may_keep(overload: Any, name: str) -> bool:
        """Tell whether what an operator of that name gives follows from the shapes of its arguments."""
        tags = getattr(overload, "tags", ())
        decided = any(getattr(torch.Tag, tag, None) in tags for tag in _BY_VALUES)
        return getattr(overload, "namespace", None) == "aten" and name not in _BY_STORAGE and not decided

    def run(self, kernel: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Return what `kernel` gives: what it gave before if that is known."""
        key = self._key(kernel, args, kwargs)
        if key is None:
            return kernel(*args, **kwargs)
        if key not in self._known:
            output = kernel(*args, **kwargs)
            same = self._key(kernel, args, kwargs) == key
            self._known[key] = self._answer(args, kwargs, output) if same else None
            return output
        answer = self._known[key]
        if answer is None:
            return kernel(*args, **kwargs)
        if answer.form is None:
            return self._result(answer.results[0], args)
        return answer.form([self._result(each, args) for each in answer.results])

    def _key(self, kernel: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return all that a result can depend on; None if there may be more than that."""
        if torch.is_inference_mode_enabled():
            return None
        parts: list[Any] = [kernel, torch.get_default_dtype(), _default_device()]
        if not self._add(parts, args):
            return None
        if kwargs:
            parts.extend(kwargs)
            if not self._add(parts, kwargs.values()):
                return None
        return tuple(parts)

    def _add(self, parts: list[Any], values: Any) -> bool:
        fake, mode = self._fake, self.mode
        for value in values:
            kind = type(value)
            if kind is fake:
                if value.fake_mode is not mode or value.constant is not None or not _is_plain(value):
                    return False
                parts += (
                    value.shape,
                    value.stride(),
                    value.storage_offset(),
                    value.dtype,
                    value.fake_device,
                    value.requires_grad,
                )
            elif kind in _PLAIN:
                parts += (kind, value)
            elif kind is list or kind is tuple:
                parts += (kind, len(value))
                if not self._add(parts, value):
                    return False
            else:
                return False
        return True

    def _answer(self, args: Any, kwargs: dict[str, Any], output: Any) -> _Answer | None:
        """Return what is to be kept of an operator's output; None if it cannot be made again."""
        form = type(output) if type(output) in (list, tuple) else None
        outputs = output if form is not None else [output]
        places = {storage_behind(each): at for at, each in reversed([*enumerate(args)]) if type(each) is self._fake}
        others = {storage_behind(each) for each in self._tensors((*args, *kwargs.values()))}.difference(places)
        results: list[_Made | int | None] = []
        for each in outputs:
            if each is None:
                results.append(None)
                continue
            same = next((at for at, given in enumerate(args) if given is each), None)
            if same is not None:
                results.append(same)
                continue
            if type(each) is not self._fake or storage_behind(each) in others:
                return None
            made = self._made(each, places.get(storage_behind(each)))
            if made is None or _keys(self._result(made, args)) != _keys(each):
                return None
            results.append(made)
            if made.view_of is None:
                others.add(storage_behind(each))
        return _Answer(tuple(results), form)

    def _tensors(self, values: Any) -> list[Any]:
        found = []
        for value in values:
            if type(value) is self._fake:
                found.append(value)
            elif type(value) in (list, tuple):
                found += self._tensors(value)
        return found

    def _made(self, output: Any, view_of: int | None) -> _Made | None:
        ours = output.fake_mode is self.mode and output.constant is None and _is_plain(output)
        if not ours or output.requires_grad or vars(output).get("_is_param"):
            return None
        shape, strides, offset = tuple(output.shape), output.stride(), output.storage_offset()
        if view_of is None:
            last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
            size = (last + 1) * output.itemsize if output.numel() else 0
            if offset or output.untyped_storage().nbytes() != size:
                return None
        return _Made(shape, strides, offset, output.dtype, output.fake_device, dict(vars(output)), view_of)

    def _result(self, made: _Made | int | None, args: Any) -> Any:
        if made is None:
            return None
        if isinstance(made, int):
            return args[made]
        shape, strides, offset, dtype, device, attributes, view_of = made
        if view_of is None:
            with _Unwatched():
                shaped = torch.empty_strided(shape, strides, dtype=dtype, device="meta")
        else:
            storage = args[view_of].untyped_storage()
            with _Unwatched():
                shaped = torch.empty(0, dtype=dtype, device="meta").set_(storage, offset, shape, strides)
        result = _make(self._fake, shaped, dispatch_device=True, device_for_backend_keys=device)
        self._mark(result)
        vars(result).update(attributes)
        return result


class _Answering(DispatchMode):  # type: ignore[no-untyped-call] # torch leaves the base untyped
    """Lets operators be answered by `known`."""

    def __init__(self, known: FakeResults) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch leaves it untyped
        self.known = known
        self._kept: dict[Any, bool] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would import torch._dynamo, a second of start-up

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        kwargs = kwargs or {}
        kept = self._kept.get(func)
        if kept is None:
            name = schema_of(func).name.removeprefix("aten::")
            kept = self._kept[func] = self.known.may_keep(func, name)
        return self.known.run(func, args, kwargs) if kept else func(*args, **kwargs)


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is _STRIDED and tensor.dtype in _DTYPES and not tensor.is_neg()
