"""Model folders and hubs as nobody should write them: what is read or refused, and what never runs or is fetched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from model_folders import save_adapter, save_image_models, save_llama, save_pipeline, save_timm
from mutations import rounds

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.pretrained import harmless
from alexnet_cli.targets.resolve import resolve

transformers = pytest.importorskip("transformers")
HERE = Path(__file__).parent


def fuzzed(script, folder, few, home):
    """Run a fuzz in a process of its own; return how many changes ended in which exit code."""
    environment = {**os.environ, "ALEXNET_CACHE_DIR": str(home)}
    command = [sys.executable, "-W", "ignore", str(HERE / script), str(folder), str(rounds(few)), "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5_000:]
    codes = json.loads(done.stdout)["codes"]
    assert sum(codes.values()) == rounds(few)
    return codes


def test_changed_folders(tmp_path):
    pytest.importorskip("diffusers")
    pytest.importorskip("peft")
    root = tmp_path / "models"
    root.mkdir()
    save_llama(root / "llama")
    save_pipeline(root / "pipeline")
    save_adapter(root / "adapter", root / "llama")
    save_image_models(root)
    save_timm(root / "timm")
    codes = fuzzed("fuzz_folders.py", root, 40, tmp_path / "cache")
    assert codes["0"] > 0 < codes["3"]


def test_changed_answers_of_a_hub(tmp_path):
    pytest.importorskip("huggingface_hub", minversion="1.0")
    pytest.importorskip("diffusers")
    root = tmp_path / "hub"
    save_llama(root / "org" / "llama")
    transformers.LlamaForCausalLM.from_pretrained(root / "org" / "llama").save_pretrained(
        root / "org" / "shards", max_shard_size="30KB"
    )
    save_pipeline(root / "org" / "pipeline")
    codes = fuzzed("fuzz_hub.py", root, 30, tmp_path / "cache")
    assert codes["0"] > 0 < codes["3"]


@pytest.fixture
def changed(tmp_path):
    """Write the config of a small Llama with other values; return its folder."""

    def write(**values):
        save_llama(tmp_path / "llama")
        file = tmp_path / "llama" / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
        return tmp_path / "llama"

    return write


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation", "_attn_implementation_internal"])
def test_a_config_names_no_code_on_a_hub(alexnet, changed, monkeypatch, key):
    """transformers takes such a name for kernels, which it fetches and runs if the `kernels` package is there."""
    from transformers.integrations import hub_kernels

    monkeypatch.setattr(
        hub_kernels, "is_kernel", lambda name: pytest.fail(f"asked for {name}") if "/" in str(name) else False
    )
    assert alexnet("summary", str(changed(**{key: "org/kernel"}))).code == 0


def test_nested_values_load_nothing():
    given = {
        "backbone_config": {"use_pretrained_backbone": True, "auto_map": {}, "depths": [1]},
        "checkpoint_path": "x",
    }
    assert harmless.harmless(given) == {"backbone_config": {"use_pretrained_backbone": False, "depths": [1]}}
    assert harmless.harmless({"_attn_implementation": "eager"}) == {"_attn_implementation": "eager"}


def test_building_asks_no_hub():
    constants = pytest.importorskip("huggingface_hub").constants
    before = constants.HF_HUB_OFFLINE
    with harmless.confined():
        assert constants.is_offline_mode()
    assert constants.HF_HUB_OFFLINE == before  # noqa: SIM300 - it is no constant


def test_more_modules_than_any_model_has(alexnet, changed, monkeypatch):
    monkeypatch.setattr(harmless, "MOST_MODULES", 500)
    answer = alexnet("summary", str(changed(num_hidden_layers=100)))
    assert answer.code == 3
    assert "asks for more than 500 modules" in answer.err


def test_weights_with_values_that_do_not_fit(changed, monkeypatch):
    """Where a model cannot be built on meta it is built with values, and these are memory."""
    monkeypatch.setattr(harmless, "_memory", lambda: 1_000)
    subject = resolve(str(changed()))
    with pytest.raises(TargetError, match="do not fit into the memory"):
        subject.load()


def test_an_adapter_for_itself(alexnet, tmp_path):
    config = {"peft_type": "LORA", "base_model_name_or_path": "."}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    answer = alexnet("params", str(tmp_path))
    assert (answer.code, "is an adapter too" in answer.err) == (3, True)


@pytest.mark.parametrize("name", ["hf-hub:org/name", "local-dir:.."])
def test_timm_builds_what_it_has_itself(alexnet, tmp_path, name):
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name}))
    answer = alexnet("params", str(tmp_path))
    assert (answer.code, "is not the name of a model of timm" in answer.err) == (3, True)
