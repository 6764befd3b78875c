"""`.pt2` files as nobody should write them: nothing in them runs, and each ends in an error that says why."""

from __future__ import annotations

import json
import os
import pickle
import random
import zipfile
from contextlib import suppress

import pytest
import torch
from exported_models import Residual
from mutations import places, rounds

from alexnet_cli.errors import AlexnetError, TargetError, UsageError
from alexnet_cli.targets.exported.archive import read_archive
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.resolve import resolve
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

if torch.__version__ < "2.8":  # compares as versions, not as text
    pytest.skip("torch.export.save writes archives of many entries as of torch 2.8", allow_module_level=True)

CHANGES = rounds(100)
MODEL = "models/model.json"


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """The entries of a good file by name, below the folder that all are in."""
    path = tmp_path_factory.mktemp("good") / "net.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        Residual(3, 4, 2).eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: batch},), strict=False
    )
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def write(path, entries, **how):
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, data in entries.items():
            archive.writestr(f"net/{name}", data)
    return path


def traced(path):
    return trace(resolve(str(path)), TraceOptions(), notify=lambda text: None)


def with_program(path, entries, change):
    program = json.loads(entries[MODEL])
    change(program, program["graph_module"]["graph"])
    return write(path, {**entries, MODEL: json.dumps(program).encode()})


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder in which an attack would leave a file called `hacked`."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "hacked").exists()


def refusal(path):
    with pytest.raises(TargetError) as caught:
        traced(path)
    return caught.value.message


ATTACK = "__import__('pathlib').Path('hacked').touch()"


def test_the_good_file_is_read(here, entries):
    assert traced(write(here / "net.pt2", entries)).error is None


