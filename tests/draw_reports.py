"""Reports made by hand: rows, and a tape that says which reads which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alexnet_cli.report import Family, Generator, Input, Layer, Model, Report, Run, Totals
from alexnet_cli.tape import Operation, Shape, Storage, Tape, Value


def row(
    path: str,
    kind: str = "Linear",
    family: Family = "linear",
    shape: Shape = (1, 8),
    *,
    function: bool = False,
    depth: int = 1,
    settings: Mapping[str, object] | None = None,
    params: int = 0,
) -> Layer:
    """A row that maps a shape to itself."""
    return Layer(
        index=None,
        path=path,
        type=kind,
        kind="function" if function else "module",
        family=family,
        depth=depth,
        leaf=True,
        call=1,
        input_shapes=(shape,),
        output_shapes=(shape,),
        settings=dict(settings or {}),
        params=params,
        trainable_params=params,
        param_bytes=4 * params,
        buffers=0,
        params_total=params,
        macs=params,
        flops=2 * params,
        macs_total=params,
        output_bytes=0,
        in_place=False,
    )


def report_of(rows: Sequence[Layer], reads: Sequence[Sequence[int]], inputs: int = 1, name: str = "Made") -> Report:
    """A model whose rows read values: 0 to `inputs` - 1 are the inputs, then comes what each row makes, in order.

    It returns the output of its last row.
    """
    shapes = [rows[0].input_shapes[0]] * inputs + [layer.output_shapes[0] for layer in rows]
    values = tuple(Value(shape, "float32", number, 4) for number, shape in enumerate(shapes))
    storages = tuple(Storage(4, "input" if number < inputs else "activation") for number in range(len(values)))
    operations = tuple(
        Operation("aten", number, row=number + 1, reads=tuple(read), makes=(inputs + number,))
        for number, read in enumerate(reads)
    )
    root = row("", name, "container", shapes[-1], depth=0)
    params = sum(layer.params for layer in rows)
    given = tuple(Input(shape, "float32") for shape in shapes[:inputs])
    return Report(
        Generator("alexnet-cli", "0", None),
        Model("made", name, ""),
        Run("meta", "float32", "eval", 1, given, complete=True),
        None,
        (root, *rows),
        Totals(params, params, 0, 0, 4 * params, params, 2 * params, len(rows)),
        Tape(operations, values, storages, tuple(range(inputs)), (len(values) - 1,)),
    )
