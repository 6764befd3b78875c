"""Which dimensions of a model's inputs can be changed, and by which names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from alexnet_cli.errors import UsageError
from alexnet_cli.report import Input, Report

BATCH, IMAGE, SEQUENCE, CONTEXT = "batch", "image", "sequence", "context"
_IMAGE_RANK, _SEQUENCE_RANK = 4, 3


class Dimension(Struct, frozen=True):
    """A size that some axes of inputs share: `(input, axis)`, counted from 0, the batch included."""

    name: str
    axes: tuple[tuple[int, int], ...]
    size: int


def dimensions_of(report: Report) -> dict[str, Dimension]:
    """Return all dimensions of a model's inputs that have a name; those with a meaning come first."""
    inputs = report.run.inputs if report.run is not None else ()
    batch = report.run.batch_size if report.run is not None else None
    found = [*_batch(inputs, batch), *_image(inputs), *_sequence(report, inputs), *_context(inputs)]
    single = (
        Dimension(f"{name}.{axis}", ((at, axis),), size)
        for at, (name, given) in enumerate(zip(names_of(inputs), inputs, strict=True))
        for axis, size in enumerate(given.shape)
        if not (axis == 0 and found and found[0].name == BATCH)
    )
    return {each.name: each for each in (*found, *single)}


def names_of(inputs: Sequence[Input]) -> list[str]:
    """Return what inputs are called: their own names, or their places, counted from 1; `x` if there is only one."""
    alone = len(inputs) == 1
    return [given.name or ("x" if alone else f"x{place}") for place, given in enumerate(inputs, 1)]


def chosen(over: str, known: Mapping[str, Dimension]) -> tuple[Dimension, ...]:
    """Read `batch,sequence` or `ids.1+mask.1`: dimensions by name, those joined by a plus having one size.

    Raises:
        UsageError: a name is unknown or comes twice, or dimensions that are joined have different sizes.
    """
    found = tuple(_joined(part.strip(), known) for part in over.split(","))
    axes = [axis for dimension in found for axis in dimension.axes]
    twice = next((each.name for each in found if any(axes.count(axis) > 1 for axis in each.axes)), None)
    if twice is not None:
        raise UsageError(f"--over {over!r} changes {twice} twice", "name each dimension once")
    return found


def _joined(text: str, known: Mapping[str, Dimension]) -> Dimension:
    parts = [_one(name.strip(), known) for name in text.split("+")]
    sizes = {part.size for part in parts}
    if len(sizes) > 1:
        told = ", ".join(f"{part.name} is {part.size}" for part in parts)
        raise UsageError(f"{text} cannot change together: {told}", "give them one size first")
    return Dimension("+".join(part.name for part in parts), tuple(a for part in parts for a in part.axes), sizes.pop())


def _one(name: str, known: Mapping[str, Dimension]) -> Dimension:
    if name in known:
        return known[name]
    listed = ", ".join(f"{each.name} ({each.size})" for each in known.values())
    raise UsageError(
        f"the inputs have no dimension that {name!r} names",
        f"known: {listed}; + joins dimensions that change together" if listed else "the model takes no tensors",
    )


def _batch(inputs: Sequence[Input], batch: int | None) -> Iterator[Dimension]:
    axes = tuple((at, 0) for at, given in enumerate(inputs) if given.shape[:1] == (batch,))
    if batch is not None and axes:
        yield Dimension(BATCH, axes, batch)


def _image(inputs: Sequence[Input]) -> Iterator[Dimension]:
    """Yield the height and width of images, together, if all images are square and of one size."""
    images = [(at, given.shape) for at, given in enumerate(inputs) if _is_image(given)]
    sides = {side for _, shape in images for side in shape[-2:]}
    if len(sides) == 1:
        axes = tuple((at, axis) for at, shape in images for axis in (len(shape) - 2, len(shape) - 1))
        yield Dimension(IMAGE, axes, sides.pop())


def _is_image(given: Input) -> bool:
    return "float" in given.dtype and len(given.shape) == _IMAGE_RANK


def _sequence(report: Report, inputs: Sequence[Input]) -> Iterator[Dimension]:
    """Yield the length that all inputs with tokens share, or else that of the only input with vectors."""
    tokens = [(at, given.shape) for at, given in enumerate(inputs) if _is_tokens(given)]
    lengths = {shape[1] for _, shape in tokens}
    if len(lengths) == 1:
        length = lengths.pop()
        yield Dimension(SEQUENCE, tuple(_axes_of_length(inputs, length)), length)
    vectors = [given.shape for given in inputs if "float" in given.dtype and len(given.shape) == _SEQUENCE_RANK]
    if not tokens and len(vectors) == len(inputs) == 1:
        axis = 2 if _begins_with_convolution(report) else 1
        yield Dimension(SEQUENCE, ((0, axis),), vectors[0][axis])


def _is_tokens(given: Input) -> bool:
    return given.dtype.startswith("int") and len(given.shape) == _SEQUENCE_RANK - 1


def _context(inputs: Sequence[Input]) -> Iterator[Dimension]:
    """Yield the tokens that a language model knows when it makes the next one; no axis of its inputs has them."""
    lengths = [given.shape[1] for given in inputs if _is_tokens(given)]
    if lengths:
        yield Dimension(CONTEXT, (), lengths[0])


def _axes_of_length(inputs: Sequence[Input], length: int) -> Iterator[tuple[int, int]]:
    """Yield the axes after the batch that have the tokens' length: masks share it, pairs of positions twice."""
    for at, given in enumerate(inputs):
        if not _is_image(given) and not ("float" in given.dtype and len(given.shape) == _SEQUENCE_RANK):
            yield from ((at, axis) for axis, size in enumerate(given.shape) if axis > 0 and size == length)


def _begins_with_convolution(report: Report) -> bool:
    first = next((layer for layer in report.layers if layer.leaf and layer.family != "reshape"), None)
    return first is not None and first.family == "conv"