def test_an_expression_is_never_evaluated(here, entries):
    def change(program, graph):
        for meta in graph["tensor_values"].values():
            for size in meta["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = ATTACK
        program["range_constraints"] = {}

    report = traced(with_program(here / "net.pt2", entries, change))
    assert report.run.inputs[0].shape == (2, 3, 8, 8)  # as it was exported: what the expression is stays unknown


def test_source_code_and_names_of_classes_are_never_read(here, entries):
    def change(program, graph):
        program["guards_code"] = [ATTACK]
        program["verifiers"] = ["os.system"]
        for entry in program["graph_module"]["module_call_graph"]:
            entry["signature"] = {"in_spec": json.dumps([1, {"type": "os.system", "context": ATTACK}])}
        for node in graph["nodes"]:
            levels = node["metadata"]["nn_module_stack"].split(";")
            node["metadata"]["nn_module_stack"] = ";".join([levels[0], f"key,hacked,{ATTACK}", *levels[1:]])
            node["metadata"]["torch_fn"] = f"f;{ATTACK}"

    assert traced(with_program(here / "net.pt2", entries, change)).totals.macs


def test_names_that_would_be_code_are_only_names(here, entries):
    text = entries[MODEL].decode().replace('"name": "conv2d"', json.dumps({"name": f"x):\n {ATTACK}\ndef f("})[1:-1])
    assert traced(write(here / "net.pt2", {**entries, MODEL: text.encode()})).totals.macs


@pytest.mark.parametrize(
    "target",
    [
        *("torch.os.system", "torch.ops.aten.from_file.default", "torch.ops.aten.save.default", "torch.load"),
        *("_operator.call", "_operator.__class__", "math.factorial", "#inductor:x", "builtins.eval", ""),
        *(
            "torch.ops.aten.__class__.default",
            "torch.ops.aten.add.__call__",
            "torch.ops.inductor.resize_storage_bytes_.default",
        ),
    ],
)
def test_only_operators_in_fixed_lists_run(target, here, entries):
    def change(program, graph):
        graph["nodes"][-1] |= {"target": target, "inputs": [{"name": "self", "arg": {"as_string": "touch hacked"}}]}

    assert f"the program calls {target!r}" in refusal(with_program(here / "net.pt2", entries, change))


def test_a_power_that_would_fill_the_memory(here, entries):
    def change(program, graph):
        arg = {"as_int": 10**9}
        node = {"target": "_operator.pow", "inputs": [{"name": "a", "arg": arg}, {"name": "b", "arg": arg}]}
        graph["nodes"].insert(0, node | {"outputs": [{"as_sym_int": {"as_name": "n"}}], "metadata": {}})

    report = traced(with_program(here / "net.pt2", entries, change))
    assert "no size of a tensor" in report.error.message


def test_pickled_objects_are_never_loaded(here, entries):
    class Bomb:
        def __reduce__(self):
            return os.system, ("touch hacked",)

    bomb = pickle.dumps(Bomb())
    config = json.loads(entries["data/weights/model_weights_config.json"])
    first = next(iter(config["config"]))
    config["config"][first]["use_pickle"] = True
    changed = {**entries, "data/weights/model_weights_config.json": json.dumps(config).encode()}
    changed["data/weights/weight_0"] = changed["data/sample_inputs/model.pt"] = bomb
    assert f"contains a pickled object ({first})" in refusal(write(here / "net.pt2", changed))
    constants = {"config": {"c": {"path_name": "custom_obj_0", "is_param": False, "use_pickle": True}}}
    changed = {**entries, "data/constants/model_constants_config.json": json.dumps(constants).encode()}
    changed["data/constants/custom_obj_0"] = bomb
    assert "contains a pickled object (c)" in refusal(write(here / "net.pt2", changed))
    plain = {**entries, "data/sample_inputs/model.pt": bomb, "data/weights/weight_0": bomb}
    assert traced(write(here / "net.pt2", plain)).error is None  # neither is read


def test_compiled_code_is_never_loaded(here, entries):
    library = {**entries, "data/aotinductor/model/model.so": b"\x7fELF"}
    assert "compiled code (AOTInductor); loading it would run it" in refusal(write(here / "net.pt2", library))


def test_archives_that_are_cut_short(here, entries):
    whole = write(here / "net.pt2", entries).read_bytes()
    for size in (*range(8), len(whole) // 2, len(whole) - 1):
        (here / "cut.pt2").write_bytes(whole[:size])
        assert "cut.pt2" in refusal(here / "cut.pt2")


def test_an_entry_that_unpacks_to_far_more(here, entries):
    bomb = {**entries, MODEL: b" " * 300_000_000}
    path = write(here / "bomb.pt2", bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    assert "(a zip bomb)" in refusal(path)


def test_a_declared_size_that_is_a_lie(here, entries):
    path = write(here / "net.pt2", entries)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"net/models/model.json") - 46  # the entry in the archive's directory
    data[place + 24 : place + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(data)
    assert "would unpack to 4,294,967,294 bytes" in refusal(path)


def test_sizes_that_no_tensor_has(here, entries):
    def change(program, graph):
        graph["tensor_values"]["p_conv1_weight"]["sizes"] = [{"as_int": 2**40}] * 3

    assert "larger than any memory" in refusal(with_program(here / "net.pt2", entries, change))


def test_json_that_is_nested_too_deeply(here, entries):
    deep = {**entries, MODEL: b'{"graph_module": ' * 100_000}
    assert "is not a readable exported program" in refusal(write(here / "net.pt2", deep))


def test_modules_that_are_nested_too_deeply(here, entries):
    def change(program, graph):
        path = ".".join(["m"] * 3_000)
        levels = [f"k{i},{path[: 2 * i + 1]},torch.nn.Module" for i in range(3_000)]
        for node in graph["nodes"]:
            node["metadata"]["nn_module_stack"] = ";".join(["L__self__,,m.Net", *levels])

    path = with_program(here / "net.pt2", entries, change)
    with pytest.raises(AlexnetError):
        traced(path)


@pytest.mark.parametrize("name", ["", ".", "a..b", "forward.weight", "conv1.training", "conv1", "_modules.x"])
def test_names_that_no_parameter_has(name, here, entries):
    def change(program, graph):
        program["graph_module"]["signature"]["input_specs"][0]["parameter"]["parameter_name"] = name

    with suppress(AlexnetError):
        traced(with_program(here / "net.pt2", entries, change))


def test_a_program_of_another_schema(here, entries):
    for major, age in ((7, "older"), (9, "newer")):
        path = with_program(
            here / "net.pt2", entries, lambda program, _, m=major: program["schema_version"].update(major=m)
        )
        assert f"is of schema version {major}, {age} than 8" in refusal(path)


def test_several_programs_in_one_file(here, entries):
    two = {name.replace("model.json", f"{which}.json"): data for which in "ab" for name, data in entries.items()}
    assert "holds 2 programs: a, b" in refusal(write(here / "net.pt2", two))
    nothing = {name: data for name, data in entries.items() if name != MODEL}
    assert "without a program" in refusal(write(here / "net.pt2", nothing))


def test_two_entries_of_one_name(here, entries):
    path = write(here / "net.pt2", entries)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"net/{MODEL}", entries[MODEL])
    assert "two entries" in refusal(here / "net.pt2")


def test_what_is_no_file(here):
    (here / "folder.pt2").mkdir()
    os.mkfifo(here / "pipe.pt2")
    for name in ("folder.pt2", "pipe.pt2", "missing.pt2"):
        assert name in refusal(here / name)


def test_bytes_changed_at_random(here, entries):
    whole = write(here / "net.pt2", entries).read_bytes()
    chance = random.Random(14)
    for _ in range(CHANGES):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (here / "net.pt2").write_bytes(data)
        with suppress(AlexnetError):
            traced(here / "net.pt2")
    assert [path.name for path in here.iterdir()] == ["net.pt2"]


VALUES = (
    None,
    0,
    -1,
    2**31,
    2**63,
    2**70,
    -(2**63),
    1e308,
    "",
    "x",
    ATTACK,
    [],
    {},
    True,
    [[]],
    {"as_int": -5},
    "\0\x1b[31m",
)


def test_values_changed_at_random(here, entries):
    chance = random.Random(41)
    names = (MODEL, "data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
    for _ in range(CHANGES):
        name = chance.choices(names, (8, 1, 1))[0]
        content = json.loads(entries[name])
        holder, key = chance.choice([*places(content)])
        how = chance.random()
        if how < 0.2:
            del holder[key]
        elif how < 0.4:
            other, place = chance.choice([*places(content)])
            holder[key] = json.loads(json.dumps(other[place]))
        else:
            holder[key] = chance.choice(VALUES)
        path = write(here / "net.pt2", {**entries, name: json.dumps(content).encode()})
        with suppress(AlexnetError):
            traced(path)
    assert [path.name for path in here.iterdir()] == ["net.pt2"]


def test_nothing_but_the_json_is_unpacked(here, entries, monkeypatch):
    path, opened = write(here / "net.pt2", entries), []
    original = zipfile.ZipFile.open

    def noted(self, entry, *rest, **how):
        opened.append(entry.filename)
        return original(self, entry, *rest, **how)

    monkeypatch.setattr(zipfile.ZipFile, "open", noted)
    read_archive(path)
    assert sorted(opened) == [
        "net/data/constants/model_constants_config.json",
        "net/data/weights/model_weights_config.json",
        "net/models/model.json",
    ]


def test_what_is_given_to_a_program_is_checked(here, entries):
    subject = resolve(str(write(here / "net.pt2", entries)))
    how = TraceOptions(inputs=(parse_input("3,9,9"),))
    with pytest.raises(UsageError, match="not 1×3×9×9"):
        trace(subject, how, notify=lambda text: None)
