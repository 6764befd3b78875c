"""How to run a model. No torch here: the command line needs this before it knows whether torch is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from alexnet_cli.rank import Layout
from alexnet_cli.targets.inputs import InputSpec, InputValue

META = "meta"
DEVICES = (META, "cpu", "cuda", "mps", "xpu")
PARAMETER_DTYPES = ("float32", "float16", "bfloat16", "float64")


OPTIMIZERS = ("sgd", "sgd-momentum", "adam", "adamw", "none")
Loss = Literal["sum", "cross-entropy"]
LOSSES: tuple[Loss, ...] = ("sum", "cross-entropy")
AMP_DTYPES = {"bf16": "bfloat16", "fp16": "float16"}


Size = tuple[int, int, int]
"""An input among those that a report lists, one of its axes, the batch included, and the size that it is to have."""


Block = tuple[str, ...]
"""What a checkpoint runs again as one: the path of a module, or those of neighbours in an `nn.Sequential`."""


class Lora(Struct, frozen=True):
    """Adapters of a `rank` beside the linear `layers`, as peft's LoRA; all other weights are frozen.

    With `four_bits` the weights of these layers are held in NF4, as QLoRA and bitsandbytes do.
    """

    rank: int
    layers: tuple[str, ...]
    four_bits: bool = False


class TrainingStep(Struct, frozen=True):
    """What follows the forward in a training step: backward from the loss, and the optimizer's update.

    The `loss` is the sum of the outputs, or by `cross-entropy` the number that the model returns, its own loss, and if
    it returns none the cross-entropy of its first output.

    `amp` runs the forward under autocast in that dtype. `foreach` lets the optimizer update all parameters at once, as
    torch does on CUDA; on the CPU it updates them one by one. `optimizer` is one of `OPTIMIZERS`, or Adam with a state
    of 8 bits or on the host: `adam-8bit`, `adamw-8bit`, `adam-paged`, `adamw-paged`.

    `checkpoint` names the blocks that the backward runs again. With several `micro_batches` the batch is cut into so
    many parts, and their gradients are summed before the update; the first two are run, as all others do what the
    second does. With `lora` the model is trained by adapters. `trained` names the modules whose parameters are trained,
    unless a module outside of them holds these too; without it all are. The activations `in_place` write over what they
    are given. `chunked` names the output layer whose scores are made in the loss, some positions at a time.
    """

    optimizer: str = "sgd"
    amp: str | None = None
    foreach: bool = False
    checkpoint: tuple[Block, ...] = ()
    micro_batches: int = 1
    lora: Lora | None = None
    trained: tuple[str, ...] = ()
    loss: Loss = "sum"
    in_place: tuple[str, ...] = ()
    chunked: str | None = None


class Only(Struct, frozen=True):
    """The only part of a training step that is run, with gradients that are there but for the parameters `without`.

    `another` is a micro-batch that is not the first, `update` the optimiser's update.
    """

    part: Literal["another", "update"]
    without: tuple[str, ...] = ()


Part = Literal["prefill", "decode"]


class Serving(Struct, frozen=True):
    """A language model at work: a prompt of `context` tokens, or the `context`-th token after a cache of all before it.

    Before that token `context - 1` are cached, after it `context`. Decoding tokens 1 to n one by one thus attends to
    the same pairs as a causal prefill of n. A `context` of None is that of the arguments that were given. With
    `last_logits` the model is asked for the logits of the last token alone, as engines ask for them.
    """

    part: Part
    context: int | None = None
    last_logits: bool = False


Checkpoint = Literal["none", "full", "selective"]
CHECKPOINTS: tuple[Checkpoint, ...] = ("none", "full", "selective")


class Parallel(Struct, frozen=True):
    """How a model is spread over ranks.

    `wrap` names the classes that FSDP shards and checkpoints run again as one; without it those are the blocks that
    repeat. `plan` names a tensor parallel plan (`file.py:plan`), without which it is the model's own. `stage` is the
    pipeline stage whose first rank is traced. Of more blocks that are alike than `at_most`, so many are run.
    """

    layout: Layout
    wrap: tuple[str, ...] = ()
    plan: str | None = None
    checkpoint: Checkpoint = "none"
    stage: int = 0
    at_most: int | None = None


class TraceOptions(Struct, frozen=True):
    """How to run a model. `inputs` and `dtype` default to the model's own.

    `inputs_from` names a function or a value that says what forward is called with, instead of `inputs`. A `batch_size`
    of None means that the shapes already include the batch. `formulas` is a file with the user's own
    MAC formulas; `traceback` shows all frames of a failure. With `step` the run is a whole training step, and with
    `serving` a prompt or a token of a language model, with its cache.
    With `repeat` the run, on a real device, is repeated for so many seconds, with and without a profiler, and also
    compiled if it `compiles`, and by a CUDA graph if it `captures`. With `only` just a part of a step is run.
    `sizes` change the inputs, however they are said or found. Unless it `falls_back`, a model that needs values which
    `meta` lacks fails, instead of being run where there are some. Unless it `advises`, a failure is told without
    other inputs that would fit: looking for these takes many runs. With `source` the trace notes which lines of the
    user's source ran what; it names packages, modules and folders whose source counts as the user's too. With
    `as_on_cpu` a trace on `meta` has the CPU's operators, and what their kernels allocate.
    """

    inputs: tuple[InputSpec | InputValue, ...] | None = None
    inputs_from: str | None = None
    batch_size: int | None = 1
    device: str = META
    dtype: str | None = None
    mode: Literal["eval", "train"] = "eval"
    formulas: Path | None = None
    traceback: bool = False
    step: TrainingStep | None = None
    serving: Serving | None = None
    repeat: float | None = None
    compiles: bool = False
    captures: bool = False
    sizes: tuple[Size, ...] = ()
    falls_back: bool = True
    advises: bool = True
    source: tuple[str, ...] | None = None
    as_on_cpu: bool = False
    only: Only | None = None
