"""`--format torchsummary` is the torchsummary package's own output."""

import contextlib
import io

import pytest
import torchsummary
from notebook import Net


@pytest.mark.filterwarnings("ignore:Implicit dimension choice:UserWarning")
def test_byte_for_byte_what_the_notebook_prints(alexnet):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        torchsummary.summary(Net(), (3, 227, 227), device="cpu")
    answer = alexnet("summary", "--format", "torchsummary")
    assert answer.code == 0
    assert answer.out == printed.getvalue()
    assert "Total params: 62,378,344" in answer.out


def test_a_model_that_it_cannot_run_exits_4(alexnet):
    answer = alexnet("summary", "--format", "torchsummary", "-i", "3,224,224")
    assert answer.code == 4
    assert "torchsummary failed" in answer.err


def test_it_wants_a_model_and_not_a_report(alexnet, tmp_path):
    path = tmp_path / "report.json"
    alexnet("summary", "-o", str(path))
    answer = alexnet("summary", str(path), "--format", "torchsummary")
    assert answer.code == 2
    assert "saved report" in answer.err
