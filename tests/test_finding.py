"""Where no input is given, one is found by names, configs and layers; where none fits, it is said how to give one."""

from __future__ import annotations

import time

import fed_models
import pytest
import sought_models

from alexnet_cli.tracing.inputs import find_inputs

FED, SOUGHT = fed_models.__file__, sought_models.__file__


@pytest.mark.parametrize(
    ("target", "inputs"),
    [
        (f"{FED}:Siamese", [[1, 3, 224, 224]] * 2),
        (f"{FED}:Masked", [[1, 16]] * 2),
        (f"{FED}:Graph", [[16, 8], [2, 32]]),
        (f"{FED}:Denoiser", [[1, 8], [1]]),
        (f"{SOUGHT}:Nested", [[1, 16], [1, 2, 48, 48]]),
        (f"{SOUGHT}:Unet", [[1, 4, 32, 32], [1], [1, 16, 24]]),
        (f"{SOUGHT}:Spectrogram", [[1, 20, 100]]),
        (f"{SOUGHT}:Volumes", [[1, 2, 16, 112, 112]]),
        (f"{SOUGHT}:Late", [[1, 16]]),
        (f"{SOUGHT}:Raw", [[1, 7]]),
        (f"{SOUGHT}:Sound", [[1, 1, 16000]]),
        (f"{SOUGHT}:LooksAndReads", [[1, 16], [1, 16, 20], [1, 16, 4]]),
        (f"{SOUGHT}:SaysItsSize", [[1, 3, 45, 30]]),
        (f"{SOUGHT}:Clips", [[1, 1, 3, 224, 224]]),
    ],
)
def test_an_input_is_found(alexnet, target, inputs):
    answer = alexnet("summary", target, "--json")
    assert answer.code == 0, answer.err
    run = answer.json["run"]
    assert [each["shape"] for each in run["inputs"]] == inputs
    assert all(each["found"] for each in run["inputs"])
    assert run["device"] == "meta"
    assert answer.err.count("no input was given: found that") == 1


def test_a_wrong_guess_is_followed_by_the_next_one_on_the_cpu_too(alexnet):
    answer = alexnet("summary", f"{SOUGHT}:LooksAtValues", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["run"]["inputs"][0]["shape"] == [1, 16, 8]
    assert answer.json["run"]["device"] == "cpu"
    assert "found that 16×8 fits" in answer.err
    assert answer.err.count("no input was given") == 1


def test_the_search_runs_once_for_a_model_that_is_run_again_on_the_cpu(alexnet, monkeypatch):
    searches = []
    begun = find_inputs.Search.__init__
    monkeypatch.setattr(
        find_inputs.Search, "__init__", lambda self, *a, **k: (searches.append(1), begun(self, *a, **k))[1]
    )
    assert alexnet("summary", f"{SOUGHT}:LooksAtValues").code == 0
    assert len(searches) == 1


def test_where_nothing_fits_it_is_said_what_forward_takes_what_was_tried_and_how_to_go_on(alexnet):
    began = time.monotonic()
    answer = alexnet("summary", f"{SOUGHT}:Unknowable")
    assert time.monotonic() - began < find_inputs.SECONDS + 5
    assert answer.code == 2
    assert "none that fits was found" in answer.err
    assert "left: 'dict[str, Tensor]', right: 'Any', scale: 'float' = 1.0" in answer.err
    assert f"alexnet summary {SOUGHT}:Unknowable -i left=SHAPE -i right=SHAPE" in answer.err
    assert "--inputs file.py:make" in answer.err


def test_a_graph_has_no_batch(alexnet):
    answer = alexnet("summary", f"{FED}:Graph", "-b", "4", "--json")
    assert answer.json["run"]["batch_size"] is None
    assert answer.json["totals"]["macs"] == 16 * 8 * 4


def test_a_variation_of_a_model_runs_on_the_inputs_that_were_found(alexnet):
    answer = alexnet("cost", f"{SOUGHT}:Nested", "-b", "1,3", "--json")
    assert answer.code == 0, answer.err
    assert answer.err.count("no input was given") == 1
