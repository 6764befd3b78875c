"""The elements of small tensors on `meta` that constants, given values and the assumptions about inputs settle.

Models compute masks and positions from `ones` and `arange`, and then ask whether all is attended, or how many elements
are chosen. An operator of which all arguments are known runs on the CPU as well, and its result is known too.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from alexnet_cli.tracing.meta.assumed import Assumptions, Known, is_one_value

MOST = 2**18
"""Larger tensors are not followed: of them one value for all elements may be known."""
_CONSTANTS = frozenset({"arange", "linspace", "eye", "tril_indices", "triu_indices"})
"""What makes elements out of numbers alone, and other elements than one value."""
_OVERWRITE = frozenset({"fill_", "zero_", "copy_"})
_FAILURES = (RuntimeError, ValueError, TypeError, IndexError, OverflowError)


class _Kept(NamedTuple):
    """All elements of a storage, in one dimension on the CPU, and whether they rest on assumptions."""

    elements: Tensor
    assumed: bool
    storage: weakref.ref[Any]


class Elements:
    """What is known of the elements of tensors on `meta`, and what it answers."""

    def __init__(self, assumed: Assumptions, storage_of: Callable[[Tensor], int]) -> None:
        self.assumed = assumed
        self.storage_of = storage_of
        self.answers: dict[str, Callable[..., Any]] = {
            "_local_scalar_dense": self.item,
            "equal": self.equal,
            "_to_copy": self.copied_out,
        }
        """The operators by which a model asks for values."""
        self._kept: dict[int, _Kept] = {}
        self._new: list[tuple[Tensor, Any]] = []

    def keep(self, tensor: Tensor, real: Tensor, *, assumed: bool = False) -> None:
        """Keep the elements of a tensor whose storage holds nothing else."""
        if not tensor.is_meta or tensor.shape != real.shape or tensor.dtype != real.dtype or tensor.numel() > MOST:
            return
        with suppress(*_FAILURES):
            if tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size():
                return
            whole = self._begin(tensor, assumed=assumed)
            whole.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).copy_(real.detach())

    def made_of(self, tensor: Tensor, numbers: Any) -> None:
        """Keep the numbers of which `torch.tensor` made a tensor, once an operator runs: here it would be recorded."""
        if tensor.is_meta and tensor.numel() <= MOST:
            self._new.append((tensor, numbers))

    def of(self, tensor: Tensor) -> tuple[Tensor, bool] | None:
        """Return a tensor's elements on the CPU, and whether they rest on assumptions; None if they are not known."""
        if not self._is_known(tensor):
            return None
        if not tensor.is_meta:
            return tensor.detach(), False
        kept = self._kept_of(tensor)
        if kept is not None:
            seen = kept.elements.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
            return seen, kept.assumed
        known = self.assumed.known(tensor)
        assert known is not None  # noqa: S101 - for the type checker
        return torch.full(tensor.shape, known.value, dtype=tensor.dtype, device="cpu"), known.assumed

    def after(self, overload: Any, name: str, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        """Keep the elements of an operator's new results, where those of all its arguments are known."""
        if isinstance(output, Tensor) and (output.numel() > MOST or self._is_of_one_value(output)):
            return
        real = self._computed(overload, args, kwargs, of_numbers=name in _CONSTANTS)
        if real is not None:
            results, assumed = real
            for tensor, elements in zip(tree_leaves(output), tree_leaves(results), strict=False):
                if isinstance(tensor, Tensor) and isinstance(elements, Tensor):
                    self.keep(tensor, elements, assumed=assumed)
                    self._note_one_value(tensor, elements, assumed=assumed)

    def _note_one_value(self, tensor: Tensor, elements: Tensor, *, assumed: bool) -> None:
        """Note that all elements are one value: that stays known where only some of them are picked."""
        first = elements.flatten()[:1]
        if len(first) and self._kept_of(tensor) is not None and bool((elements == first).all()):
            self.assumed.keep(tensor, Known(first.item(), assumed))

    def write(self, overload: Any, name: str, written: list[Any], args: Any, kwargs: dict[str, Any]) -> None:
        """Write to the elements of the tensors that an operator writes to, or forget them."""
        targets = [tensor for tensor in written if isinstance(tensor, Tensor) and tensor.is_meta]
        if len(targets) == 1 and self._made_whole(targets[0], overwritten=name in _OVERWRITE):
            real = self._computed(overload, args, kwargs)
            if real is not None:
                kept = self._kept[self.storage_of(targets[0])]
                self._kept[self.storage_of(targets[0])] = kept._replace(assumed=kept.assumed or real[1])
                return
        for tensor in targets if self._kept else ():
            self._kept.pop(self.storage_of(tensor), None)

    def made(self, overload: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Return new tensors whose shapes depend on elements; NotImplemented if these are not known."""
        if name in ("index", "masked_select"):
            return self._chosen(overload, name, *args[:2])
        real = self._computed(overload, args, kwargs)
        if real is None:
            return NotImplemented
        results, assumed = real
        return tree_map_only(Tensor, lambda elements: self._on_meta(elements, assumed=assumed), results)

    def item(self, tensor: Tensor) -> Any:
        """Return the value that a model asks for, NotImplemented if it is not known."""
        value = self.assumed.item(tensor)
        known = self.of(tensor) if value is NotImplemented else None
        return value if known is None else self.assumed.answer(known[0].item(), assumed=known[1])

    def equal(self, left: Tensor, right: Tensor) -> Any:
        """Answer `torch.equal`, if it is known."""
        value = self.assumed.equal(left, right)
        if value is not NotImplemented:
            return value
        one, other = self.of(left), self.of(right)
        if one is None or other is None:
            return NotImplemented
        return self.assumed.answer(torch.equal(one[0], other[0]), assumed=one[1] or other[1])

    def copied_out(self, tensor: Tensor, **how: Any) -> Any:
        """Return a copy on the CPU, as `tolist` makes; NotImplemented if another is asked for or nothing is known."""
        device = how.get("device")
        if device is None or torch.device(device).type != "cpu" or not tensor.is_meta:
            return NotImplemented
        known = self.of(tensor)
        if known is None:
            return NotImplemented
        self.assumed.answer(known[0].tolist(), assumed=known[1])
        return known[0].to(how.get("dtype") or tensor.dtype, copy=True)

    def _is_known(self, tensor: Tensor) -> bool:
        if not tensor.is_meta:
            return tensor.device.type == "cpu" and tensor.numel() <= MOST
        while self._new:
            made, numbers = self._new.pop()
            with suppress(*_FAILURES):
                self.keep(made, torch.tensor(numbers, dtype=made.dtype, device="cpu"))
        if self._kept and self._kept_of(tensor) is not None:
            return True
        return tensor.numel() <= MOST and self._is_of_one_value(tensor)

    def _is_of_one_value(self, tensor: Tensor) -> bool:
        known = self.assumed.known(tensor)
        return known is not None and is_one_value(known)

    def _kept_of(self, tensor: Tensor) -> _Kept | None:
        kept = self._kept.get(self.storage_of(tensor))
        if kept is None or kept.storage() is None or kept.elements.dtype != tensor.dtype:
            return None
        return kept

    def _computed(
        self, overload: Any, args: Any, kwargs: dict[str, Any], *, of_numbers: bool = False
    ) -> tuple[Any, bool] | None:
        """Run an operator on the CPU; None if something among its arguments is unknown, or if it fails there."""
        first = args[0] if args else None
        if isinstance(first, Tensor) and not self._is_known(first):
            return None  # mostly
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        if not all(map(self._is_known, tensors)) or not (of_numbers or any(tensor.is_meta for tensor in tensors)):
            return None
        assumed = False

        def real(tensor: Tensor) -> Tensor:
            nonlocal assumed
            found = self.of(tensor)
            assert found is not None  # noqa: S101 - for the type checker
            assumed = assumed or found[1]
            return found[0]

        try:
            on_cpu, named = tree_map_only(Tensor, real, (args, kwargs))
            if named.get("device") is not None:
                named["device"] = torch.device("cpu")
            return overload(*on_cpu, **named), assumed
        except _FAILURES:
            return None

    def _chosen(self, overload: Any, name: str, given: Tensor, chosen: Any) -> Any:
        """Choose the elements of `given`, which may be unknown, where masks hold."""
        if name == "masked_select":
            given, mask = torch.broadcast_tensors(given, chosen)  # type: ignore[no-untyped-call] # torch leaves it so
            chosen = [mask]
        indices: list[Tensor | None] = []
        for index in chosen:
            if index is None or index.dtype not in (torch.bool, torch.uint8):
                indices.append(index)
                continue
            known = self.of(index)
            if known is None:
                return NotImplemented
            indices += [self._on_meta(places, assumed=known[1]) for places in known[0].nonzero(as_tuple=True)]
        return (overload if name == "index" else torch.ops.aten.index.Tensor)(given, indices)

    def _on_meta(self, elements: Tensor, *, assumed: bool) -> Tensor:
        self.assumed.answer(f"a shape of {list(elements.shape)}", assumed=assumed)
        tensor = torch.empty_strided(elements.shape, elements.stride(), dtype=elements.dtype, device="meta")
        self.keep(tensor, elements, assumed=assumed)
        return tensor

    def _made_whole(self, tensor: Tensor, *, overwritten: bool) -> bool:
        """Tell whether all elements of a tensor's storage are kept, or about to be overwritten."""
        if self._kept and self._kept_of(tensor) is not None:
            return True
        known = self.assumed.known(tensor)
        value = known.value if known is not None and is_one_value(known) else None
        with suppress(*_FAILURES):
            size = tensor.untyped_storage().nbytes() // tensor.element_size()
            if size > MOST or (value is None and not (overwritten and tensor.numel() == size)):
                return False
            self._begin(tensor, assumed=known is not None and known.assumed).fill_(value or 0)
            return True
        return False

    def _begin(self, tensor: Tensor, *, assumed: bool) -> Tensor:
        """Keep a storage, and return its elements, which are to be written."""
        storage: Any = tensor.untyped_storage()
        elements = torch.empty(storage.nbytes() // tensor.element_size(), dtype=tensor.dtype, device="cpu")
        key = self.storage_of(tensor)

        def forget(gone: weakref.ref[Any]) -> None:
            if key in self._kept and self._kept[key].storage is gone:
                del self._kept[key]

        self._kept[key] = _Kept(elements, assumed, weakref.ref(storage, forget))
        return elements
