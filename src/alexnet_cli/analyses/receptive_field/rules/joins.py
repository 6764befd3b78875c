"""Operators that put values together: pointwise arithmetic, concatenation, padding, writing in place."""

from __future__ import annotations

from msgspec.structs import replace

from alexnet_cli.analyses.receptive_field.merging import broadcast, concatenated, merged
from alexnet_cli.analyses.receptive_field.moves import placed
from alexnet_cli.analyses.receptive_field.reshaping import expanded, inserted
from alexnet_cli.analyses.receptive_field.seen import Seen, loosened, plain, reduced
from alexnet_cli.analyses.receptive_field.step import NotFollowedError, Outcome, Rule, Step, named
from alexnet_cli.tape import Shape

SAME_PLACE = """
    bucketize complex _conj contiguous detach floor_divide _fused_dropout hardswish imag lift lift_fresh
    log_sigmoid_forward native_dropout polar _prelu_kernel real rrelu_with_noise _to_copy
"""
"""Operators that are pointwise without torch's tag saying so."""


def pointwise(step: Step) -> Outcome:
    """Let each unit see what the units at its place see."""
    if broadcast(step.read) != step.shape:
        raise NotFollowedError
    return merged(step.known, step.shape)


def _part(step: Step) -> Outcome:
    """Some units are set to a constant."""
    return loosened(step.first())


def _copy(step: Step) -> Outcome:
    written = step.seen[1]
    return None if written is None else expanded(written, step.shape)


def _constant(_: Step) -> Outcome:
    return None


def _concatenate(step: Step) -> Outcome:
    if any(len(shape) != len(step.shape) for shape in step.read):
        raise NotFollowedError  # torch lets empty tensors of another rank pass
    axis = step.axis(default=0)
    return concatenated(step.seen, [shape[axis] for shape in step.read], axis)


def _stack(step: Step) -> Outcome:
    axis = step.axis(default=0, rank=len(step.shape))
    return concatenated([seen and inserted(seen, axis) for seen in step.seen], [1] * len(step.seen), axis)


def _pad(step: Step) -> Outcome:
    """Pad; what reflection and replication put at the edges is no more looked at than zeros are."""
    seen = step.first()
    widths = step.argument("pad", None) or step.argument("padding")
    for number, before in enumerate(widths[::2]):
        axis = len(step.shape) - 1 - number
        seen = placed(seen, before, step.shape[axis], place=axis)
    return seen


def _written_elsewhere(step: Step) -> Outcome:
    """Read a value again whose memory was written through other views of it: the first read, if not one of those.

    Which units were written is not on the tape: all may see what any unit of the views sees, unless they are alike.
    """
    if len(step.seen) == 1:
        return step.seen[0]
    values: list[Seen] = []
    for seen in step.seen:
        if seen is not None:
            alike = step.seen[0] is not None and seen.axes == step.seen[0].axes
            values.append(seen if alike else _anywhere(seen, step.shape))
    return loosened(merged(values, step.shape))


def _anywhere(seen: Seen, shape: Shape) -> Seen:
    """Let all units of a value of some shape see what any unit sees."""
    whole = reduced(seen, range(len(seen.axes)))
    return replace(whole, axes=tuple(plain(size) for size in shape))


JOINS: dict[str, Rule] = {
    **named(pointwise, SAME_PLACE),
    **named(_part, "tril triu"),
    "copy": _copy,
    **named(
        _constant,
        """zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones new_full
        new_empty new_empty_strided fill zero uniform normal exponential cauchy geometric log_normal random""",
    ),
    **named(_concatenate, "cat concat"),
    "stack": _stack,
    **named(
        _pad,
        """constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
        replication_pad3d""",
    ),
    "alias": _written_elsewhere,
}
