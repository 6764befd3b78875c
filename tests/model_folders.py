"""Model folders as their libraries save them, small: a Llama, a pipeline, an adapter; a distributed checkpoint."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}


def save_llama(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(folder)


def save_pipeline(folder: Path) -> int:
    """Return the number of parameters of its only model, `unet`."""
    import diffusers

    unet = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        layers_per_block=1,
    )
    diffusers.DDPMPipeline(unet=unet, scheduler=diffusers.DDPMScheduler()).save_pretrained(folder)
    return sum(each.numel() for each in unet.parameters())


def save_adapter(folder: Path, base: Path) -> None:
    import peft
    from transformers import LlamaForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 uses a name that transformers 5.24 deprecates
        adapter = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
        peft.get_peft_model(LlamaForCausalLM.from_pretrained(base), adapter).save_pretrained(folder)


def save_distributed(state: dict[str, Any], folder: Path) -> None:
    from torch.distributed.checkpoint import save

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that this is the only process
        save(state, checkpoint_id=folder)


def save_image_models(folder: Path) -> None:
    """Save a small ViT and a small ResNet of transformers, each in its folder."""
    from transformers import ResNetConfig, ResNetForImageClassification, ViTConfig, ViTForImageClassification

    vit = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16
    )
    ViTForImageClassification(vit).save_pretrained(folder / "vit")
    resnet = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetForImageClassification(resnet).save_pretrained(folder / "resnet")


def save_timm(folder: Path) -> None:
    """Write the config of a small ViT of timm, as lies on a hub."""
    folder.mkdir()
    config = {
        "architecture": "vit_tiny_patch16_224",
        "num_classes": 10,
        "model_args": {"img_size": 32, "depth": 2},
        "pretrained_cfg": {"input_size": [3, 32, 32]},
    }
    (folder / "config.json").write_text(json.dumps(config))
