"""Where no input is given, one is found by names, configs and layers; where none fits, it is said how to give one."""

from __future__ import annotations

import math
import time

import fed_models
import pytest
import sought_models
import torch

from alexnet_cli.targets.inputs import InputSpec
from alexnet_cli.tracing.inputs import find_inputs, trial
from alexnet_cli.tracing.inputs.by_failure import mended

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
        (f"{SOUGHT}:Reads", [[1, 16 + (32 // 8) ** 2], [1, 3, 32, 32]]),
        (f"{SOUGHT}:SeesPoorly", [[1, 16]]),
        (f"{SOUGHT}:Transcribes", [[1, 80, 100], [1, 16]]),
        (f"{SOUGHT}:InProportion", [[1, 4, 224 // 8, 224 // 8], [1, 3, 224, 224], [1, 12]]),
        (f"{SOUGHT}:Acts", [[1, 5], [1, 3]]),
        (f"{SOUGHT}:MergedPatches", [[16 * 16, 2 * 4, 2 * 4, 3], [1, 3], [1]]),
        (f"{SOUGHT}:Frames", [[1, 4, 16, 16], [1, 24 // 8], [1]]),
        (f"{SOUGHT}:Steered", [[1, 16, 8]]),
        (f"{SOUGHT}:Cameras", [[1, 16, 8], [1, 1], [1, 1, 3, 32, 32], [1, 16]]),
        (f"{SOUGHT}:SeesByToken", [[1, 16], [1, 1, 3, 32, 32], [1, 16, 1]]),
        (f"{SOUGHT}:HearsMasked", [[1, 100, 20], [1, 100]]),
        (f"{SOUGHT}:Placed", [[1, 15 * 15, 3 * 4 * 4], [1, 15 * 15, 2]]),
        (f"{SOUGHT}:Speaks", [[1, 16], [1, 16]]),
        (f"{SOUGHT}:ReadsPages", [[1, 16], [1, 16, 4]]),
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


@pytest.mark.parametrize(
    ("name", "inputs"), [("Marks", [[1, sought_models.WORDS], [1, 16], [1, 16]]), ("Decodes", [[1, 8, 128]])]
)
def test_what_only_the_cpu_refuses_is_followed_by_other_inputs(alexnet, name, inputs):
    answer = alexnet("summary", f"{SOUGHT}:{name}", "--json")
    assert answer.code == 0, answer.err
    assert [each["shape"] for each in answer.json["run"]["inputs"]] == inputs
    assert answer.json["run"]["device"] == "cpu"


def test_memory_that_inputs_lack_which_were_said_is_told_of_the_device_that_lacks_it(alexnet):
    answer = alexnet("summary", f"{SOUGHT}:Decodes", "-i", "8,129")
    assert answer.code == 5
    assert "out of memory on cpu" in answer.err


def test_a_tensor_that_an_error_names_asks_for_no_values():
    count = torch.zeros(2, 3, device="meta").sum()
    assert not trial.needs_values(ValueError(f"tokens: {count}, {torch.empty(2, device='meta')}, features: 169"))
    assert trial.needs_values(RuntimeError(f"Tensor.item() cannot be called on meta tensors: {count}"))


def test_no_failure_suggests_inputs_that_are_larger_than_any():
    model = sought_models.Patches()
    tried, failure = (InputSpec((256, 3, 14, 14)),), RuntimeError("mat1 [10752x14] and [1176x768]")
    others = list(mended(tried, failure, find_inputs._guesser(model, 1)))
    assert others
    assert max(math.prod(spec.shape) for (spec,) in others) <= 2**24


def test_the_search_runs_once_for_a_model_that_is_run_again_on_the_cpu(alexnet, monkeypatch):
    searches = []
    begun = find_inputs.Search.__init__
    monkeypatch.setattr(
        find_inputs.Search, "__init__", lambda self, *a, **k: (searches.append(1), begun(self, *a, **k))[1]
    )
    assert alexnet("summary", f"{SOUGHT}:LooksAtValues").code == 0
    assert len(searches) == 1


def test_as_many_tokens_stand_for_a_picture_as_it_has_patches_also_on_the_cpu(alexnet):
    inputs = alexnet("summary", f"{SOUGHT}:Reads", "--json").json["run"]["inputs"]
    assert inputs[0]["values"].count(7) == (32 // 8) ** 2
    assert "values" not in inputs[1]
    answer = alexnet("summary", f"{SOUGHT}:Reads", "--device", "cpu", "-b", "1", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["run"]["inputs"] == inputs


def test_the_note_names_the_inputs_that_were_left_out(alexnet):
    assert "fits, without pixel_values, from" in alexnet("summary", f"{SOUGHT}:SeesPoorly").err
    assert "without" not in alexnet("summary", f"{SOUGHT}:Reads").err.split("no input was given")[1]


def test_values_that_mean_something_are_made_for_what_names_them(alexnet):
    answer = alexnet("summary", f"{SOUGHT}:Patches", "--json")
    assert answer.code == 0, answer.err
    patches, grid = answer.json["run"]["inputs"]
    assert (patches["shape"], grid["shape"], grid["values"]) == ([256, 96], [1, 3], [1, 16, 16])


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    ("name", "inputs", "stacked"),
    [
        ("Reads", [[16 + (32 // 8) ** 2], [3, 32, 32]], ()),
        ("ReadsPatches", [[16 + 16 * 16 // 4], [16 * 16, 3 * 2 * 4 * 4], [3], [16 + 16 * 16 // 4]], (1,)),
        ("ReadsTiles", [[16 + 1], [1 + 32 // 16, 3, 32, 32], [2]], ()),
        ("ReadsRatios", [[16 + 1], [1, 2, 3, 32, 32], [1], [1, 2], [16 + 1, 1, 2]], ()),
        ("Hears", [[16 + 15], [20, 30], [30], [16 + 15]], ()),
        ("Patches", [[16 * 16, 3 * 2 * 4 * 4], [3]], (0,)),
    ],
)
def test_each_sample_of_a_batch_has_its_own_pictures_and_sound(alexnet, batch, name, inputs, stacked):
    answer = alexnet("summary", f"{SOUGHT}:{name}", "-b", str(batch), "--json")
    assert answer.code == 0, answer.err
    run = answer.json["run"]
    fronts = [[batch * shape[0], *shape[1:]] if i in stacked else [batch, *shape] for i, shape in enumerate(inputs)]
    assert [each["shape"] for each in run["inputs"]] == fronts
    assert (run["device"], run["batch_size"]) == ("meta", batch)
    assert answer.json["totals"]["macs"] % batch == 0


def test_more_samples_are_more_patches_without_a_second_search(alexnet):
    answer = alexnet("cost", f"{SOUGHT}:Patches", "-b", "1,3", "--json")
    assert answer.code == 0, answer.err
    each = 16 * 16 * (3 * 2 * 4 * 4) * sought_models.WIDTH
    assert [point["totals"]["macs"] for point in answer.json["sweep"]] == [each, 3 * each]
    assert answer.err.count("no input was given") == 1


@pytest.mark.parametrize("command", ["summary", "memory", "explain", "cost"])
@pytest.mark.parametrize("name", ["Nested", "LooksAtValues", "Reads"])
def test_one_command_searches_once_and_tries_nothing_twice(alexnet, monkeypatch, command, name):
    searches, tried = [], []
    begun, runs = find_inputs.Search.__init__, trial.Trial.__call__
    monkeypatch.setattr(
        find_inputs.Search, "__init__", lambda self, *a, **k: (searches.append(1), begun(self, *a, **k))[1]
    )
    monkeypatch.setattr(trial.Trial, "__call__", lambda self, specs: (tried.append(tuple(specs)), runs(self, specs))[1])
    assert alexnet(command, f"{SOUGHT}:{name}").code == 0
    assert len(searches) == 1
    assert len(tried) == len(set(tried))


def test_a_search_stops_at_its_limit():
    clock, tried = [0.0], []

    def failure_on(specs):
        tried.append(specs)
        clock[0] += 1.0
        return ValueError(f"expected 3, got {len(tried)}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_inputs.time, "monotonic", lambda: clock[0])
        patch.setattr(find_inputs.time, "process_time", lambda: clock[0])
        search = find_inputs.Search(sought_models.Nested(), failure_on)
        assert search.next() is None
        assert len(tried) == find_inputs.SECONDS
        assert search.next() is None
    assert len(tried) == find_inputs.SECONDS


def test_on_a_busy_machine_a_search_does_as_much():
    clock, tried = [0.0], []

    def failure_on(specs):
        tried.append(specs)
        clock[0] += 1.0
        return ValueError(f"expected 3, got {len(tried)}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_inputs.time, "monotonic", lambda: 100 * clock[0])
        patch.setattr(find_inputs.time, "process_time", lambda: clock[0])
        assert find_inputs.Search(sought_models.Nested(), failure_on).next() is None
    assert len(tried) == find_inputs.SECONDS


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


def test_a_model_without_a_forward_is_not_searched(alexnet, tmp_path):
    (tmp_path / "net.py").write_text("from torch import nn\nclass Net(nn.Module):\n    pass\n")
    answer = alexnet("summary", str(tmp_path / "net.py"))
    assert answer.code == 4
    assert 'Net is missing the required "forward"' in answer.err
