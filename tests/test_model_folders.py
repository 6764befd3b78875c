"""Model folders as targets: configs of transformers, diffusers, PEFT and timm, as these libraries save them."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from contextlib import nullcontext

import pytest
from model_folders import SIZES, save_adapter, save_llama, save_pipeline

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.pretrained.folder import built, imported

transformers = pytest.importorskip("transformers")
LLAMA_PARAMS = 2 * 100 * 32 + 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32) + 32
"""Embedding and head; in each layer q and o, k and v, gate, up and down, two norms; the last norm."""

OWN_CONFIG = """
from transformers import PretrainedConfig
class MineConfig(PretrainedConfig):
    model_type = "mine"
    def __init__(self, width=8, **others):
        self.width = width
        super().__init__(**others)
"""
OWN_MODEL = """
from pathlib import Path
from torch import nn
from transformers import PreTrainedModel
from .configuration_mine import MineConfig
Path("ran").touch()
class MineModel(PreTrainedModel):
    config_class = MineConfig
    def __init__(self, config):
        super().__init__(config)
        self.fc = nn.Linear(config.width, 3)
        self.post_init()
    def forward(self, x):
        return self.fc(x)
"""


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "llama"
    save_llama(folder)
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    pytest.importorskip("diffusers")
    folder = tmp_path_factory.mktemp("models") / "pipeline"
    return folder, save_pipeline(folder)


def test_a_folder_of_transformers(alexnet, llama):
    answer = alexnet("summary", str(llama), "-i", "16:int64", "--json")
    assert answer.code == 0
    assert answer.json["model"]["class"] == "LlamaForCausalLM"
    assert answer.json["totals"]["params"] == LLAMA_PARAMS
    tokens, head = 16, 8
    linear = LLAMA_PARAMS - 100 * 32 - 5 * 32  # a multiplication for each weight, but for the embedding and the norms
    attention = 2 * 2 * 4 * head * tokens * tokens
    assert answer.json["totals"]["macs"] == tokens * linear + attention
    assert answer.json["weights"]["matched"] == 2 + 2 * 9 + 1
    assert answer.json["weights"]["missing"] == answer.json["weights"]["unexpected"] == []


def test_the_config_itself_and_other_sizes(alexnet, llama):
    answer = alexnet("summary", str(llama / "config.json"), "--arg", "num_hidden_layers=3", "--json")
    assert answer.json["totals"]["params"] == LLAMA_PARAMS + (LLAMA_PARAMS - 2 * 100 * 32 - 32) // 2
    assert len(answer.json["weights"]["missing"]) == 9


def test_a_config_under_another_name_is_read_without_the_weights_beside_it(alexnet, llama, tmp_path):
    for file in llama.iterdir():
        shutil.copy(file, tmp_path / file.name.replace("config.json", "llama-tiny.json"))
    answer = alexnet("summary", str(tmp_path / "llama-tiny.json"), "--json")
    assert answer.json["model"]["class"] == "LlamaForCausalLM"
    assert answer.json["totals"]["params"] == LLAMA_PARAMS
    assert "weights" not in answer.json


def test_so_are_a_pipeline_and_an_adapter(alexnet, pipeline, llama, tmp_path):
    pytest.importorskip("peft")
    folder, params = pipeline
    index = shutil.copytree(folder, tmp_path / "pipeline") / "model_index.json"
    renamed = index.rename(index.with_name("small-ddpm.json"))
    answer = alexnet("summary", str(renamed))
    assert answer.code == 2
    assert f"as in {renamed}:unet" in answer.err
    assert alexnet("params", f"{renamed}:unet", "--json").json["totals"]["params"] == params
    unet = shutil.copy(folder / "unet" / "config.json", tmp_path / "small-unet.json")
    assert alexnet("params", str(unet), "--json").json["totals"]["params"] == params
    save_adapter(tmp_path / "lora", llama)
    adapter = (tmp_path / "lora" / "adapter_config.json").rename(tmp_path / "lora" / "r4.json")
    assert alexnet("params", str(adapter), "--json").json["totals"]["frozen_params"] == LLAMA_PARAMS


def test_json_that_is_no_config_is_taken_for_a_saved_report(alexnet, tmp_path):
    for content in ("[]", "{}", '{"architecture": 3}', '{"layers": []}', '{"model_type": ', "\\xff", '"model_type"'):
        (tmp_path / "a.json").write_text(content)
        answer = alexnet("summary", str(tmp_path / "a.json"))
        assert answer.code == 3
        assert "is not a saved report" in answer.err
    (tmp_path / "a.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    answer = alexnet("summary", str(tmp_path / "a.json"))
    assert answer.code == 3
    assert "describes no known model; known are the configs of" in answer.err.replace("\nhint: ", "; ")


def test_code_beside_a_config_under_another_name_does_not_run(alexnet, tmp_path):
    config = {"model_type": "mine", "auto_map": {"AutoModel": "modeling_mine.MineModel"}}
    (tmp_path / "mine.json").write_text(json.dumps(config))
    answer = alexnet("summary", str(tmp_path / "mine.json"), "--trust-remote-code")
    assert answer.code == 3
    assert "runs only beside a config.json" in answer.err


def test_a_pipeline_with_a_name_that_no_file_can_have(alexnet, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "Some", "x" * 5000: 1, "\0": 2}))
    answer = alexnet("summary", str(tmp_path))
    assert answer.code == 2
    assert "is a pipeline of several models" in answer.err


def test_weights_under_other_names_are_told_from_missing_ones(alexnet, tmp_path):
    config = transformers.MixtralConfig(**SIZES, num_local_experts=4, tie_word_embeddings=True)
    transformers.MixtralForCausalLM(config).save_pretrained(tmp_path)
    answer = alexnet("summary", str(tmp_path))
    assert answer.code == 0
    # transformers 5 keeps the experts of a layer in two tensors, and saves three for each expert, and the router
    assert "26 hold as many values as the model's 6 others: their names differ" in answer.out


def test_half_precision_is_that_of_the_config(alexnet, tmp_path):
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).bfloat16().save_pretrained(tmp_path)
    answer = alexnet("summary", str(tmp_path), "--json")
    assert answer.json["run"]["dtype"] == "bfloat16"
    assert answer.json["totals"]["param_bytes"] == 2 * LLAMA_PARAMS


def test_code_in_the_folder_runs_only_when_asked(alexnet, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    config = {
        "model_type": "mine",
        "architectures": ["MineModel"],
        "auto_map": {"AutoConfig": "configuration_mine.MineConfig", "AutoModel": "modeling_mine.MineModel"},
        "width": 16,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "configuration_mine.py").write_text(OWN_CONFIG)
    (folder / "modeling_mine.py").write_text(OWN_MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    answer = alexnet("summary", str(folder))
    assert answer.code == 3
    assert "--trust-remote-code runs the code beside it with all your rights" in answer.err
    assert not (tmp_path / "ran").exists()
    answer = alexnet("summary", str(folder), "--trust-remote-code", "--json")
    assert answer.json["totals"]["params"] == 16 * 3 + 3
    assert (tmp_path / "ran").exists()


def test_a_pipeline_lists_its_parts(alexnet, pipeline):
    folder, params = pipeline
    answer = alexnet("summary", str(folder))
    assert answer.code == 2
    assert f"as in {folder}:unet" in answer.err
    answer = alexnet("summary", f"{folder}:unet", "--json")
    assert answer.json["totals"]["params"] == params
    assert not answer.json["weights"]["missing"]
    assert alexnet("summary", str(folder / "unet"), "--json").json["totals"]["params"] == params
    answer = alexnet("summary", f"{folder}:unett")
    assert answer.code == 2
    assert "did you mean unet?" in answer.err


def test_an_adapter_in_its_base_model(alexnet, llama, tmp_path):
    pytest.importorskip("peft")
    save_adapter(tmp_path, llama)
    answer = alexnet("summary", str(tmp_path), "-i", "16:int64", "--json")
    lora = 2 * 4 * ((32 + 32) + (32 + 16))  # two layers, rank 4: q from 32 to 32, v from 32 to 16
    assert answer.json["totals"]["trainable_params"] == lora
    assert answer.json["totals"]["frozen_params"] == LLAMA_PARAMS


def test_an_adapter_without_its_base_model(alexnet, tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "org/base"}')
    answer = alexnet("summary", str(tmp_path))
    assert answer.code == 3
    assert "is an adapter for org/base, and there is no such folder" in answer.err
    assert "--arg base_model_name_or_path=FOLDER" in answer.err


def test_a_config_of_timm(alexnet, tmp_path):
    timm = pytest.importorskip("timm", exc_type=ImportError)
    config = {"architecture": "resnet18", "num_classes": 10, "pretrained_cfg": {"input_size": [3, 64, 64]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    answer = alexnet("summary", str(tmp_path), "--json")
    model = timm.create_model("resnet18", num_classes=10)
    assert answer.json["totals"]["params"] == sum(each.numel() for each in model.parameters())
    assert answer.json["run"]["inputs"][0]["shape"] == [1, 3, 64, 64]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "not a JSON object"),
        ('{"a": 1, "a": 2}', "is repeated"),
        ("{}", "describes no known model"),
        ('{"model_type": "no\\u001b[31mne"}', "knows no model type"),
        ('{"model_type": ["llama"]}', "knows no model type"),
        ('{"model_type": "llama", "num_hidden_layers": 1000000000}', "at most 100,000 are built"),
        ('{"model_type": "llama", "architectures": ["pipeline"], "hidden_size": "wide"}', "cannot build"),
        ('{"_class_name": "pipelines"}', "has no model 'pipelines'"),
    ],
)
def test_a_damaged_config(alexnet, tmp_path, content, said):
    (tmp_path / "config.json").write_text(content)
    answer = alexnet("summary", str(tmp_path))
    assert answer.code == 3
    assert said in answer.err
    assert "\x1b" not in answer.err


def test_a_saved_report_may_be_called_config_json(alexnet, tmp_path):
    path = tmp_path / "config.json"
    assert alexnet("summary", "-o", str(path)).code == 0
    assert alexnet("params", str(path), "--json").json["totals"]["params"] == 62_378_344


def test_a_library_that_is_missing_is_named(alexnet, llama, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    answer = alexnet("summary", str(llama))
    assert answer.code == 3
    assert "transformers is not installed" in answer.err
    assert "pip install 'alexnet-cli[hf]'" in answer.err


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_a_zoo_is_read_from_its_source(library):
    zoo = pytest.importorskip(library, exc_type=ImportError)
    from alexnet_cli.targets.pretrained.zoo import names

    listed = zoo.list_models() if library == "timm" else __import__("torchvision.models").models.list_models()
    assert set(listed) <= set(names(library))


def test_a_model_of_torchvision_by_name(alexnet):
    models = pytest.importorskip("torchvision.models", exc_type=ImportError)
    answer = alexnet("summary", "torchvision:alexnet", "--json")
    assert answer.json["totals"]["params"] == sum(each.numel() for each in models.alexnet().parameters())
    assert answer.json["totals"]["macs"] == alexnet("summary", "alexnet-owt", "--json").json["totals"]["macs"]
    answer = alexnet("summary", "torchvision:alexnett")
    assert answer.code == 2
    assert "did you mean torchvision:alexnet" in answer.err


def test_a_model_of_timm_by_name(alexnet):
    timm = pytest.importorskip("timm", exc_type=ImportError)
    answer = alexnet("params", "timm:resnet18", "--arg", "num_classes=10", "--json")
    params = sum(each.numel() for each in timm.create_model("resnet18", num_classes=10).parameters())
    assert answer.json["totals"]["params"] == params


def test_a_zoo_that_is_not_installed(alexnet, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    answer = alexnet("summary", "timm:resnet18")
    assert answer.code == 3
    assert "timm is not installed" in answer.err
    assert "pip install 'alexnet-cli[timm]'" in answer.err


NOISY = """
import logging, sys
logging.getLogger("noisy").warning("no handler")
logging.getLogger("torch.noisy").error("torch's handler")
own = logging.getLogger("noisy.own")
own.addHandler(logging.StreamHandler(sys.stderr))
own.warning("its own handler")
"""


@pytest.mark.parametrize(("ending", "threshold"), [("", logging.NOTSET), ("import no_such_thing", logging.CRITICAL)])
def test_what_a_library_logs_when_it_is_imported_is_not_shown(tmp_path, monkeypatch, capfd, ending, threshold):
    (tmp_path / "noisy.py").write_text(NOISY + ending)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "noisy", raising=False)
    monkeypatch.setattr(logging.root.manager, "disable", threshold)
    loggers = [logging.root, *(logging.getLogger(name) for name in ("torch", "noisy", "transformers"))]
    before = [(each.level, [*each.handlers], each.propagate, each.disabled) for each in loggers]
    with pytest.raises(TargetError, match="noisy cannot be imported") if ending else nullcontext():
        imported("noisy", "hf")
    assert capfd.readouterr().err == ""
    assert logging.root.manager.disable == threshold
    assert [(each.level, each.handlers, each.propagate, each.disabled) for each in loggers] == before


def test_nor_what_it_logs_when_it_builds_a_model(capfd):
    log = logging.getLogger("noisy.builder")

    def build():
        log.warning("slow")
        raise ValueError("too small")

    with pytest.raises(TargetError, match="cannot build it: ValueError: too small"):
        built(build, "it")
    assert log.isEnabledFor(logging.WARNING)
    assert capfd.readouterr().err == ""


def test_a_folders_stderr_holds_our_notes_only(llama):
    command = [sys.executable, "-m", "alexnet_cli", "summary", str(llama), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["note"]


def test_what_the_users_own_code_logs_is_shown(tmp_path):
    (tmp_path / "net.py").write_text(
        "import logging\nfrom torch import nn\n"
        "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 3)\n"
        "        logging.getLogger('mine').warning('heard')\n"
    )
    command = [sys.executable, "-m", "alexnet_cli", "summary", str(tmp_path / "net.py"), "--no-cache"]
    assert "heard" in subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
