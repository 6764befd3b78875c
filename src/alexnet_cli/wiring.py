"""What a training step shows about how a model is wired, as plain values, beside the operators on its tape.

Lines are those of the user's own code, `net.py:14: self.fc = nn.Linear(400, 120)`; where that has none, as for a model
of a library, those of the library. They are None where there is neither.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Trained(Struct, frozen=True, omit_defaults=True):
    """A parameter that requires a gradient: its name, its elements, and the line that makes its module.

    `read` tells whether an operator read it.
    """

    name: str
    params: int
    read: bool
    line: str | None = None


class Grown(Struct, frozen=True, omit_defaults=True):
    """What a module holds beside its parameters, and holds more of after each step: bytes after one step and two.

    `kind` is a buffer, or an attribute that holds tensors; with a `graph` they keep alive what made them.
    """

    name: str
    kind: Literal["buffer", "attribute"]
    before: int
    after: int
    graph: bool
    line: str | None = None


class Mode(Struct, frozen=True, omit_defaults=True):
    """A dropout or a norm over the batch that ran in another mode than the step's, or without sense in it.

    `key` says how: it ran in `eval` mode in a `region` that is trained; it `updates` running statistics although its
    own parameters are frozen; the `region` was put into eval mode while it was made, which `train()` has `undone`; it
    is `always` on, in eval mode too; or it norms `one_sample` of a batch of several, or of one.
    """

    key: Literal["eval", "updates", "undone", "always", "one_sample"]
    path: str
    type: str
    region: str | None = None
    line: str | None = None


class Wiring(Struct, frozen=True, omit_defaults=True):
    """How the parameters, buffers and modes of a model behaved in a training step.

    `trained` is how many parameters require a gradient. `left_out` are those that the optimiser of the model's
    own `configure_optimizers` does not update; None if it is `unknown`: there is no such method, it takes `arguments`,
    or it `failed`; `why` says which or how. `lazy` names parameters without a shape before the first step. `places` has
    for each operation of the tape the position of its line in `lines`, -1 where it has none.
    """

    trained: int
    without_gradient: tuple[Trained, ...] = ()
    left_out: tuple[Trained, ...] | None = None
    unknown: Literal["no_method", "arguments", "failed"] = "no_method"
    why: str = ""
    grown: tuple[Grown, ...] = ()
    modes: tuple[Mode, ...] = ()
    lazy: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    places: tuple[int, ...] = ()

    def line(self, operation: int) -> str | None:
        """Return the line that ran an operation of the tape."""
        place = self.places[operation] if operation < len(self.places) else -1
        return None if place < 0 else self.lines[place]
