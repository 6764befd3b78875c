"""`receptive-field`: how much of the input each layer sees."""

from __future__ import annotations

from msgspec.structs import asdict

from alexnet_cli.analyses.receptive_field.fields import LayerField, receptive_fields
from alexnet_cli.answers.answer import Answer, failures_of
from alexnet_cli.report_json import Envelope
from alexnet_cli.session.session import Session
from alexnet_cli.tape import Shape
from alexnet_cli.views.receptive_field import receptive_field_document


class ReceptiveFieldResult(Envelope, frozen=True, kw_only=True):
    """`alexnet receptive-field --json`; `input` is the position in `run.inputs` of what is seen, `axes` are spatial.

    The lists in a row of `layers` have a number for each of `axes`, null for one that is seen whole.
    """

    input: int | None
    input_shape: Shape | None
    axes: tuple[int, ...]
    layers: tuple[LayerField, ...]


def receptive_field(
    session: Session, *, of: int | None = None, depth: int | None = None
) -> Answer[ReceptiveFieldResult]:
    """Show how much of the input each layer sees: size, jump and start of its receptive field, in pixels.

    `of` is the number of the input among forward's arguments, counted from 1.

    Raises:
        UsageError: there is no such argument, or it has no axis of space or time.
        AlexnetError: the model cannot be loaded or run.
    """
    report = session.report()
    fields = receptive_fields(report, argument=None if of is None else of - 1, depth=depth)
    result = ReceptiveFieldResult(**Envelope.of(report, "receptive-field"), **asdict(fields))
    return Answer(result, lambda: receptive_field_document(report, fields), failures=failures_of(report))
