"""A saved report that was changed by hand, or damaged, is refused with what does not hold together in it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    from alexnet_cli.cli.app import run

    file = tmp_path_factory.mktemp("saved") / "report.json"
    assert run(["summary", "--lines", "-o", str(file)]) == 0
    return json.loads(file.read_text())


def operation(report, **changes):
    report["tape"]["operations"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: it["layers"][1].update(depth=9), "rows at depths that no tree has"),
        (lambda it: it["layers"][2].update(params=-1), "numbers that are no sizes"),
        (lambda it: it["layers"][2].update(output_shapes=[[1, -3]]), "shapes that are none"),
        (lambda it: it["totals"].update(macs=2**90), "totals that are no sizes"),
        (lambda it: it["run"]["inputs"][0].update(shape=[-1]), "inputs without shapes"),
        (lambda it: operation(it, reads=[10_000]), "operators of values that are not there"),
        (lambda it: operation(it, row=10_000), "operators of rows that are not there"),
        (lambda it: operation(it, macs=-1), "operators whose MACs are no sizes"),
        (lambda it: it["tape"]["values"][0].update(storage=10_000), "values without a storage"),
        (lambda it: it["tape"]["values"][0].update(bytes=-1), "values without a size"),
        (lambda it: it["tape"]["storages"][0].update(died=10_000), "storages that live at no time"),
        (lambda it: it["tape"]["storages"][0].update(bytes=-4), "storages without a size"),
        (lambda it: it["tape"]["source"]["spots"][0].update(file=99), "lines of files that are not there"),
        (lambda it: it["tape"]["source"]["calls"][0].update(stop=10_000), "calls of operators that are not there"),
    ],
)
def test_what_does_not_hold_together_is_refused(alexnet, saved, tmp_path, change, said):
    report = json.loads(json.dumps(saved))
    change(report)
    (tmp_path / "changed.json").write_text(json.dumps(report))
    answer = alexnet("explain", str(tmp_path / "changed.json"))
    assert answer.code == 3
    assert said in answer.err


def test_arguments_of_another_type_leave_the_receptive_field_unknown(alexnet, saved, tmp_path):
    report = json.loads(json.dumps(saved))
    operation(report, arguments={"stride": "wide", "padding": [0], "dilation": {}, "transposed": 0, "groups": "two"})
    (tmp_path / "changed.json").write_text(json.dumps(report))
    assert alexnet("receptive-field", str(tmp_path / "changed.json")).code == 0
