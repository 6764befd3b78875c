"""The values of one tensor in a checkpoint, and what they are like. Nothing else of the file is read.

Values of a safetensors file are read where its header says. Those of a file of torch.save, which is checked first as
for its shapes, are mapped into memory by torch's weights-only loader, so that only this tensor's are touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet_cli.errors import TargetError
from alexnet_cli.stored import Statistics
from alexnet_cli.targets.checkpoint import INDEX, SAFETENSORS, TORCH
from alexnet_cli.targets.checkpoint.contents import damaged, opened
from alexnet_cli.targets.checkpoint.read import weight_map
from alexnet_cli.targets.checkpoint.safetensors import read_span

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK = 2**22
"""Elements that are turned into float64 at a time: 32 MiB."""
_STEPS = 16


def tensor_statistics(path: Path, key: str) -> Statistics:
    """Return what the values of a tensor are like, computed in float64.

    Raises:
        TargetError: the file cannot be read, or has no such tensor in a form whose values can be read alone.
    """
    name = path.name
    if name.endswith(INDEX):
        places = weight_map(path, SAFETENSORS if name.removesuffix(INDEX).endswith(SAFETENSORS) else TORCH)
        if key not in places:
            raise _not_alone(path, key)
        path = path.parent / places[key]
    if path.name.endswith(SAFETENSORS):
        return _statistics(_from_safetensors(path, key))
    if path.name.endswith(TORCH):
        return _statistics(_from_torch_file(path, key))
    raise TargetError(
        f"the values in {path} are not read", "statistics are those of .safetensors and of what torch.save wrote"
    )


def _not_alone(path: Path, key: str) -> TargetError:
    hint = "a quantised weight lies in several tensors, and statistics are those of one"
    return TargetError(f"{path} has no tensor {key!r} of its own", hint)


Chunks = Callable[[], Iterable["Tensor"]]
"""Reads the values of a tensor, some at a time."""


def _from_safetensors(path: Path, key: str) -> Chunks:
    import torch

    span = read_span(path, key)
    if span is None:
        raise _not_alone(path, key)
    dtype: Any = getattr(torch, span.stored.dtype, None)
    if dtype is None or dtype.itemsize * span.stored.elements != span.stored.size_bytes:
        raise TargetError(f"this torch has no dtype {span.stored.dtype}", "newer ones may have it")
    if dtype.is_complex:
        raise _without_order("complex tensors")

    def chunks() -> Iterator[Tensor]:
        with opened(path) as (file, _):
            for begin in range(span.begin, span.end, _CHUNK * dtype.itemsize):
                file.seek(begin)
                data = bytearray(file.read(min(_CHUNK * dtype.itemsize, span.end - begin)))
                if len(data) % dtype.itemsize or not data:
                    raise damaged(path, "it was cut short while it was read")
                yield torch.frombuffer(data, dtype=dtype)

    return chunks


def _from_torch_file(path: Path, key: str) -> Chunks:
    import torch

    from alexnet_cli.targets.checkpoint.torch_file import mapped_tensor

    tensor = mapped_tensor(path, key)
    if tensor is None:
        raise _not_alone(path, key)
    if tensor.is_quantized or tensor.layout is not torch.strided:
        raise _without_order("sparse and quantised tensors")
    if tensor.is_complex():
        raise _without_order("complex tensors")
    flat = tensor.detach().reshape(-1)
    return lambda: (flat[begin : begin + _CHUNK] for begin in range(0, flat.numel(), _CHUNK))


def _without_order(what: str) -> TargetError:
    return TargetError(f"statistics are not computed for {what}")


def _statistics(chunks: Chunks) -> Statistics:
    """Return the statistics of values of any dtype; the histogram takes a second pass.

    The deviations of chunks are joined after Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979.
    """
    import torch

    elements = zeros = finite = 0
    mean = squares = 0.0
    least, most = float("inf"), float("-inf")
    for chunk in chunks():
        values = chunk.to(torch.float64)
        elements += values.numel()
        zeros += int((values == 0).sum())
        values = values[values.isfinite()]
        if count := values.numel():
            middle = float(values.mean())
            squares += float(((values - middle) ** 2).sum()) + (middle - mean) ** 2 * finite * count / (finite + count)
            mean += (middle - mean) * count / (finite + count)
            finite += count
            least, most = min(least, float(values.min())), max(most, float(values.max()))
    if not finite:
        return Statistics(elements, zeros, elements - finite, None, None, None, None, ())
    deviation = (squares / finite) ** 0.5
    return Statistics(elements, zeros, elements - finite, least, most, mean, deviation, _histogram(chunks, least, most))


def _histogram(chunks: Chunks, least: float, most: float) -> tuple[int, ...]:
    """Count the values in equal steps; none if all are the same, or too far apart."""
    import torch

    if least == most or not isfinite(most - least):
        return ()
    counts = torch.zeros(_STEPS, dtype=torch.int64)
    for chunk in chunks():
        values = chunk.to(torch.float64)
        values = values[values.isfinite()]
        counts += torch.histc(values, bins=_STEPS, min=least, max=most).to(torch.int64)
    return tuple(counts.tolist())
