"""ONNX graphs written node by node: what each operator computes, graphs in nodes, local functions, constants."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, defs, helper, numpy_helper  # noqa: E402 - only if it is there

from alexnet_cli import inspect  # noqa: E402 - the same
from alexnet_cli.targets.onnx.macs import FORMULAS  # noqa: E402 - the same
from alexnet_cli.targets.onnx.operators import FREE  # noqa: E402 - the same

FLOAT, INT64, INT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT8
OPSET = 24


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, *shape, kind=FLOAT):
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return numpy_helper.from_array(np.arange(np.prod(shape)).reshape(shape).astype(dtype), name)


def number(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64).reshape(() if len(values) == 1 else -1), name)


def summary(tmp_path, nodes, inputs, constants=(), *, functions=(), opsets=(), kind=FLOAT):
    """Save a graph and read it; the shape of its output `y` is left to be inferred."""
    results = [helper.make_value_info("y", helper.make_tensor_type_proto(kind, None))]
    graph = helper.make_graph(nodes, "graph", inputs, results, list(constants))
    imports = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(*each) for each in opsets)]
    model = helper.make_model(graph, opset_imports=imports, functions=list(functions))
    path = tmp_path / "graph.onnx"
    onnx.save(model, str(path))
    return inspect(str(path)).summary()


def node(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name=attributes.pop("name", f"the_{op}"), **attributes)


IMAGE = value("x", (2, 8, 10, 10))
CASES = {
    "Conv": (node("Conv", "xw", strides=[2, 2], group=2), [IMAGE], [weight("w", 6, 4, 3, 3)], 2 * 6 * 16 * 4 * 9),
    "ConvTranspose": (node("ConvTranspose", "xw", group=2), [IMAGE], [weight("w", 8, 3, 3, 3)], 2 * 8 * 100 * 3 * 9),
    "ConvInteger": (
        node("ConvInteger", "xw"),
        [value("x", (1, 2, 5, 5), INT8)],
        [weight("w", 3, 2, 3, 3, kind=INT8)],
        3 * 9 * 2 * 9,
    ),
    "Gemm": (node("Gemm", "xwb", transB=1), [value("x", (5, 7))], [weight("w", 3, 7), weight("b", 3)], 5 * 7 * 3),
    "Gemm turned": (node("Gemm", "xw", transA=1), [value("x", (7, 5))], [weight("w", 7, 3)], 5 * 7 * 3),
    "MatMul": (node("MatMul", "xz"), [value("x", (2, 4, 5, 6)), value("z", (4, 6, 7))], [], 2 * 4 * 5 * 6 * 7),
    "MatMul of vectors": (node("MatMul", "xz"), [value("x", (6,)), value("z", (6,))], [], 6),
    "MatMulInteger": (
        node("MatMulInteger", "xw"),
        [value("x", (5, 6), INT8)],
        [weight("w", 6, 7, kind=INT8)],
        5 * 6 * 7,
    ),
    "Einsum": (
        node("Einsum", "xz", equation="bhld,bhsd->bhls"),
        [value("x", (2, 3, 4, 8)), value("z", (2, 3, 5, 8))],
        [],
        2 * 3 * 4 * 5 * 8,
    ),
    "Einsum of one": (node("Einsum", "x", equation="ij->ji"), [value("x", (2, 3))], [], 0),
    "LSTM": (
        node("LSTM", "xwr", hidden_size=6, direction="bidirectional"),
        [value("x", (5, 2, 3))],
        [weight("w", 2, 24, 3), weight("r", 2, 24, 6)],
        5 * 2 * 2 * 24 * (3 + 6),
    ),
    "RNN": (
        node("RNN", "xwr", hidden_size=6),
        [value("x", (5, 2, 3))],
        [weight("w", 1, 6, 3), weight("r", 1, 6, 6)],
        5 * 2 * 6 * (3 + 6),
    ),
    "Attention": (
        node("Attention", "qkv"),
        [value("q", (2, 4, 5, 8)), value("k", (2, 2, 7, 8)), value("v", (2, 2, 7, 6))],
        [],
        2 * 4 * 5 * 7 * (8 + 6),
    ),
    "Attention of joined heads": (
        node("Attention", "qkv", q_num_heads=4, kv_num_heads=2),
        [value("q", (2, 5, 32)), value("k", (2, 7, 16)), value("v", (2, 7, 12))],
        [],
        2 * 4 * 5 * 7 * (8 + 6),
    ),
    "Attention with a past": (
        node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "nk", "nv"]),
        [
            *(value(name, (1, 2, 1, 8)) for name in "qkv"),
            *(value(name, (1, 2, 9, 8)) for name in ("pk", "pv")),
        ],
        [],
        1 * 2 * 1 * (1 + 9) * (8 + 8),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_macs(tmp_path, name):
    one, inputs, constants, macs = CASES[name]
    kind = TensorProto.INT32 if one.op_type.endswith("Integer") else FLOAT
    found = summary(tmp_path, [one], inputs, constants, kind=kind)
    assert (found.totals.macs, found.totals.uncounted_ops) == (macs, ())
    assert found.totals.params == sum(int(np.prod(tensor.dims)) for tensor in constants)


def test_a_quantised_convolution(tmp_path):
    scales = [numpy_helper.from_array(np.float32(1), name) for name in ("xs", "ws", "ys")]
    zeros = [numpy_helper.from_array(np.int8(0), name) for name in ("xz", "wz", "yz")]
    one = node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"])
    constants = [*scales, *zeros, weight("w", 3, 2, 3, 3, kind=INT8), weight("b", 3, kind=TensorProto.INT32)]
    found = summary(tmp_path, [one], [value("x", (1, 2, 5, 5), INT8)], constants, kind=INT8)
    assert (found.totals.macs, found.totals.params, found.totals.param_bytes) == (3 * 9 * 2 * 9, 57, 54 + 12)


def test_weights_of_integers_are_parameters_and_their_scales_are_not(tmp_path):
    nodes = [node("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=0), node("Conv", "xw")]
    constants = [weight("q", 4, 8, 3, 3, kind=INT8), weight("scale", 4), weight("zero", 4, kind=INT8)]
    found = summary(tmp_path, nodes, [IMAGE], constants)
    assert (found.totals.params, found.totals.param_bytes, found.totals.buffers) == (288, 288, 8)
    assert found.totals.macs == 2 * 4 * 64 * 8 * 9


def test_weights_packed_by_onnx_runtime(tmp_path):
    """K = 32 by N = 16 weights of 4 bits: 256 bytes, with a scale for each column's only block."""
    one = node("MatMulNBits", ["x", "w", "s"], domain="com.microsoft", K=32, N=16, bits=4, block_size=32)
    constants = [weight("w", 16, 1, 16, kind=TensorProto.UINT8), weight("s", 16)]
    found = summary(tmp_path, [one], [value("x", (5, 32))], constants, opsets=[("com.microsoft", 1)])
    assert (found.totals.params, found.totals.param_bytes) == (32 * 16, 256)


