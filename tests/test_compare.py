"""Models side by side: what is the same layer, what changed in it, and what has no counterpart."""

from __future__ import annotations

import time
from collections import Counter

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_floors import run_without_torch

from alexnet_cli.analyses.alignment import align
from alexnet_cli.analyses.compare import Comparison, compare, only_changes
from alexnet_cli.cli.sides import arguments_of, per_target
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Generator, Layer, Model, Report, Run, Totals
from alexnet_cli.targets.resolve import is_stored
from alexnet_cli.views.compare import label

MIRRORED = {"added": "removed", "removed": "added", "same": "same", "changed": "changed"}
FAMILIES = {"Conv2d": "conv", "Linear": "linear", "ReLU": "activation", "GELU": "activation", "Dropout": "dropout"}
RUN = Run("meta", "float32", "eval", 1, (), complete=True)

TWO_NETS = """
from torch import nn

class Small(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(
            nn.Conv2d(3, width, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(width * 9, 10)
        )

class Changed(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.Flatten(), nn.Linear(288, 10), nn.Softmax(1)
        )

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 2), nn.Linear(6, 2)

    def forward(self, a, b):
        return self.left(a) + self.right(b)
"""


def layer(kind: str, path: str, size: int = 8, **settings) -> Layer:
    """A leaf row whose parameters and MACs follow from its size."""
    params = size if FAMILIES[kind] in ("conv", "linear") else 0
    return Layer(
        index=1,
        path=path,
        type=kind,
        kind="module",
        family=FAMILIES[kind],
        depth=1,
        leaf=True,
        call=1,
        input_shapes=((1, size),),
        output_shapes=((1, size),),
        settings={"size": size, **settings} if params else settings,
        params=params,
        trainable_params=params,
        param_bytes=4 * params,
        buffers=0,
        params_total=params,
        macs=10 * params,
        flops=20 * params,
        macs_total=10 * params,
        output_bytes=4 * size,
        in_place=False,
    )


def made(*layers: Layer, run: Run | None = RUN) -> Report:
    params, macs = sum(row.params for row in layers), sum(row.macs for row in layers)
    totals = Totals(params, params, 0, 0, 4 * params, macs if run else None, 2 * macs if run else None, len(layers))
    return Report(Generator("test", "0", None), Model("made", "Made", ""), run, None, layers, totals)


def changes(comparison: Comparison) -> list[str]:
    return [row.change for row in comparison.layers]


kinds = st.tuples(st.sampled_from(sorted(FAMILIES)), st.sampled_from([4, 8, 16]))
reports = st.lists(kinds, max_size=12).map(
    lambda found: made(*(layer(kind, f"m.{i}", size) for i, (kind, size) in enumerate(found)))
)


@given(reports)
def test_a_model_is_the_same_as_itself(report):
    comparison = compare([report, report])
    assert set(changes(comparison)) <= {"same"}
    assert [row.paths for row in comparison.layers] == [(row.path, row.path) for row in report.layers]
    assert not any(row.differences for row in comparison.layers)


@given(reports)
def test_a_model_is_the_same_as_itself_under_other_names(report):
    renamed = replace(report, layers=tuple(replace(row, path=f"net.{row.path}") for row in report.layers))
    assert set(changes(compare([report, renamed]))) <= {"same"}


@given(reports, reports)
def test_the_order_of_the_models_mirrors_the_result(one, other):
    there, back = compare([one, other]), compare([other, one])
    seen = Counter((row.paths, row.change, repr(row.differences)) for row in there.layers)
    mirrored = Counter(
        (row.paths[::-1], MIRRORED[row.change], repr({name: pair[::-1] for name, pair in row.differences.items()}))
        for row in back.layers
    )
    assert seen == mirrored
    for name in ("params", "param_bytes", "macs", "flops", "layers"):
        ratio, inverse = getattr(there.subjects[1].ratios, name), getattr(back.subjects[1].ratios, name)
        if ratio and inverse:
            assert ratio * inverse == pytest.approx(1)


@given(st.lists(reports, min_size=2, max_size=4))
def test_every_row_appears_once_and_in_order(several):
    comparison = compare(several)
    for place, report in enumerate(several):
        paths = [row.paths[place] for row in comparison.layers if row.paths[place] is not None]
        assert paths == [row.path for row in report.layers]
        params = [row.params[place] or 0 for row in comparison.layers]
        assert sum(params) == report.totals.params


@given(reports, reports)
def test_no_row_is_paired_with_one_of_another_family(one, other):
    for i, j in align(one.layers, other.layers):
        assert one.layers[i].family == other.layers[j].family


