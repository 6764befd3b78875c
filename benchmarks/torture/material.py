"""Good files of each kind that the program reads, small, made once for a run; a case changes or names them."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

from torture import ROOT

MODEL = '''\
import torch
from torch import nn


class Tiny(nn.Module):
    """A few layers of several families."""

    def __init__(self, width=4, classes=3):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.features(x) + x.mean()
        return torch.log_softmax(self.head(x.mean((2, 3))), 1)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, tokens):
        return self.block(self.table(tokens))


class Broken(Tiny):
    def forward(self, x):
        return self.head(self.features(x))


def inputs():
    return torch.zeros(2, 3, 8, 8)


tiny = Tiny()
'''
FORMULAS = '''\
from alexnet_cli import macs_formula


@macs_formula("aten::mean.dim")
def mean(given, *others, out_val=None, **named):
    """One addition for each number."""
    return given.numel()
'''
PYPROJECT = """\
[project]
name = "mine"

[tool.alexnet.check]
max-params = "1M"
max-macs = "2M"
max-layers = 50
no-unused = true
tolerance = 0.1
"""


def make(folder: Path) -> None:
    """Write a file of each kind into a folder."""
    (folder / "tiny.py").write_text(MODEL, encoding="utf-8")
    (folder / "formulas.py").write_text(FORMULAS, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    shutil.copy(ROOT / "docs" / "snapshot.pickle", folder)
    _weights(folder)
    for name, target in {"net.json": "tiny.py:Tiny", "words.json": "tiny.py:Words"}.items():
        size = "3,8,8" if name == "net.json" else "5:int64"
        command = [sys.executable, "-m", "alexnet_cli", "summary", target, "-i", size, "-o", name]
        subprocess.run(command, cwd=folder, check=True)


def _weights(folder: Path) -> None:
    import torch
    from gguf import GGUFWriter
    from safetensors.torch import save_file

    scope: dict[str, object] = {"__name__": "tiny"}
    exec(MODEL, scope)  # noqa: S102 - the text above
    model = scope["Tiny"]().eval()  # type: ignore[operator]
    state = model.state_dict()
    torch.save(state, folder / "net.pt")
    torch.save(model.head, folder / "whole.pth")  # objects, which are refused
    save_file(state, folder / "net.safetensors")
    _shards(folder, state)
    writer = GGUFWriter(folder / "net.gguf", "llama")
    writer.add_name("Tiny")
    writer.add_token_list(["a", "b"])
    for name, tensor in state.items():
        if tensor.ndim:
            writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = (torch.zeros(2, 3, 8, 8),)
        torch.export.save(torch.export.export(model, given, strict=False), folder / "net.pt2")
        torch.onnx.export(model, given, str(folder / "net.onnx"), dynamo=True, external_data=False, verbose=False)
    logging.disable(logging.NOTSET)


def _shards(folder: Path, state: dict[str, object]) -> None:
    """Write weights in two files with an index, and a model folder with a config."""
    from safetensors.torch import save_file

    names = list(state)
    parts = {"part-1.safetensors": names[: len(names) // 2], "part-2.safetensors": names[len(names) // 2 :]}
    for file, held in parts.items():
        save_file({name: state[name] for name in held}, folder / file)
    places = {name: file for file, held in parts.items() for name in held}
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / "net.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "llama").mkdir()
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 20,
    }
    (folder / "llama" / "config.json").write_text(json.dumps(config), encoding="utf-8")


class Kept:
    """The files of a folder as they are now, put back after each case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self._stamps = {path: self._stamp(path) for path in self._data}

    def data(self, name: str) -> bytes:
        """Return a file's content as it was made."""
        return self._data[self.folder / name]

    def put_back(self) -> None:
        """Remove what was added, and write again what was changed."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_symlink() or path.is_file():
                if path not in self._data:
                    path.unlink()
            elif not any(kept.is_relative_to(path) for kept in self._data):
                path.rmdir()
        for path, data in self._data.items():
            if not path.exists() or self._stamp(path) != self._stamps[path]:
                path.write_bytes(data)
                self._stamps[path] = self._stamp(path)

    @staticmethod
    def _stamp(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_mtime_ns, status.st_size