def test_every_operator_is_counted_free_or_named_here():
    known = {schema.name for schema in defs.get_all_schemas() if schema.domain == ""}
    not_counted = {"DFT", "STFT", "Det", "DeformConv", "LinearAttention", "CausalConvWithState"}
    assert known - FREE - set(FORMULAS) == not_counted & known


def test_an_unknown_operator_is_named(tmp_path):
    found = summary(tmp_path, [node("Mystery", "x", domain="some.where")], [IMAGE], opsets=[("some.where", 3)])
    assert [op.op for op in found.totals.uncounted_ops] == ["Mystery"]
    assert found.layers[1].macs is None
    assert "some.where 3" in found.model.description


def test_three_factors_have_no_order(tmp_path):
    one = node("Einsum", "xzw", equation="ij,jk,kl->il")
    inputs = [value("x", (2, 3)), value("z", (3, 4)), value("w", (4, 5))]
    assert [op.op for op in summary(tmp_path, [one], inputs).totals.uncounted_ops] == ["Einsum"]


def body(name, inputs, nodes, outputs, constants=()):
    return helper.make_graph(nodes, name, inputs, outputs, list(constants))


BOOL = TensorProto.BOOL
PRODUCT = [node("MatMul", ["state", "w"], ["next"], name="product")]


def loop(trips, *, stops=False):
    goes_on = [node("Not", ["go"], ["goes"])] if stops else [node("Identity", ["go"], ["goes"])]
    inside = body(
        "body",
        [value("i", (), INT64), value("go", (), BOOL), value("state", (4, 4))],
        [*goes_on, *PRODUCT],
        [value("goes", (), BOOL), value("next", (4, 4))],
    )
    return node("Loop", [trips, "yes", "x"], body=inside)


YES = numpy_helper.from_array(np.array(True), "yes")


def test_a_loop_of_known_length(tmp_path):
    found = summary(tmp_path, [loop("n")], [value("x", (4, 4))], [number("n", 5), YES, weight("w", 4, 4)])
    assert (found.totals.macs, found.totals.params) == (5 * 64, 16)
    rows = {row.path: row for row in found.layers}
    assert (rows["the_Loop.product"].macs, rows["the_Loop"].macs_total) == (5 * 64, 5 * 64)
    assert not found.totals.uncounted_ops


@pytest.mark.parametrize("stops", [True, False])
def test_a_loop_of_unknown_length(tmp_path, stops):
    inputs = [value("x", (4, 4)), *([] if stops else [value("n", (), INT64)])]
    constants = [YES, weight("w", 4, 4), *([number("n", 5)] if stops else [])]
    found = summary(tmp_path, [loop("n", stops=stops)], inputs, constants)
    assert found.totals.macs == 0
    assert [op.paths for op in found.totals.uncounted_ops] == [("the_Loop.product",)]


