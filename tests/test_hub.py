"""Models on a hub, which is a server on this machine: what is fetched, what is not, and what may go wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hub_server import serving
from model_folders import save_llama, save_pipeline
from quantised_files import nf4, store
from test_model_folders import LLAMA_PARAMS

pytest.importorskip("huggingface_hub", minversion="1.0")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")


def quantise(whole, folder):
    """Pack the layers of a model as bitsandbytes does."""
    from safetensors import safe_open

    tensors = {}
    with safe_open(whole / "model.safetensors", "np") as file:
        for key in file.keys():  # noqa: SIM118 - it is no dict
            shape = file.get_slice(key).get_shape()
            packed = "_proj." in key
            tensors |= nf4(key.removesuffix(".weight"), *shape) if packed else {key: ("F32", shape)}
    folder.mkdir()
    config = json.loads((whole / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    store(folder / "model.safetensors", tensors)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    save_llama(root / "org" / "llama")
    from transformers import LlamaForCausalLM

    LlamaForCausalLM.from_pretrained(root / "org" / "llama").save_pretrained(
        root / "org" / "shards", max_shard_size="30KB"
    )
    save_pipeline(root / "org" / "pipeline")
    quantise(root / "org" / "llama", root / "org" / "nf4")
    return root


@pytest.fixture
def hub(models):
    with serving(models) as hub:
        yield hub


@pytest.fixture
def ask(hub, tmp_path):
    """Run a command in a process of its own: huggingface_hub reads its settings when it is imported."""

    def run(*words, **settings):
        environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_mine"}
        command = [sys.executable, "-m", "alexnet_cli", *words]
        done = subprocess.run(
            command, env={**environment, **settings}, capture_output=True, text=True, check=False, timeout=100
        )
        assert "Traceback" not in done.stderr
        return done

    return run


def params_of(done) -> int:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["totals"]["params"]


def test_parameters_come_from_the_header(hub, ask):
    done = ask("params", "hf:org/llama", "--json")
    assert params_of(done) == LLAMA_PARAMS
    assert set(hub.sent) == {"org/llama/config.json", "org/llama/model.safetensors"}
    assert hub.sent["org/llama/model.safetensors"] <= 100_000
    assert "Bearer hf_mine" in hub.tokens


def test_parameters_of_shards_come_from_their_headers(hub, ask):
    assert params_of(ask("params", "hf:org/shards@main", "--json")) == LLAMA_PARAMS
    assert sum(name.endswith(".safetensors") for name in hub.sent) > 2


def test_quantised_weights_have_the_models_parameters(ask):
    """The shapes of packed weights lie among the values, which are not fetched; the numbers of values fit."""
    assert params_of(ask("params", "hf:org/nf4", "--json")) == LLAMA_PARAMS
    answer = json.loads(ask("summary", "hf:org/nf4", "-i", "16:int64", "--json").stdout)
    assert answer["weights"]["matched"] == 21
    assert answer["weights"]["mismatched"] == answer["weights"]["missing"] == []


def test_a_summary_builds_the_model_and_holds_the_weights_against_it(hub, ask):
    done = ask("summary", "hf:org/llama", "-i", "16:int64", "--json")
    assert params_of(done) == LLAMA_PARAMS
    answer = json.loads(done.stdout)
    assert answer["model"]["target"] == "hf:org/llama"
    assert answer["weights"]["matched"] == 21
    hub.sent.clear()
    done = ask("summary", "hf:org/llama", "-i", "16:int64", "--json", HF_HUB_OFFLINE="1")
    assert params_of(done) == LLAMA_PARAMS
    assert not hub.sent
    assert "note: the model's weights were left aside" in done.stderr


def test_a_part_of_a_pipeline(ask):
    assert params_of(ask("params", "hf:org/pipeline:unet", "--json")) > 0
    done = ask("params", "hf:org/pipeline")
    assert done.returncode == 2
    assert "it has unet" in done.stderr


@pytest.mark.parametrize("fault", ["redirect", "429", "503", "slow", "whole", "cut"])
def test_what_goes_wrong_for_a_while_is_overcome(hub, ask, fault):
    hub.faults["model.safetensors"] = [fault]
    assert params_of(ask("params", "hf:org/llama", "--json")) == LLAMA_PARAMS


@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("org/llama", "always 401", "has no org/llama, or does not show it to you"),
        ("org/llama", "always 403", "answers 403 about org/llama"),
        ("org/llama", "always 500", "answers 500 about org/llama"),
        ("config.json", "always cut", "cannot be reached"),
    ],
)
def test_what_stays_wrong_is_explained(hub, ask, path, fault, said):
    hub.faults[path] = [fault]
    done = ask("params", "hf:org/llama")
    assert done.returncode == 3
    assert said in done.stderr
    assert hub.address in done.stderr


def test_a_header_that_lies_about_its_length(models, ask):
    folder = models / "org" / "liar"
    save_llama(folder)
    file = folder / "model.safetensors"
    file.write_bytes((2**40).to_bytes(8, "little") + file.read_bytes()[8:])
    done = ask("params", "hf:org/liar")
    assert "its header should have 1,099,511,627,776 bytes, but the file has" in done.stderr


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("hf:org/none", 3, "has no org/none"),
        ("hf:org/llama@none", 3, "has no revision 'none'"),
        ("hf:", 2, "is not of the form hf:ORG/NAME"),
        ("hf:a/b/c", 2, "is not of the form hf:ORG/NAME"),
        ("hf:../../etc", 2, "is not"),
    ],
)
def test_a_name_that_is_not_there(ask, target, code, said):
    done = ask("params", target)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_a_machine_without_a_network(ask):
    done = ask("params", "hf:org/llama", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 3
    assert "http://127.0.0.1:9 cannot be reached" in done.stderr
    assert "is this machine offline?" in done.stderr


def test_parameters_of_a_hub_need_no_torch(ask, tmp_path):
    block = tmp_path / "blocked"
    block.mkdir()
    (block / "torch.py").write_text("raise ImportError('torch was imported')\n")
    paths = os.pathsep.join([str(block), os.environ.get("PYTHONPATH", "")])
    assert params_of(ask("params", "hf:org/llama", "--json", PYTHONPATH=paths)) == LLAMA_PARAMS
