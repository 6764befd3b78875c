"""The JSON of `alexnet receptive-field`."""

from __future__ import annotations

from alexnet_cli.analyses.receptive_field.fields import LayerField
from alexnet_cli.report_json import Envelope
from alexnet_cli.tape import Shape


class ReceptiveFieldResult(Envelope, frozen=True, kw_only=True):
    """`alexnet receptive-field --json`; `input` is the position in `run.inputs` of what is seen, `axes` are spatial.

    The lists in a row of `layers` have a number for each of `axes`, null for one that is seen whole.
    """

    input: int | None
    input_shape: Shape | None
    axes: tuple[int, ...]
    layers: tuple[LayerField, ...]
