"""The decoders of segmentation-models-pytorch, with encoders of several kinds."""

from __future__ import annotations

from functools import partial

import segmentation_models_pytorch as smp

from zoo.architecture import Architecture

MODELS = (
    ("Unet", "resnet18"),
    ("Unet", "mit_b0"),
    ("UnetPlusPlus", "mobilenet_v2"),
    ("MAnet", "resnet18"),
    ("Linknet", "efficientnet-b0"),
    ("FPN", "timm-efficientnet-b0"),
    ("PSPNet", "densenet121"),
    ("PAN", "resnet18"),
    ("DeepLabV3", "resnet18"),
    ("DeepLabV3Plus", "xception"),
    ("UPerNet", "resnext50_32x4d"),
    ("Segformer", "mit_b0"),
    ("DPT", "tu-vit_tiny_patch16_224"),
)
ARCHITECTURES = [
    Architecture(
        "segmentation-models-pytorch",
        f"{decoder} {encoder}",
        "segmentation",
        partial(getattr(smp, decoder), encoder, encoder_weights=None),
    )
    for decoder, encoder in MODELS
]