def test_an_inserted_layer_moves_no_other():
    before = [layer("Conv2d", "0", 8), layer("ReLU", "1"), layer("Conv2d", "2", 16), layer("ReLU", "3")]
    after = [before[0], layer("Dropout", "1"), layer("ReLU", "2"), layer("Conv2d", "3", 16), layer("ReLU", "4")]
    assert changes(compare([made(*before), made(*after)])) == ["same", "added", "same", "same", "same"]


def test_the_path_decides_between_rows_that_are_alike():
    names = ("first", "second", "third")
    before = [layer("Linear", name) for name in names]
    comparison = compare([made(*before), made(before[0], before[2])])
    assert [row.paths for row in comparison.layers] == [("first", "first"), ("second", None), ("third", "third")]


def test_another_type_of_the_same_family_is_a_change():
    (row,) = compare([made(layer("ReLU", "act")), made(layer("GELU", "act"))]).layers
    assert (row.change, row.differences) == ("changed", {"type": ("ReLU", "GELU")})


def test_settings_that_say_only_which_block_it_is_are_no_change():
    one, other = (made(layer("Linear", "a", layer_idx=number)) for number in (1, 2))
    assert changes(compare([one, other])) == ["same"]


def test_a_number_and_a_pair_of_it_are_the_same_kernel():
    def of(size):
        return made(layer("Conv2d", "a", kernel_size=size))

    assert changes(compare([of(3), of([3, 3])])) == ["same"]
    assert changes(compare([of(3), of([3, 5])])) == ["changed"]
    assert changes(compare([of([3]), of([3, 3])])) == ["changed"]


def test_a_setting_that_is_named_as_a_number_of_ours_is_told_apart():
    (row,) = compare([made(layer("Linear", "a", params=1)), made(layer("Linear", "a", params=2))]).layers
    assert row.differences == {"settings.params": (1, 2)}


def test_a_checkpoint_is_compared_by_its_tensors_in_any_order():
    model = made(layer("Conv2d", "conv"), layer("ReLU", "relu"), layer("Linear", "fc"))
    stored = [replace(layer("Linear", "fc", inferred=True), macs=None), replace(layer("Conv2d", "conv"), macs=None)]
    checkpoint = replace(made(layer("Linear", "fc"), layer("Conv2d", "conv"), run=None), layers=tuple(stored))
    comparison = compare([model, checkpoint])
    assert [row.paths for row in comparison.layers] == [("conv", "conv"), ("fc", "fc")]
    assert set(changes(comparison)) == {"same"}
    assert comparison.subjects[1].ratios.macs is None
    assert comparison.subjects[1].ratios.params == 1


def test_three_models_are_each_compared_with_the_first():
    base = [layer("Conv2d", "a"), layer("ReLU", "b"), layer("Linear", "c")]
    extra = layer("Dropout", "d")
    comparison = compare([made(*base), made(*base[:2], extra, base[2]), made(base[0], extra, base[2])])
    assert [(row.paths, row.change) for row in comparison.layers] == [
        (("a", "a", "a"), "same"),
        (("b", "b", None), "removed"),
        ((None, "d", "d"), "added"),
        (("c", "c", "c"), "same"),
    ]
    assert [row.change for row in only_changes(comparison).layers] == ["removed", "added"]


@pytest.mark.parametrize("width", [0, 1], ids=["all alike", "all different"])
def test_three_thousand_rows_are_aligned_in_seconds(width):
    kinds = ("Conv2d", "ReLU", "Linear")
    before = [layer(kinds[i % 3], f"a.{i}", 8 + width * i) for i in range(3000)]
    after = [layer(kinds[i % 3], f"b.{i}", 8 + width * i) for i in range(3000) if i % 100]
    start = time.process_time()
    pairs = align(before, after)
    assert time.process_time() - start < 30
    assert len(pairs) == len(after)


def test_longer_models_are_cut_before_they_are_aligned(monkeypatch):
    monkeypatch.setattr("alexnet_cli.analyses.alignment.MOST_CELLS", 50)
    before = [layer("Linear", f"m.{i}", 8 + i) for i in range(200)]
    after = [replace(row, output_shapes=()) for i, row in enumerate(before) if i % 10]
    assert [(before[i].path, after[j].path) for i, j in align(before, after)] == [(row.path, row.path) for row in after]
    renamed = [replace(row, path=f"x.{row.path}") for row in after]
    assert len(align(before, renamed)) > len(after) // 2


@settings(max_examples=25)
@given(reports, reports)
def test_cutting_keeps_the_order(one, other):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alexnet_cli.analyses.alignment.MOST_CELLS", 4)
        pairs = align(one.layers, other.layers)
    assert pairs == sorted(pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)


