"""`alexnet summary --columns`: one table that joins what the analyses say of each layer."""

from __future__ import annotations

import jsonschema
import pytest

from alexnet_cli.analyses.columns import COLUMNS
from alexnet_cli.cli.schema import json_schema

FLOAT = 4


def row(answer, path):
    return next(row for row in answer.json["columns"] if row["path"] == path)


def test_columns_of_all_analyses_stand_side_by_side(alexnet):
    names = "params,macs,output_bytes,saved_bytes,receptive_field,jump,bytes_read,intensity"
    answer = alexnet("summary", "--columns", names, "--json")
    assert (answer.code, answer.err) == (0, "")
    jsonschema.validate(answer.json, json_schema("summary"))
    values = row(answer, "architecture.3")["values"]
    given, weights, out = 96 * 27 * 27, 256 * 96 * 25 + 256, 256 * 27 * 27
    macs = out * 96 * 25
    assert values == {
        "params": weights,
        "macs": macs,
        "output_bytes": FLOAT * out,
        "saved_bytes": FLOAT * given,
        "receptive_field": [51, 51],
        "jump": [8, 8],
        "bytes_read": FLOAT * (given + weights),
        "intensity": pytest.approx(2 * macs / (FLOAT * (given + weights + out))),
    }


def test_every_column_has_a_value_somewhere(alexnet):
    answer = alexnet("summary", "--columns", ",".join(COLUMNS), "--json")
    rows = answer.json["columns"]
    for name in COLUMNS:
        assert any(row["values"][name] is not None for row in rows), name


@pytest.mark.parametrize("name", ["params", "macs", "param_bytes", "saved_bytes", "bytes_written", "output_bytes"])
def test_a_container_has_the_sum_of_what_is_below_it(alexnet, name):
    rows = alexnet("summary", "--columns", name, "--json").json["columns"]
    root, *others = rows
    assert root["group"]
    assert root["values"][name] == sum(row["values"][name] for row in others if not row["group"])


def test_depth_cuts_the_tree_and_keeps_the_sums(alexnet):
    rows = alexnet("summary", "--columns", "params,bytes_read", "--depth", "1", "--json").json["columns"]
    whole = alexnet("summary", "--columns", "params,bytes_read", "--json").json["columns"]
    assert [row["path"] for row in rows] == ["", "architecture", "log_softmax"]
    assert rows[1]["values"] == next(row for row in whole if row["path"] == "architecture")["values"]
    assert not rows[1]["group"]


def test_sorting_puts_the_largest_first(alexnet):
    rows = alexnet("summary", "--sort", "macs", "--top", "3", "--json").json["columns"]
    # facts: conv2 447,897,600, conv4 224,280,576, then conv3 and conv5 with 149,520,384 each
    assert [row["path"] for row in rows] == ["architecture.3", "architecture.8", "architecture.6"]
    assert [row["values"]["macs"] for row in rows] == [447_897_600, 224_280_576, 149_520_384]
    assert list(rows[0]["values"]) == ["path", "output_shapes", "params", "macs"]


def test_the_sorted_column_is_shown(alexnet):
    lines = alexnet("summary", "--columns", "path", "--sort", "saved-bytes", "--top", "1").out.splitlines()
    assert "Saved" in lines[2]
    assert "architecture.1" in lines[4]
    assert "1.11 MiB" in lines[4]  # 96 x 55 x 55 floats


def test_intensity_is_blank_without_traffic_and_unknown_with_unknown_work(alexnet, tmp_path):
    flatten = next(line for line in alexnet("summary", "--columns", "intensity").out.splitlines() if "Flatten" in line)
    assert flatten.rstrip().endswith("Flatten-14")
    path = tmp_path / "svd.py"
    path.write_text(
        "import torch\nclass Svd(torch.nn.Module):\n    def forward(self, x):\n        return torch.linalg.svdvals(x)\n"
    )
    lines = alexnet("summary", f"{path}:Svd", "-i", "4,4", "--columns", "intensity").out.splitlines()
    assert next(line for line in lines if "svdvals" in line).rstrip().endswith("unknown")


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "latex", "html", "svg"])
def test_chosen_columns_appear_in_every_format(alexnet, form):
    answer = alexnet("summary", "--columns", "receptive_field,intensity", "--format", form)
    assert answer.code == 0
    assert "51" in answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--columns", "parms"], "did you mean params?"),
        (["--columns", "nothing"], "known: path, family"),
        (["--columns", ","], "names no column"),
        (["--sort", "path"], "needs a column of numbers"),
        (["--sort", "nothing"], "unknown column"),
        (["--top", "3"], "--top goes with --sort"),
    ],
)
def test_unknown_columns_and_orders_are_refused(alexnet, arguments, said):
    answer = alexnet("summary", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_a_saved_report_has_all_but_what_a_step_saves(alexnet, tmp_path):
    path = tmp_path / "report.json"
    assert alexnet("summary", "--json", "-o", str(path)).code == 0
    saved = alexnet("summary", str(path), "--columns", "intensity,receptive_field,saved_bytes", "--json")
    assert saved.code == 0
    values = row(saved, "architecture.0")["values"]
    assert values["receptive_field"] == [11, 11]
    assert values["saved_bytes"] is None


def test_without_columns_the_json_is_as_it_was(alexnet):
    assert "columns" not in alexnet("summary", "--json").json
