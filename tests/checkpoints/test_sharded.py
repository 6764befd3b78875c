from __future__ import annotations

import json

import pytest
import torch


@pytest.fixture
def index(tmp_path):
    def write(weight_map, name="model.safetensors.index.json", **more):
        path = tmp_path / name
        path.write_text(json.dumps({"metadata": {}, "weight_map": weight_map, **more}))
        return str(path)

    return write


def test_a_terabyte_in_200_files_is_added_up(sparse, index, read, alexnet, tmp_path):
    places = {}
    for number in range(200):
        name = f"model-{number}.safetensors"
        sparse({f"layers.{number}.weight": ("F32", [2**16, 5 * 2**12])}, name)
        places[f"layers.{number}.weight"] = name
    assert sum((tmp_path / name).stat().st_size for name in places.values()) > 10**12
    path = index(places)
    report = read(path)
    assert report.totals.params == 200 * 2**16 * 5 * 2**12
    assert report.totals.param_bytes == 4 * report.totals.params
    assert report.totals.layers == 200
    assert "200 files" in report.model.description
    answer = alexnet("params", path, "--by-module", "--depth", "1", "--json")
    assert [module["params"] for module in answer.json["modules"]] == [report.totals.params] * 2


def test_missing_files_are_named(sparse, index, refusal):
    sparse({"a": ("F32", [2])}, "1.safetensors")
    said = refusal(index({"a": "1.safetensors", "b": "2.safetensors", "c": "3.safetensors"}))
    assert "2 of the 3 files" in said
    assert "2.safetensors, 3.safetensors" in said


def test_a_tensor_missing_from_its_file_is_named(sparse, index, refusal):
    sparse({"a": ("F32", [2])}, "1.safetensors")
    assert "astray" in refusal(index({"a": "1.safetensors", "astray": "1.safetensors"}))


def test_tensors_outside_the_index_are_mentioned(sparse, index, read):
    sparse({"a": ("F32", [2]), "b": ("F32", [3])}, "1.safetensors")
    report = read(index({"a": "1.safetensors"}))
    assert report.totals.params == 2
    assert "1 tensors in them are missing from the index" in report.model.description


@pytest.mark.parametrize(
    "name",
    ["../1.safetensors", "/1.safetensors", "a/1.safetensors", "..", "", "a\\1.safetensors", "C:1.safetensors", "1.pt"],
)
def test_only_files_beside_the_index_are_read(index, refusal, name):
    assert "beside it" in refusal(index({"a": name}))


@pytest.mark.parametrize("weight_map", [None, [], {"a": 1}, {"a": None}])
def test_an_index_without_a_map_is_refused(index, refusal, weight_map):
    assert "weight_map" in refusal(index(weight_map))


def test_an_index_of_torch_files_is_read(tmp_path, index, read):
    torch.save({"a.weight": torch.zeros(4, 3)}, tmp_path / "1.bin")
    torch.save({"b.weight": torch.zeros(2, 3)}, tmp_path / "2.bin")
    report = read(index({"a.weight": "1.bin", "b.weight": "2.bin"}, "pytorch_model.bin.index.json"))
    assert report.totals.params == 12 + 6