def test_models_are_labelled():
    assert [label(number) for number in (0, 1, 25, 26, 27)] == ["A", "B", "Z", "A2", "B2"]


# The command


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(TWO_NETS)
    return tmp_path / "nets.py"


def test_the_notebooks_network_against_the_papers(alexnet):
    answer = alexnet("compare", "alexnet", "alexnet-paper", "--json").json
    grouped = [row for row in answer["layers"] if "groups" in row["differences"]]
    convolutions = [row["paths"][0] for row in answer["layers"] if row["type"] == "Conv2d"]
    assert [convolutions.index(row["paths"][0]) + 1 for row in grouped] == [2, 4, 5]
    assert all(row["differences"]["groups"] == [1, 2] for row in grouped)
    added = Counter(row["type"] for row in answer["layers"] if row["change"] == "added")
    assert added == {"LocalResponseNorm": 2, "Dropout": 2}
    assert not [row for row in answer["layers"] if row["change"] == "removed"]
    # with two groups a kernel sees half of the channels: conv 2, 4 and 5 lose half of their weights
    halves = sum(5**2 * 256 * 96 // 2 if n == 2 else 3**2 * 384 * out // 2 for n, out in ((2, 256), (4, 384), (5, 256)))
    before, after = (subject["totals"]["params"] for subject in answer["subjects"])
    assert before - after == halves == 1_413_120
    table = alexnet("compare", "alexnet", "alexnet-paper")
    assert table.out.count("groups 1 → 2") == 3
    assert "-1,413,120" in table.out


def test_a_model_against_itself_shows_nothing_changed(alexnet):
    answer = alexnet("compare", "alexnet", "alexnet", "--only-changes")
    assert (answer.code, answer.err) == (0, "")
    assert "Nothing changed in 20 layers." in answer.out
    assert alexnet("compare", "alexnet", "alexnet", "--only-changes", "--json").json["layers"] == []


def test_two_small_networks_differ_where_expected(alexnet, nets):
    answer = alexnet("compare", f"{nets}:Small", f"{nets}:Changed", "-i", "3,8,8", "--json").json
    assert [(row["type"], row["change"]) for row in answer["layers"]] == [
        ("Conv2d", "same"),
        ("BatchNorm2d", "added"),
        ("ReLU", "changed"),
        ("MaxPool2d", "removed"),
        ("Flatten", "changed"),
        ("Linear", "changed"),
        ("Softmax", "added"),
    ]
    linear = answer["layers"][5]
    assert linear["paths"] == ["4", "4"]
    inputs = [8 * 3 * 3, 8 * 6 * 6]  # 8 channels of 6×6, once pooled to 3×3
    assert linear["differences"] == {
        "params": [10 * size + 10 for size in inputs],
        "trainable_params": [10 * size + 10 for size in inputs],
        "param_bytes": [4 * (10 * size + 10) for size in inputs],
        "macs": [10 * size for size in inputs],
        "in_features": inputs,
    }


def test_the_json_is_as_its_schema_says(alexnet, nets):
    answer = alexnet("compare", f"{nets}:Small", f"{nets}:Changed", "-i", "3,8,8", "--json")
    jsonschema.validate(answer.json, alexnet("schema", "compare").json)
    assert list(answer.json)[6:] == ["subjects", "layers"]
    assert list(answer.json["subjects"][0]) == ["model", "run", "error", "totals", "ratios"]
    assert list(answer.json["layers"][0])[:5] == ["paths", "type", "family", "change", "differences"]


def test_options_are_for_all_targets_or_for_each(alexnet):
    answer = alexnet("compare", "alexnet", "alexnet", "-b", "1", "-b", "8", "--json").json
    assert [subject["run"]["batch_size"] for subject in answer["subjects"]] == [1, 8]
    assert answer["subjects"][1]["ratios"]["macs"] == 8
    assert {row["change"] for row in answer["layers"]} == {"changed"}
    answer = alexnet("compare", "alexnet", "alexnet", "-i", "227", "-i", "3,240,240", "--json").json
    assert [subject["run"]["inputs"][0]["shape"][-1] for subject in answer["subjects"]] == [227, 240]
    answer = alexnet("compare", "alexnet", "alexnet", "--dtype", "float16", "--json").json
    assert {subject["run"]["dtype"] for subject in answer["subjects"]} == {"float16"}
    answer = alexnet("compare", "alexnet", "alexnet", "alexnet", "-b", "1", "-b", "8")
    assert answer.code == 2
    assert "--batch-size was given 2 times for 3 targets" in answer.err


def test_arguments_can_be_for_one_target(alexnet, nets):
    answer = alexnet("compare", f"{nets}:Small", f"{nets}:Small", "-i", "3,8,8", "--arg", "2:width=16", "--json").json
    assert answer["layers"][0]["differences"]["out_channels"] == [8, 16]
    assert arguments_of(["a=1", "2:b=2"], 2) == [["a=1"], ["a=1", "b=2"]]
    with pytest.raises(UsageError, match="there is no target 3"):
        arguments_of(["3:a=1"], 2)


def test_several_arguments_of_forward_stand_in_one_value(alexnet, nets):
    answer = alexnet("compare", f"{nets}:Two", f"{nets}:Two", "-i", "a=4;b=6", "--json")
    assert answer.code == 0, answer.err
    assert [item["shape"] for item in answer.json["subjects"][1]["run"]["inputs"]] == [[1, 4], [1, 6]]


@given(st.lists(st.integers(), max_size=5), st.integers(min_value=2, max_value=5))
def test_an_option_is_given_never_once_or_for_each(values, count):
    if len(values) in (0, 1, count):
        assert per_target(values, count, "--n", 0) == (values or [0]) * (count if len(values) < 2 else 1)
    else:
        with pytest.raises(UsageError):
            per_target(values, count, "--n", 0)


def test_a_forward_that_fails_exits_4_and_says_which(alexnet):
    answer = alexnet("compare", "alexnet", "alexnet", "-i", "227", "-i", "3,224,224", "--json")
    assert answer.code == 4
    assert answer.json["error"]["path"] == "architecture.14"
    assert [subject["error"] is None for subject in answer.json["subjects"]] == [True, False]
    assert answer.err.startswith("error: alexnet: architecture.14")
    table = alexnet("compare", "alexnet", "alexnet", "-i", "227", "-i", "3,224,224")
    assert "B failed at architecture.14" in table.out


def test_one_target_is_not_enough(alexnet):
    answer = alexnet("compare", "alexnet")
    assert answer.code == 2
    assert "two targets or more" in answer.err
    assert alexnet("compare").code == 2
    assert alexnet("compare", "alexnet", "alexnett").code == 2
    assert alexnet("compare", "alexnet", "missing.json").code == 3


def test_saved_reports_are_compared_without_torch(alexnet, tmp_path):
    for name, size in (("one", "227"), ("two", "240")):
        assert alexnet("summary", "-i", size, "--json", "-o", str(tmp_path / f"{name}.json")).code == 0
    done = run_without_torch("compare", str(tmp_path / "one.json"), str(tmp_path / "two.json"))
    assert done.returncode == 0, done.stderr
    assert "1×96×55×55 → 1×96×58×58" in done.stdout
    assert "saved report" not in done.stderr


def test_a_saved_report_against_todays_file_takes_no_options(alexnet, nets, tmp_path):
    saved = tmp_path / "last.json"
    assert alexnet("summary", f"{nets}:Small", "-i", "3,8,8", "--json", "-o", str(saved)).code == 0
    answer = alexnet("compare", str(saved), f"{nets}:Small", "-i", "3,8,8", "--arg", "width=8", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert {row["change"] for row in answer.json["layers"]} == {"same"}
    assert [is_stored(name) for name in ("-", "a.json", "b.pt", "net.py:Net", "alexnet")] == [True] * 3 + [False] * 2


def test_a_model_against_its_checkpoint(alexnet, nets, tmp_path):
    import torch
    from torch import nn

    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    answer = alexnet("compare", f"{nets}:Small", str(tmp_path / "weights.pt"), "-i", "3,8,8")
    assert answer.code == 0, answer.err
    assert "Nothing changed in 2 layers." in answer.out
    assert "B has weights only" in answer.out


@pytest.mark.parametrize("name", ["table", "csv", "markdown", "latex", "html", "svg"])
def test_every_format_shows_the_change(alexnet, nets, name):
    answer = alexnet("compare", f"{nets}:Small", f"{nets}:Changed", "-i", "3,8,8", "-f", name)
    assert answer.code == 0, answer.err
    assert "GELU" in answer.out


def test_ascii_output_has_ascii_arrows(alexnet, nets, tmp_path):
    saved = []
    for name in ("Small", "Changed"):
        saved.append(str(tmp_path / f"{name}.json"))
        assert alexnet("summary", f"{nets}:{name}", "-i", "3,8,8", "--json", "-o", saved[-1]).code == 0
    done = run_without_torch("compare", *saved, PYTHONIOENCODING="ascii")
    assert "in_features 72 -> 288" in done.stdout
    assert "\\u" not in done.stdout


def test_every_encoding_of_help_works():
    for command in ("compare", "check"):
        assert run_without_torch(command, "--help", PYTHONIOENCODING="ascii").stdout.isascii()
