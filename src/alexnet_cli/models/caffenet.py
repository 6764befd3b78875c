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

from torch import nn

from alexnet_cli.models.alexnet_paper import SIZE, AlexNetPaper

VARIANT = {
    "name": "caffenet",
    "class": "CaffeNet",
    "description": "BVLC's reference CaffeNet: the paper's network with pooling before normalisation",
    "input": (3, 227, 227),
    "params": 60_965_224,
    "macs": 724_406_816,
    "source": "BVLC reference CaffeNet, Caffe 2014",
}


class CaffeNet(AlexNetPaper):
    """Maps images (N, 3, 227, 227) to log-probabilities (N, num_classes), the logarithm of Caffe's `prob`.

    The layers have Caffe's names: `conv1.weight` … `fc8.bias`.
    """

    def __init__(self, num_classes: int = 1000) -> None:
        layers = dict(AlexNetPaper(num_classes).named_children())
        order = list(layers)
        for norm in ("norm1", "norm2"):
            layers[norm] = nn.LocalResponseNorm(SIZE, alpha=1e-4, beta=0.75, k=1.0)
            place = order.index(norm)
            order[place : place + 2] = order[place + 1], norm  # pooling comes first
        nn.Sequential.__init__(self, OrderedDict((name, layers[name]) for name in order))
