"""Models of torchvision by name: classification, segmentation, detection, video, optical flow."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torchvision import models

from zoo.architecture import Architecture

CLASSIFICATION = """
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet1_0
    mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50 resnext50_32x4d
    shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vgg16_bn vit_b_16 vit_b_32 wide_resnet50_2
"""
SEGMENTATION = "deeplabv3_mobilenet_v3_large deeplabv3_resnet50 fcn_resnet50 lraspp_mobilenet_v3_large"
DETECTION = """
    fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_mobilenet_v3_large_fpn fasterrcnn_resnet50_fpn
    fasterrcnn_resnet50_fpn_v2 fcos_resnet50_fpn keypointrcnn_resnet50_fpn maskrcnn_resnet50_fpn
    maskrcnn_resnet50_fpn_v2 retinanet_resnet50_fpn retinanet_resnet50_fpn_v2 ssd300_vgg16
    ssdlite320_mobilenet_v3_large
"""
VIDEO = "mc3_18 mvit_v1_b mvit_v2_s r2plus1d_18 r3d_18 s3d swin3d_t"
FLOW = "raft_large raft_small"
WITHOUT_BACKBONE = {"weights_backbone": None}


def two_frames() -> dict[str, torch.Tensor]:
    """Return two frames of a video."""
    return {"image1": torch.rand(1, 3, 128, 128), "image2": torch.rand(1, 3, 128, 128)}


def _all(names: str, modality: str, inputs: Any = None, **settings: Any) -> list[Architecture]:
    return [
        Architecture("torchvision", name, modality, partial(models.get_model, name, weights=None, **settings), inputs)
        for name in names.split()
    ]


ARCHITECTURES = [
    *_all(CLASSIFICATION, "vision"),
    *_all(SEGMENTATION, "segmentation", **WITHOUT_BACKBONE),
    *_all(DETECTION, "detection", **WITHOUT_BACKBONE),
    *_all(VIDEO, "video"),
    *_all(FLOW, "optical flow", two_frames),
]
