"""The network as the course notebook defines it, kept as it was written: the program is held against it."""

import torch.nn as nn
import torch.nn.functional as F


# fmt: off
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.architecture = nn.Sequential(
            nn.Conv2d(3, 96, (11,11), stride=(4,4)),
            nn.ReLU(True),
            nn.MaxPool2d(kernel_size=(3,3), stride=(2,2)),

            nn.Conv2d(96, 256, (5,5), stride=(1,1), padding=2),
            nn.ReLU(True),
            nn.MaxPool2d(kernel_size=(3,3), stride=(2,2)),

            nn.Conv2d(256, 384, (3,3), stride=(1,1), padding=1),
            nn.ReLU(True),
            nn.Conv2d(384, 384, (3,3), stride=(1,1), padding=1),
            nn.ReLU(True),
            nn.Conv2d(384, 256, (3,3), stride=(1,1), padding=1),
            nn.ReLU(True),
            nn.MaxPool2d(kernel_size=(3,3), stride=(2,2)),

            nn.Flatten(),

            nn.Linear(9216, 4096),
            nn.ReLU(True),

            nn.Linear(4096, 4096),
            nn.ReLU(True),

            nn.Linear(4096, 1000),
        )

    def forward(self, x):
        x = self.architecture(x)
        return F.log_softmax(x)
# fmt: on