def test_a_scan_runs_once_for_each_slice(tmp_path):
    inside = body(
        "body",
        [value("state", (1, 4)), value("slice", (1, 4))],
        [node("MatMul", ["slice", "w"], ["z"], name="product"), node("Add", ["z", "state"], ["next"])],
        [value("next", (1, 4))],
    )
    inputs = [value("x", (1, 4)), value("steps", (7, 1, 4))]
    found = summary(
        tmp_path, [node("Scan", ["x", "steps"], body=inside, num_scan_inputs=1)], inputs, [weight("w", 4, 4)]
    )
    assert found.totals.macs == 7 * 16


def test_branches_are_listed_and_not_counted(tmp_path):
    then = body("then", [], [node("MatMul", ["x", "w"], ["a"], name="product")], [value("a", (4, 4))])
    other = body("else", [], [node("Relu", ["x"], ["b"], name="relu")], [value("b", (4, 4))])
    choice = node("If", ["c"], then_branch=then, else_branch=other)
    found = summary(tmp_path, [choice], [value("x", (4, 4)), value("c", (), BOOL)], [weight("w", 4, 4)])
    rows = {row.path: row for row in found.layers}
    assert (rows["the_If.then_branch.product"].macs, rows["the_If.else_branch.relu"].macs) == (None, 0)
    assert (found.totals.macs, found.totals.params) == (0, 16)
    assert [op.paths for op in found.totals.uncounted_ops] == [("the_If.then_branch.product",)]
    assert "which branch of an If runs is not known" in found.model.description
    cost = inspect(str(tmp_path / "graph.onnx")).cost()
    assert [op.paths for op in cost.totals.uncounted_ops] == [("the_If.then_branch.product",)]


def test_local_functions_are_put_in_their_places(tmp_path):
    inside = [node("MatMul", ["a", "b"], ["c"], name="product")]
    function = helper.make_function("mine", "Twice", ["a", "b"], ["c"], inside, [helper.make_opsetid("", OPSET)])
    nodes = [node("Twice", "xw", ["z"], domain="mine", name="one"), node("Twice", "zw", domain="mine", name="two")]
    found = summary(
        tmp_path, nodes, [value("x", (3, 4))], [weight("w", 4, 4)], functions=[function], opsets=[("mine", 1)]
    )
    assert (found.totals.macs, found.totals.params) == (2 * 3 * 16, 16)


def test_constants_that_are_no_parameters(tmp_path):
    """Statistics, masks under a computed name, and whole numbers are buffers; a scale that kept its name is none."""
    nodes = [
        node("BatchNormalization", ["x", "s", "b", "mean", "var"], ["n"]),
        node("Add", ["n", "val_7"], ["m"]),
        node("Mul", ["m", "gain"], ["g"]),
        node("Reshape", ["g", "shape"]),
    ]
    per_channel = [weight(name, 8) for name in ("s", "b", "mean", "var")]
    constants = [*per_channel, weight("val_7", 10, 10), weight("gain", 8, 1, 1), number("shape", 2, -1)]
    found = summary(tmp_path, nodes, [IMAGE], constants)
    assert (found.totals.params, found.totals.buffers) == (8 + 8 + 8, 8 + 8 + 100)


def test_a_file_without_modules_has_a_row_for_each_operator(tmp_path):
    nodes = [node("Conv", "xw", ["z"], name="first"), node("Relu", "z", name="second")]
    found = summary(tmp_path, nodes, [IMAGE], [weight("w", 4, 8, 1, 1)])
    assert [(row.path, row.type, row.params, row.kind) for row in found.layers] == [
        ("", "Graph", 0, "module"),
        ("first", "Conv", 32, "module"),
        ("second", "Relu", 0, "function"),
    ]
    assert found.totals.layers == 1


def test_sizes_worked_out_from_sizes_are_no_rows(tmp_path):
    nodes = [
        node("Shape", "x", ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axis"], ["m"]),
        node("Concat", ["m", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], name="reshape"),
    ]
    constants = [number("zero", 0), weight("axis", 1, kind=INT64), number("rest", -1, 10)]
    found = summary(tmp_path, nodes, [IMAGE], constants)
    assert [row.path for row in found.layers] == ["", "reshape"]
    assert found.layers[1].output_shapes == ((2, 80, 10),)


def test_uneven_padding_is_followed(tmp_path):
    """One place in front and none behind: unit 0 sees one pixel before the first, as with even padding of one."""
    nodes = [node("Conv", "xw", pads=[1, 1, 0, 0], name="conv")]
    summary(tmp_path, nodes, [IMAGE], [weight("w", 4, 8, 3, 3)])
    field = inspect(str(tmp_path / "graph.onnx")).receptive_field().layers[-1]
    assert (field.size, field.jump, field.start, field.status) == ((3, 3), (1, 1), (0, 0), "exact")


def test_an_operator_that_is_not_followed_may_see_everything(tmp_path):
    nodes = [node("GridSample", ["x", "grid"], name="sample")]
    summary(tmp_path, nodes, [IMAGE, value("grid", (2, 5, 5, 2))])
    field = inspect(str(tmp_path / "graph.onnx")).receptive_field().layers[-1]
    assert field.status == "global"
