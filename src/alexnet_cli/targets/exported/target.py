"""What the program sees of a `.pt2` file: a model, its inputs, and the batches that it runs with."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from alexnet_cli.errors import AlexnetError, UsageError, told
from alexnet_cli.targets.checkpoint.contents import damaged
from alexnet_cli.targets.exported.archive import KIND
from alexnet_cli.targets.exported.program import read_program
from alexnet_cli.targets.exported.schema import DTYPES, Program, Range, Size, TensorMeta
from alexnet_cli.targets.inputs import LARGEST_DIMENSION, InputSpec
from alexnet_cli.targets.subject import Asked, Loaded, Subject

_FLOAT32 = 7


def exported_subject(asked: Asked) -> Subject:
    """Return the subject of an exported program.

    Raises:
        TargetError: the file cannot be read, is damaged, or holds what only running code could load.
        UsageError: there are arguments for it.
    """
    if asked.arguments:
        raise UsageError("--arg applies only to a model that is built, not to an exported program")
    path = Path(asked.target)
    program = read_program(path)
    inputs = _inputs(program)
    first = next(iter(inputs.values()), None)
    batch = first.sizes[0] if first is not None and first.sizes else None
    usual = _usual_dtype(program)
    specs = (_spec(name, meta, batch, usual, alone=len(inputs) == 1) for name, meta in inputs.items())
    return Subject(
        asked.target,
        _description(program, inputs),
        partial(_load, path, program),
        inputs=tuple(specs),
        files=(path,),
        batches=None if batch is None else _range(program, batch),
    )


def _load(path: Path, program: Program) -> Loaded:
    from alexnet_cli.targets.exported.module import build  # imports torch

    try:
        return Loaded(build(program))
    except AlexnetError:
        raise
    except RecursionError as error:
        raise damaged(path, "its modules are nested too deeply", KIND) from error
    except Exception as error:  # names that contradict each other make nearly anything fail
        raise damaged(path, f"its program cannot be built ({told(error)})", KIND) from error


def _inputs(program: Program) -> dict[str, TensorMeta]:
    values = program.graph_module.graph.tensor_values
    specs = program.graph_module.signature.input_specs
    taken = [spec.user_input.arg for spec in specs if spec.user_input is not None]
    return {name: values[name] for arg in taken for name in arg.names() if name in values}


def _usual_dtype(program: Program) -> int:
    """Return the number of the dtype of the first floating-point parameter, of float32 if there is none."""
    values = program.graph_module.graph.tensor_values
    specs = (spec.parameter for spec in program.graph_module.signature.input_specs if spec.parameter is not None)
    held = (values[spec.arg.name].dtype for spec in specs if spec.arg.name in values)
    return next((number for number in held if "float" in DTYPES.get(number, "")), _FLOAT32)


def _same(one: Size, other: Size) -> bool:
    return one.symbol == other.symbol and (one.symbol is not None or one.usual == other.usual)


def _spec(name: str, meta: TensorMeta, batch: Size | None, usual: int, *, alone: bool) -> InputSpec:
    """Return an input without the batch, or whole if it has none in front; one of several is told by its name."""
    batched = batch is not None and bool(meta.sizes) and _same(meta.sizes[0], batch)
    return InputSpec(
        meta.usual[1:] if batched else meta.usual,
        None if meta.dtype == usual else DTYPES.get(meta.dtype),
        None if alone else name,
        whole=not batched,
    )


def _range(program: Program, batch: Size) -> tuple[int, int]:
    least, most = _bounds(program, batch.symbol) if batch.symbol is not None else (batch.usual, batch.usual)
    return max(least, 1), most


def _bounds(program: Program, symbol: str) -> tuple[int, int]:
    limits = program.range_constraints.get(symbol, Range())
    least = 0 if limits.min_val is None else limits.min_val
    most = LARGEST_DIMENSION if limits.max_val is None else limits.max_val
    return int(min(max(least, 0), LARGEST_DIMENSION)), int(min(max(most, 0), LARGEST_DIMENSION))


def _description(program: Program, inputs: dict[str, TensorMeta]) -> str:
    """Say which torch exported it, and which of its dimensions may be others, within which bounds."""
    shapes, symbols = [], {}
    for name, meta in inputs.items():
        found = [size.symbol for size in meta.sizes]
        if any(found):
            sizes = "×".join(symbol or str(size.usual) for symbol, size in zip(found, meta.sizes, strict=True))
            shapes.append(f"{name} is {sizes}")
            symbols.update(dict.fromkeys(symbol for symbol in found if symbol is not None))
    ranges = []
    for symbol in symbols:
        least, most = _bounds(program, symbol)
        ranges.append(f"{symbol} from {least}" + (f" to {most:,}" if most < LARGEST_DIMENSION else ""))
    dynamic = f"; {', '.join(shapes)} with {', '.join(ranges)}" if shapes else ""
    ties = "" if program.shared is not None else "; it does not tell which parameters are shared, so all are counted"
    return f"a program exported by torch {program.torch_version}{dynamic}{ties}"
