"""Models of diffusers by small configs: denoisers of images, sound and video, and the autoencoders around them."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers

from zoo.architecture import Architecture

_UNET = {"block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8}
_TWO_LEVELS = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
_CROSS = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
}
_HEADS = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2}
_VAE = {
    "block_out_channels": (32, 64),
    "norm_num_groups": 8,
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "UNet2DModel": ("vision", {"sample_size": 32, **_UNET, **_TWO_LEVELS}),
    "UNet2DConditionModel": ("vision", {"sample_size": 32, **_UNET, **_CROSS}),
    "ControlNetModel": (
        "vision",
        {**_UNET, **{key: value for key, value in _CROSS.items() if key != "up_block_types"}},
    ),
    "AutoencoderKL": ("vision", {"sample_size": 32, **_VAE}),
    "VQModel": ("vision", {"sample_size": 32, **_VAE}),
    "AutoencoderTiny": ("vision", {}),
    "DiTTransformer2DModel": (
        "vision",
        {"sample_size": 16, "num_embeds_ada_norm": 100, "norm_num_groups": 4, **_HEADS},
    ),
    "PixArtTransformer2DModel": (
        "vision",
        {"sample_size": 16, "caption_channels": 32, "cross_attention_dim": 32, **_HEADS},
    ),
    "SD3Transformer2DModel": (
        "vision",
        {
            "sample_size": 16,
            "joint_attention_dim": 32,
            "caption_projection_dim": 32,
            "pooled_projection_dim": 32,
            **_HEADS,
        },
    ),
    "Transformer2DModel": ("vision", {"in_channels": 32, "norm_num_groups": 8, **_HEADS}),
    "UNet3DConditionModel": (
        "video",
        {
            "sample_size": 16,
            **_UNET,
            "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
            "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
            "cross_attention_dim": 32,
            "attention_head_dim": 8,
        },
    ),
    "UNetSpatioTemporalConditionModel": (
        "video",
        {
            "sample_size": 16,
            "block_out_channels": (32, 64),
            "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            "cross_attention_dim": 32,
            "num_attention_heads": 2,
            "layers_per_block": 1,
        },
    ),
    "UNet1DModel": ("audio", {"sample_size": 1024, "in_channels": 2, "out_channels": 2, "extra_in_channels": 64}),
    "PriorTransformer": ("text", {**_HEADS, "embedding_dim": 32}),
    "AutoencoderOobleck": (
        "audio",
        {
            "encoder_hidden_size": 16,
            "decoder_channels": 16,
            "decoder_input_channels": 8,
            "downsampling_ratios": [2, 4],
            "channel_multiples": [1, 2],
        },
    ),
}
ARCHITECTURES = [
    Architecture("diffusers", name, modality, partial(getattr(diffusers, name), **settings))
    for name, (modality, settings) in CONFIGS.items()
]
