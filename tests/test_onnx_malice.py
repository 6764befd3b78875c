"""ONNX files that nobody should write: exit 3, nothing outside is read, nothing runs, memory stays bounded."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import suppress

import pytest
from mutations import changed_bytes, rounds

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, defs, helper  # noqa: E402 - only if it is there

from alexnet_cli.analyses.cost import cost  # noqa: E402 - the same
from alexnet_cli.analyses.memory import memory  # noqa: E402 - the same
from alexnet_cli.analyses.receptive_field.fields import receptive_fields  # noqa: E402 - the same
from alexnet_cli.answers.summary import summary_result  # noqa: E402 - the same
from alexnet_cli.errors import AlexnetError, TargetError  # noqa: E402 - the same
from alexnet_cli.report_json import to_json  # noqa: E402 - the same
from alexnet_cli.targets.onnx.report import onnx_report  # noqa: E402 - the same
from alexnet_cli.targets.onnx.trimmed import MalformedError, trimmed  # noqa: E402 - the same
from alexnet_cli.targets.subject import Asked  # noqa: E402 - the same

MUTATIONS = rounds(100)
FLOAT = TensorProto.FLOAT


def small(*nodes, constants=(), functions=(), result=(1, 4, 6, 6)):
    """A convolution and what may follow, in shapes that need no inference."""
    nodes = nodes or (
        helper.make_node("Conv", ["x", "w"], ["z"], name="conv", kernel_shape=[3, 3]),
        helper.make_node("Relu", ["z"], ["y"], name="relu"),
    )
    given = [helper.make_tensor_value_info("x", FLOAT, (1, 3, 8, 8))]
    made = [helper.make_tensor_value_info("y", FLOAT, result)]
    held = [helper.make_tensor("w", FLOAT, (4, 3, 3, 3), bytes(432), raw=True), *constants]
    graph = helper.make_graph(list(nodes), "graph", given, made, held)
    graph.value_info.append(helper.make_tensor_value_info("z", FLOAT, (1, 4, 6, 6)))
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


def read(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.SerializeToString())
    return onnx_report(Asked(str(path)))


def relu(source, target, name="relu"):
    return helper.make_node("Relu", [source], [target], name=name)


def function(name, *called):
    nodes = [helper.make_node(each, ["a"], [f"b{place}"], domain="mine") for place, each in enumerate(called)]
    return helper.make_function("mine", name, ["a"], ["b0"], nodes, [helper.make_opsetid("mine", 1)])


def called(name):
    return helper.make_node(name, ["x"], ["y"], domain="mine")


def large(*dims):
    return TensorProto(name="v", dims=dims, data_type=FLOAT)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (b"\x00", "not an ONNX model"),
        (b"GGUF" * 100, "not an ONNX model"),
        (b"\x08\x0a", "has no graph"),
        (b"", "it is empty"),
        (small(relu("a", "y")), "reads 'a', which no node before it makes"),
        (small(relu("y", "z"), relu("z", "y")), "reads 'y', which no node before it makes"),
        (small(relu("x", "z"), relu("x", "z"), relu("z", "y")), "is made twice"),
        (small(relu("x", "z")), "its output 'y' is made by no node"),
        (small(constants=[large(2**62, 2**62)]), "impossible shape"),
        (small(constants=[large(-1)]), "impossible shape"),
        (small(relu("x", "z"), relu("z", "y"), result=(2**31, 2**29)), "larger than any memory"),
        (small(called("f"), functions=[function("f", "f")]), "calls itself"),
        (small(called("f"), functions=[function("f", "g"), function("g", "f")]), "calls itself"),
        (
            small(
                called("f0"), functions=[*(function(f"f{i}", *[f"f{i + 1}"] * 2) for i in range(60)), function("f60")]
            ),
            "more than 1,000,000 nodes",
        ),
    ],
)
def test_refused(tmp_path, model, said):
    with pytest.raises(TargetError, match="is not a readable ONNX file") as error:
        read(tmp_path / "net.onnx", model)
    assert said in error.value.message


def test_a_folder(tmp_path):
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(TargetError, match="is a folder, not an ONNX file"):
        onnx_report(Asked(str(tmp_path / "net.onnx")))


def test_every_beginning_of_a_file(tmp_path):
    data = small().SerializeToString()
    for end in range(len(data)):
        with suppress(TargetError):
            read(tmp_path / "net.onnx", data[:end])


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "\x00", "a" * 10_000])
def test_external_data_is_never_opened(tmp_path, location):
    model = small()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "-1"), ("length", str(2**63))):
        tensor.external_data.add(key=key, value=value)
    script = (
        "import sys; from pathlib import Path\n"
        "from alexnet_cli.targets.onnx.report import onnx_report\n"
        "from alexnet_cli.targets.subject import Asked\n"
        "import onnx, onnx.numpy_helper, google.protobuf.message\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "report = onnx_report(Asked(sys.argv[1]))\n"
        "print(report.totals.params, sorted({Path(name).name for name in opened if 'site-packages' not in name}))\n"
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    parts = done.stdout.split(" ", 1)
    assert parts[0] == "108", done.stderr
    names = [name for name in eval(parts[1]) if not name.endswith((".py", ".pyc", ".dist-info"))]  # our own list
    assert names == ["net.onnx"]


def test_names_with_control_characters(tmp_path, alexnet):
    model = small(
        helper.make_node("Conv", ["x", "w"], ["z"], name="\x1b[31m/a\n/b\x00"),
        helper.make_node("Relu", ["z"], ["y"], name="/\x1b]0;title\x07/relu"),
    )
    model.producer_name = "\x1b[2J"
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    answer = alexnet("summary", str(path))
    assert answer.code == 0
    assert not set(answer.out + answer.err) & {"\x1b", "\x07", "\x00"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_large_weights_in_the_file_are_not_read_into_memory(tmp_path):
    """A sparse file whose one tensor has 1.9 GB: only what is around it is kept."""
    model = small()
    model.graph.initializer[0].raw_data = b""
    size = 1_900_000_000
    graph, tensor = model.graph, TensorProto(name="big", dims=(size // 4,), data_type=FLOAT)
    head = tensor.SerializeToString() + b"\x4a" + varint(size)
    inner = graph.SerializeToString() + b"\x2a" + varint(len(head) + size) + head
    model.ClearField("graph")
    outer = model.SerializeToString() + b"\x3a" + varint(len(inner) + size) + inner
    path = tmp_path / "net.onnx"
    with path.open("wb") as file:
        file.write(outer)
        file.truncate(len(outer) + size)
    script = (
        "import sys; from pathlib import Path; from alexnet_cli.targets.onnx.report import onnx_report\n"
        "from alexnet_cli.targets.subject import Asked\n"
        "report = onnx_report(Asked(sys.argv[1]))\n"
        "said = dict(line.split(':') for line in Path('/proc/self/status').read_text().splitlines())\n"
        "print(len(report.layers), said['VmHWM'].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    rows, kib = map(int, done.stdout.split() or pytest.fail(done.stderr))
    assert rows == 3
    assert kib < 400_000


def varint(value):
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def test_trimming_keeps_all_but_the_values():
    model = small()
    model.graph.initializer[0].dims[:] = [40, 3, 3, 3]
    model.graph.initializer[0].raw_data = bytes(4 * 1080)
    kept = onnx.ModelProto.FromString(trimmed(memoryview(model.SerializeToString())))
    model.graph.initializer[0].ClearField("raw_data")
    assert kept == model


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x3a\xff\xff\xff\xff\x0f", b"\x00\x00", b"\x3b", b"\x3a\x05\x0a"])
def test_trimming_refuses_what_is_no_message(data):
    with pytest.raises(MalformedError):
        trimmed(memoryview(data))


def test_trimming_stops_where_graphs_are_nested_without_end():
    data = b""
    for _ in range(60):
        for field in (b"\x32", b"\x2a", b"\x0a"):  # a graph in an attribute, that in a node, that in a graph
            data = field + varint(len(data)) + data
    with pytest.raises(MalformedError, match="nested"):
        trimmed(memoryview(b"\x3a" + varint(len(data)) + data))


def test_a_graph_that_makes_the_library_abort_only_has_no_shapes(tmp_path):
    """`infer_shapes` of onnx 1.23 aborts the process for a slice of a negative size."""
    ends = [helper.make_tensor(name, TensorProto.INT64, (1,), [1]) for name in ("from", "to", "axis")]
    nodes = [helper.make_node("Slice", ["x", "from", "to", "axis"], ["a"]), relu("a", "y")]
    model = small(*nodes, constants=ends)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -3
    report = read(tmp_path / "net.onnx", model)
    assert report.tape is None


OPS = sorted({schema.name for schema in defs.get_all_schemas() if schema.domain == ""})
SIZES = (0, 1, 2, 3, 7, -1, 2**31, 2**62, 2**63 - 1)


def changed(model, dice):
    """Change one thing of a graph, which stays a message that can be parsed."""
    graph = model.graph
    node, tensor = dice.choice(graph.node), dice.choice(graph.initializer)
    match dice.randrange(8):
        case 0:
            node.op_type = dice.choice(OPS)
        case 1:
            node.input[dice.randrange(len(node.input))] = dice.choice(["", "x", "w", "z", "b"])
        case 2:
            del node.input[dice.randrange(len(node.input)) :]
            node.input.append("x")
        case 3:
            tensor.dims[dice.randrange(len(tensor.dims))] = dice.choice(SIZES)
        case 4:
            tensor.data_type = dice.randrange(32)
        case 5:
            value = dice.choice([*graph.value_info, *graph.input, *graph.output])
            dice.choice(value.type.tensor_type.shape.dim or [TensorProto()]).dim_value = dice.choice(SIZES)
        case 6:
            name = dice.choice(("axis", "pads", "perm", "group", "equation", "strides", "kernel_shape", "blocksize"))
            del node.attribute[:]
            node.attribute.append(helper.make_attribute(name, dice.choice((5, [1, 2], "ij,jk->ik", [2**62] * 3, 0))))
        case 7:
            del node.attribute[:]


def looked_at(path, data):
    with suppress(AlexnetError):
        report = read(path, data)
        to_json(summary_result(report))
        if report.tape is not None:
            cost(report)
            memory(report, None)
            receptive_fields(report)


SEEDED = (
    helper.make_node("Conv", ["x", "w", "b"], ["z"], name="conv", kernel_shape=[3, 3], pads=[0] * 4, group=1),
    helper.make_node("MaxPool", ["z"], ["p"], name="pool", kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4),
    helper.make_node("Transpose", ["p"], ["t"], name="turn", perm=[0, 2, 3, 1]),
    helper.make_node("Gather", ["w", "i"], ["g"], name="look", axis=0),
    helper.make_node("Softmax", ["t"], ["s"], name="softmax", axis=-1),
    helper.make_node("Reshape", ["s", "to"], ["y"], name="/a/b/reshape"),
)


def seeded():
    numbers = [helper.make_tensor("i", TensorProto.INT64, (2,), [0, 1])]
    numbers.append(helper.make_tensor("to", TensorProto.INT64, (2,), [1, 144]))
    model = small(*SEEDED, constants=[large(4), *numbers], result=(1, 144))
    model.graph.initializer[1].name = "b"
    for name, shape in {"p": (1, 4, 6, 6), "t": (1, 6, 6, 4), "g": (2, 3, 3, 3), "s": (1, 6, 6, 4)}.items():
        model.graph.value_info.append(helper.make_tensor_value_info(name, FLOAT, shape))
    return model


def test_changed_bytes(tmp_path):
    dice, data = random.Random(0), seeded().SerializeToString()
    for _ in range(MUTATIONS):
        looked_at(tmp_path / "net.onnx", changed_bytes(data, dice))


def test_changed_graphs(tmp_path):
    dice = random.Random(1)
    for _ in range(MUTATIONS):
        model = seeded()
        for _ in range(dice.choice((1, 1, 2, 3))):
            changed(model, dice)
        looked_at(tmp_path / "net.onnx", model)


def test_the_package_is_named_where_it_is_missing(tmp_path, alexnet, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(small().SerializeToString())
    monkeypatch.setitem(sys.modules, "onnx", None)
    answer = alexnet("summary", str(path))
    assert answer.code == 3
    assert "pip install 'alexnet-cli[onnx]'" in answer.err


def test_torch_is_not_imported(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(small().SerializeToString())
    script = (
        "import sys; from alexnet_cli.cli.app import run; run(['cost', sys.argv[1]]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, "FLOPs" in done.stdout) == (0, True), done.stderr
