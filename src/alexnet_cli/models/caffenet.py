"""CaffeNet, the reference model of the Berkeley Vision and Learning Center: an AlexNet trained with Caffe.

Source: https://github.com/BVLC/caffe, `models/bvlc_reference_caffenet`; Y. Jia and others, "Caffe: Convolutional
Architecture for Fast Feature Embedding", 2014.

Unlike in the paper's network, pooling comes before normalisation, so that the norms see 27x27 and 13x13 maps instead of
55x55 and 27x27; parameters and MACs are the same. The norms have k=1, Caffe's default, and alpha=1e-4 for the mean
of the squares, which is how Caffe and torch both count.

BVLC trained it with weights drawn from N(0, 0.01²), N(0, 0.005²) in the hidden fully connected layers, biases of 1 in
the second, fourth and fifth convolution and the hidden fully connected layers, and of 0 elsewhere; stochastic gradient
descent, batches of 256, momentum 0.9, weight decay 0.0005, a learning rate of 0.01 that is divided by 10 every
100,000 iterations, and no colour augmentation. This class has torch's own initialisation instead.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

VARIANT = {
    "name": "caffenet",
    "class": "CaffeNet",
    "description": "BVLC's reference CaffeNet: the paper's network with pooling before normalisation",
    "input": (3, 227, 227),
    "params": 60_965_224,
    "macs": 724_406_816,
    "source": "BVLC reference CaffeNet, Caffe 2014",
}


class CaffeNet(nn.Sequential):
    """Maps images (N, 3, 227, 227) to log-probabilities (N, num_classes), the logarithm of Caffe's `prob`.

    The layers have Caffe's names: `conv1.weight` … `fc8.bias`.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__(
            OrderedDict[str, nn.Module](
                conv1=nn.Conv2d(3, 96, kernel_size=11, stride=4),
                relu1=nn.ReLU(inplace=True),
                pool1=nn.MaxPool2d(kernel_size=3, stride=2),
                norm1=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0),
                conv2=nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),
                relu2=nn.ReLU(inplace=True),
                pool2=nn.MaxPool2d(kernel_size=3, stride=2),
                norm2=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0),
                conv3=nn.Conv2d(256, 384, kernel_size=3, padding=1),
                relu3=nn.ReLU(inplace=True),
                conv4=nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2),
                relu4=nn.ReLU(inplace=True),
                conv5=nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2),
                relu5=nn.ReLU(inplace=True),
                pool5=nn.MaxPool2d(kernel_size=3, stride=2),
                flatten=nn.Flatten(),
                fc6=nn.Linear(256 * 6 * 6, 4096),
                relu6=nn.ReLU(inplace=True),
                drop6=nn.Dropout(0.5),
                fc7=nn.Linear(4096, 4096),
                relu7=nn.ReLU(inplace=True),
                drop7=nn.Dropout(0.5),
                fc8=nn.Linear(4096, num_classes),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the log-probabilities of the classes, (N, num_classes)."""
        scores = super().forward(images)  # type: ignore[no-untyped-call] # torch leaves it untyped
        return functional.log_softmax(scores, dim=1)
