"""A small network for the README's examples."""

import torch
from torch import nn


class LeNet(nn.Module):
    """LeCun et al. 1998, with max pooling and ReLU; it takes 28x28 images."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes, (N, classes)."""
        maps = torch.max_pool2d(torch.relu(self.conv1(images)), 2)
        maps = torch.max_pool2d(torch.relu(self.conv2(maps)), 2)
        hidden = torch.relu(self.fc1(maps.flatten(1)))
        return self.fc3(torch.relu(self.fc2(hidden)))
