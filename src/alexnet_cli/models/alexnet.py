"""The AlexNet of the course notebook.

It takes 227x227 images. Unlike the network of the paper (Krizhevsky, Sutskever, Hinton, NIPS 2012) it has no groups,
no local response normalisation and no dropout, and it ends in a log-softmax over the classes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

VARIANT = {
    "name": "alexnet",
    "class": "AlexNet",
    "description": "The course notebook's AlexNet: no groups, no LRN, no dropout, log-softmax at the end",
    "input": (3, 227, 227),
    "params": 62_378_344,
    "macs": 1_135_256_096,
    "source": "the course notebook, after Krizhevsky, Sutskever, Hinton, NIPS 2012",
}


class AlexNet(nn.Module):
    """Maps images (N, 3, 227, 227) to log-probabilities (N, num_classes).

    The `state_dict` keys are the notebook's: `architecture.0.weight` and so on.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.architecture = nn.Sequential(
            nn.Conv2d(3, 96, kernel_size=11, stride=4),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(96, 256, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(256, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Flatten(),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the log-probabilities of the classes, (N, num_classes)."""
        return functional.log_softmax(self.architecture(images), dim=1)
