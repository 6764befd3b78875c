"""AlexNet in one tower.

Source: A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, 2014, in the
shape of torchvision's `alexnet`, whose saved weights it loads as they are.

Unlike the network of 2012 it has one tower instead of two, so no groups, and fewer maps: 64, 192, 384, 256, 256.
There is no local response normalisation. The input is 224x224, padded by 2, for the same 55x55 maps. torchvision adds
average pooling to 6x6 before the linear layers, so that larger images run too. Dropout precedes the first two
linear layers; in the older network it follows them.

The paper has one logistic unit per class instead of a softmax; this model returns the scores before either, as
torchvision does. It trains for 90 epochs with momentum 0.9 and weight decay 0.0005, and multiplies the learning rate by
250^(-1/3) after a quarter, a half and three quarters of them. The initialisation is torch's own, as in torchvision.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

VARIANT = {
    "name": "alexnet-owt",
    "class": "AlexNetOwt",
    "description": "AlexNet in one tower, with adaptive pooling: torchvision's alexnet",
    "input": (3, 224, 224),
    "params": 61_100_840,
    "macs": 714_188_480,
    "source": "Krizhevsky, arXiv:1404.5997; torchvision's alexnet",
}


class AlexNetOwt(nn.Module):
    """Maps images (N, 3, 224, 224), or other sizes from 63, to the scores of the classes, (N, num_classes).

    The `state_dict` keys are torchvision's: `features.0.weight` … `classifier.6.bias`.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of the classes, (N, num_classes)."""
        maps = self.avgpool(self.features(images))
        return self.classifier(torch.flatten(maps, 1))  # type: ignore[no-any-return] # modules are called as Any
