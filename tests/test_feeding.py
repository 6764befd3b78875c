"""Models that take more than an image are fed: on the command line by `-i` or `--inputs`, in Python by values."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import fed_models
import pytest
from fed_models import LENGTH, WIDTH

from alexnet_cli import inspect
from alexnet_cli.errors import UsageError
from alexnet_cli.targets.inputs import InputSpec, InputValue, parse_input

HERE = fed_models.__file__
CONV = 3 * 9 * 4  # MACs of a 3×3 convolution from 3 to 4 channels, for each pixel
GATES = 3  # of a GRU, each with a product of the input and one of the state


class Case(NamedTuple):
    """A model, the function or value that makes its inputs, its MACs by hand, and `-i` where that can say them."""

    model: str
    maker: str
    macs: int
    said: tuple[str, ...] = ()


CASES = [
    Case("Graph", "graph", 5 * 8 * 4, ("--no-batch", "-i", "x=5,8", "-i", "edge_index=2,12:int64<5")),
    Case("Detector", "detector", CONV * (64**2 + 48**2), ("-i", 'images=["3,64,64", "3,48,48"]')),
    Case("Encoder", "encoder", LENGTH * WIDTH * 2, ("-i", 'batch={"ids": "6:int64", "mask": "6:bool"}')),
    Case("TakesBatch", "takes_batch", CONV * 8 * 8),
    Case("Switch", "switch", CONV * 8 * 8, ("-i", "3,8,8", "-i", 'kind="conv"')),
    Case("Packed", "packed", (4 + 2) * (GATES * 2 * WIDTH**2 + WIDTH * 2)),
    Case("Siamese", "siamese", 2 * CONV * 8 * 8, ("-i", "3,8,8", "-i", "3,8,8")),
    Case("Patches", "patches", 16 * 12 * 4, ("--no-batch", "-i", "patches=16,12", "-i", "grid_thw=[[1,4,4]]")),
    Case("Masked", "masked", LENGTH * WIDTH * 2, ("-i", "input_ids=6:int64<100", "-i", "attention_mask=6:bool=1")),
    Case("Denoiser", "denoiser", WIDTH * 4, ("-i", "8", "-i", "timestep=:int64<50")),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@each_case
def test_a_function_or_a_value_in_a_file_says_what_forward_is_called_with(alexnet, case, device):
    target = (f"{HERE}:{case.model}", "--inputs", f"{HERE}:{case.maker}", "--device", device)
    answer = alexnet("summary", *target, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["macs"] == case.macs
    assert not any(given["found"] for given in answer.json["run"]["inputs"])


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("case", [case for case in CASES if case.said], ids=lambda case: case.model)
def test_shapes_and_json_on_the_command_line_say_it(alexnet, case, device):
    answer = alexnet("summary", f"{HERE}:{case.model}", *case.said, "--device", device, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["macs"] == case.macs
    assert answer.json["run"]["device"] == device


@each_case
def test_values_in_python_say_it(case):
    made = getattr(fed_models, case.maker)
    value = made() if callable(made) else made
    kwargs: dict[str, Any] = {}
    match value:
        case fed_models.Call(args, kwargs):
            pass
        case dict() if case.model != "Encoder":
            args, kwargs = (), value
        case tuple() | list() if case.model != "Packed":
            args = tuple(value)
        case _:
            args = (value,)
    module = getattr(fed_models, case.model)()
    assert inspect(module, *args, kwargs=kwargs).report.totals.macs == case.macs
    assert inspect(module, inputs_from=f"{HERE}:{case.maker}").report.totals.macs == case.macs


def test_tensors_inside_an_argument_are_described_by_their_path(alexnet):
    said = 'batch={"ids": "6:int64", "mask": "6:bool"}'
    answer = alexnet("summary", f"{HERE}:Encoder", "-i", said, "-b", "3", "--json")
    expected = [("batch.ids", [3, LENGTH], "int64"), ("batch.mask", [3, LENGTH], "bool")]
    assert [(each["name"], each["shape"], each["dtype"]) for each in answer.json["run"]["inputs"]] == expected
    assert answer.json["run"]["batch_size"] == 3


def test_a_batch_size_resizes_the_first_dimension_that_all_tensors_share(alexnet):
    target = (f"{HERE}:Encoder", "--inputs", f"{HERE}:encoder")
    runs = [alexnet("summary", *target, *batch, "--json").json for batch in ((), ("-b", "5"))]
    assert [run["run"]["batch_size"] for run in runs] == [1, 5]
    assert runs[1]["totals"]["macs"] == 5 * runs[0]["totals"]["macs"]
    several = alexnet("cost", *target, "-b", "2,4", "--json")
    assert several.code == 0, several.err


def test_shapes_in_a_list_are_whole_as_it_holds_the_samples(alexnet):
    answer = alexnet("summary", f"{HERE}:Detector", "-i", '["3,64,64", "3,48,48"]', "-b", "4", "--json")
    assert [each["shape"] for each in answer.json["run"]["inputs"]] == [[3, 64, 64], [3, 48, 48]]
    assert answer.json["run"]["batch_size"] is None


def test_two_strings_are_two_answers_also_from_the_cache(alexnet):
    target = ("summary", f"{HERE}:Switch", "-i", "3,8,8", "--cache", "--json")
    macs = [alexnet(*target, "-i", f'kind="{kind}"').json["totals"]["macs"] for kind in ("conv", "pool", "conv")]
    assert macs == [CONV * 64, 0, CONV * 64]


@pytest.mark.parametrize("given", [("-i", "6:int64", "-i", "mask=6:bool"), ("--inputs", f"{HERE}:unknown_argument")])
def test_an_argument_that_forward_does_not_have_lists_those_it_has(alexnet, given):
    answer = alexnet("summary", f"{HERE}:Masked", *given)
    assert answer.code == 2
    assert "no argument 'mask'" in answer.err
    assert "input_ids, attention_mask" in answer.err


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("missing.py:make", 3, "file not found"),
        (f"{HERE}:absent", 2, "absent"),
        (f"{HERE}:nothing", 3, "None"),
        (f"{HERE}:needs_an_argument", 3, "missing a required argument"),
        (f"{HERE}:fails", 3, "no such data"),
        ("no_colon", 2, "file.py:NAME"),
    ],
)
def test_inputs_that_cannot_be_loaded_are_told_as_for_targets(alexnet, source, code, said):
    answer = alexnet("summary", f"{HERE}:Encoder", "--inputs", source)
    assert answer.code == code
    assert said in answer.err


def test_inputs_are_said_once(alexnet):
    answer = alexnet("summary", f"{HERE}:Encoder", "--inputs", f"{HERE}:encoder", "-i", "3,8,8")
    assert answer.code == 2
    assert "--inputs and --input-size" in answer.err


def test_the_function_of_the_inputs_may_import_from_the_folder_of_the_model(alexnet, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "net.py").write_text(
        "from torch import nn\nfrom shapes import WIDTH\nclass Net(nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(WIDTH, 2)\n"
    )
    (model / "shapes.py").write_text("WIDTH = 7\n")
    (tmp_path / "feed.py").write_text("import torch\nfrom shapes import WIDTH\nx = torch.ones(1, WIDTH)\n")
    answer = alexnet("summary", f"{model}/net.py:Net", "--inputs", f"{tmp_path}/feed.py:x", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["totals"]["macs"] == 7 * 2


def test_compare_takes_inputs_once_or_for_each_target(alexnet):
    targets = (f"{HERE}:Encoder", f"{HERE}:TakesBatch")
    inputs = ("--inputs", f"{HERE}:encoder", "--inputs", f"{HERE}:takes_batch")
    answer = alexnet("compare", *targets, *inputs, "--json")
    assert [each["totals"]["macs"] for each in answer.json["subjects"]] == [LENGTH * WIDTH * 2, CONV * 64]


# The grammar


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16:int64=1", InputSpec((16,), "int64", fill=1)),
        ("ids=16:int64<1000", InputSpec((16,), "int64", "ids", below=1000)),
        (":int64<10", InputSpec((), "int64", below=10)),
        ("3,4:float32=0.5", InputSpec((3, 4), "float32", fill=0.5)),
        ('kind="conv"', InputValue("conv", "kind")),
        ('kind="3,4"', InputValue("3,4", "kind")),
        ("x=null", InputValue(None, "x")),
        ("x=true", InputValue(True, "x")),
        ("x=0.5", InputValue(0.5, "x")),
        ("x:=3", InputValue(3, "x")),
        ('x:=["3,4"]', InputValue(["3,4"], "x")),
        ("grid=[[1,16,16]]", InputValue([[1, 16, 16]], "grid")),
        ('["3,64,64", "16"]', InputValue([InputSpec((3, 64, 64)), InputSpec((16,))])),
        (
            'b={"ids": "16:int64<9", "mode": "nearest"}',
            InputValue({"ids": InputSpec((16,), "int64", below=9), "mode": "nearest"}, "b"),
        ),
    ],
)
def test_reads_values_and_fills(text, expected):
    assert parse_input(text) == expected


@pytest.mark.parametrize(
    "text", ["x=[1,", 'x={"a": "3:int65"}', "x=:", "3:int64<0", "3:int64=a", "3:float32<4", "x=0", "x:=conv"]
)
def test_refuses_what_is_neither_a_shape_nor_json(text):
    with pytest.raises(UsageError) as error:
        parse_input(text)
    assert error.value.hint


def test_integers_below_a_bound_are_the_same_in_each_run(alexnet):
    target = ("summary", f"{HERE}:Denoiser", "--device", "cpu", "-i", "8", "-i", "timestep=:int64<50", "--json")
    first, second = (json.dumps(alexnet(*target).json["layers"]) for _ in range(2))
    assert first == second


# The hint of compare


def test_the_hint_of_compare_works_when_it_is_followed(alexnet):
    failed = alexnet("compare", "alexnet", "caffenet", "-i", "3,64,64", "-i", "3,227,227")
    assert failed.code == 4
    hinted = re.search(r"as in (--input-size \S+ --input-size 3,227,227)", failed.err)
    assert hinted, failed.err
    again = alexnet("compare", "alexnet", "caffenet", *hinted[1].split())
    assert again.code == 0, again.err


def test_the_hint_of_compare_joins_the_arguments_of_one_model(alexnet):
    failed = alexnet("compare", "alexnet", f"{HERE}:Masked", "-i", "3,227,227", "-i", "9,8:int64;9:bool")
    assert failed.code == 4
    hinted = re.search(r'--input-size 3,227,227 --input-size "([^"]+)"', failed.err)
    assert hinted, failed.err
    again = alexnet("compare", "alexnet", f"{HERE}:Masked", "-i", "3,227,227", "-i", hinted[1])
    assert again.code == 0, again.err


def test_the_hint_beside_a_saved_report_is_said_once(alexnet, tmp_path):
    saved = tmp_path / "saved.json"
    assert alexnet("summary", "-o", str(saved)).code == 0
    failed = alexnet("compare", str(saved), "caffenet", "-i", "3,32,32")
    hinted = re.search(r"as in --input-size (\S+)$", failed.err, re.MULTILINE)
    assert hinted, failed.err
    assert alexnet("compare", str(saved), "caffenet", "-i", hinted[1]).code == 0


def test_integers_and_masks_that_are_made_are_ordinary_on_a_real_device(alexnet):
    named = ("-i", "input_ids=64:int64", "-i", "attention_mask=64:int64", "-i", "key_padding_mask=64:bool")
    for given in (("-i", "64:int64", "-i", "64:int64", "-i", "64:bool"), named, ()):
        answer = alexnet("summary", f"{fed_models.__file__}:Particular", *given, "--device", "cpu", "--json")
        assert answer.code == 0, answer.err
