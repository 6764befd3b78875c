"""The AlexNet of the paper.

Source: A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
NIPS 2012.

Unlike the notebook's network it has two groups in the second, fourth and fifth convolution (the paper puts half of
the kernels on each of two GPUs, which exchange their maps in the third convolution only), local response
normalisation after the first two, and dropout after the first two fully connected layers.

The paper says 224x224, but only 227x227 gives its 55x55 maps with an 11x11 kernel, stride 4 and no padding.

The paper trains it with weights drawn from N(0, 0.01²), biases of 1 in the second, fourth and fifth convolution and
in the hidden fully connected layers, and of 0 elsewhere; stochastic gradient descent, batches of 128, momentum 0.9,
weight decay 0.0005, a learning rate of 0.01 that is divided by 10 whenever the validation error stops improving
(three times), about 90 epochs. This class has torch's own initialisation instead.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

VARIANT = {
    "name": "alexnet-paper",
    "class": "AlexNetPaper",
    "description": "The paper's AlexNet: two groups in conv 2, 4 and 5, local response normalisation, dropout",
    "input": (3, 227, 227),
    "params": 60_965_224,
    "macs": 724_406_816,
    "source": "Krizhevsky, Sutskever, Hinton, NIPS 2012",
}

SIZE = 5
"""How many neighbouring maps normalise a response: the paper's n."""


class AlexNetPaper(nn.Sequential):
    """Maps images (N, 3, 227, 227) to log-probabilities (N, num_classes), the logarithm of the paper's softmax.

    The layers have the names that Caffe gave them: `conv1.weight` … `fc8.bias`.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__(
            OrderedDict[str, nn.Module](
                conv1=nn.Conv2d(3, 96, kernel_size=11, stride=4),
                relu1=nn.ReLU(inplace=True),
                norm1=_response_norm(),
                pool1=nn.MaxPool2d(kernel_size=3, stride=2),
                conv2=nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),
                relu2=nn.ReLU(inplace=True),
                norm2=_response_norm(),
                pool2=nn.MaxPool2d(kernel_size=3, stride=2),
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


def _response_norm() -> nn.LocalResponseNorm:
    """Normalise as in section 3.3: each value over (k + alpha Σ a²)^beta, k=2, n=5, alpha=1e-4, beta=0.75.

    torch multiplies the mean of the n squares by its `alpha`, the paper their sum: hence n times the paper's.
    Neighbours are counted across the border of the groups, as in Caffe; the paper does not say what its GPUs do there.
    """
    return nn.LocalResponseNorm(SIZE, alpha=SIZE * 1e-4, beta=0.75, k=2.0)
