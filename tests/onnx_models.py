"""Networks that the tests export to ONNX; each has weights of its own, as equal ones would be stored once."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn

BATCH = ({0: torch.export.Dim("batch")},)
ANY_LENGTH = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=1024)},)


@contextmanager
def quiet():
    """Keep what the exporter says about itself to itself."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def export(model, inputs, path, **options):
    """Write a model, and remove the file with its weights: it is not needed.

    Before torch 2.13 an open batch of `nn.TransformerEncoder` fails in `torch.export`: "Constraints violated (batch)".
    """
    with quiet():
        try:
            torch.onnx.export(model, inputs, str(path), dynamo=True, external_data=True, verbose=False, **options)
        except RuntimeError as error:
            if torch.__version__ >= "2.13" or "Constraints violated" not in str(error):  # compares as versions
                raise
            pytest.skip(f"torch {torch.__version__} cannot export it")
    path.with_name(path.name + ".data").unlink(missing_ok=True)
    return str(path)


def randomised(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.normal_(std=0.02)
        for tensor in model.buffers():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    return model.eval()


class Block(nn.Module):
    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        wide = width * stride
        self.conv1 = nn.Conv2d(width, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.relu = nn.ReLU()
        self.downsample = nn.Conv2d(width, wide, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.layers = nn.Sequential(Block(8, 1), Block(8, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.layers(self.bn(self.stem(x)).relu())), 1))


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, 32))
        self.pos = nn.Parameter(torch.zeros(1, 17, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.encoder(x))[:, 0])


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 16)
        self.lstm = nn.LSTM(16, 24, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(48, 8, batch_first=True)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.gru(self.lstm(self.embedding(x))[0])[0][:, -1])


class Upsampling(nn.Module):
    """Transposed, grouped and dilated convolutions, a shared layer, and resizing."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2, groups=2)
        self.same = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1)

    def forward(self, x):
        x = self.same(self.same(self.down(x)))
        return self.up(x) + nn.functional.interpolate(x[:, :4], scale_factor=2, mode="nearest")


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.linear = nn.Linear(8, 4)

    def forward(self, x):
        return self.linear(self.embedding(x)).sum(1)


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 100}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, use_cache=False, tie_word_embeddings=False))
