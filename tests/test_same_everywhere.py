"""One network by Python, by its folder, and by the files that it is exported to: the same parameters and MACs."""

from __future__ import annotations

import pytest
from model_folders import save_image_models, save_llama, save_timm
from older_torch import exports_norms_to_onnx

from alexnet_cli import inspect

transformers = pytest.importorskip("transformers")
pytest.importorskip("onnxscript")
IMAGE, TOKENS = "3,32,32", "7:int64"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    save_llama(root / "llama")
    save_image_models(root)
    save_timm(root / "timm")
    return root


def by_python(name, folder):
    if name == "timm":
        return pytest.importorskip("timm").create_model("vit_tiny_patch16_224", num_classes=10, img_size=32, depth=2)
    model = {
        "llama": transformers.LlamaForCausalLM,
        "vit": transformers.ViTForImageClassification,
        "resnet": transformers.ResNetForImageClassification,
    }[name]
    return model.from_pretrained(folder)


RESNET = pytest.param("resnet", IMAGE, marks=exports_norms_to_onnx)


@pytest.mark.parametrize(("name", "shape"), [("llama", TOKENS), ("vit", IMAGE), RESNET, ("timm", IMAGE)])
def test_four_ways(name, shape, folders, tmp_path, alexnet):
    """What the ONNX file has other parameters for, as norms that are worked into convolutions, is told and known."""
    folder = folders / name
    python = inspect(by_python(name, folder), input_size=shape).report.totals
    by_folder = inspect(str(folder), input_size=shape).report.totals
    assert (by_folder.params, by_folder.macs) == (python.params, python.macs)
    assert python.macs > 0
    for suffix in ("pt2", "onnx"):
        answer = alexnet("export", str(folder), "-i", shape, "-o", str(tmp_path / f"net.{suffix}"), "--json")
        assert answer.code == 0, answer.err
        file = answer.json["file"]
        assert file["totals"]["macs"] == python.macs
        known = sum(layer["params"][1] - layer["params"][0] for layer in file["layers"])
        assert file["totals"]["params"] == python.params + known
        assert known == 0 or suffix == "onnx"
