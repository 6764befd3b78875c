"""A checkpoint as a report of its parameters: nothing is run, so nothing is said about MACs."""

from __future__ import annotations

from pathlib import Path

from alexnet_cli.report import Model, Report, Totals
from alexnet_cli.report_json import generator
from alexnet_cli.tape import Shape
from alexnet_cli.targets.checkpoint.files import damaged
from alexnet_cli.targets.checkpoint.safetensors import read_safetensors
from alexnet_cli.targets.checkpoint.sharded import read_sharded
from alexnet_cli.targets.checkpoint.stored import LARGEST, Contents
from alexnet_cli.targets.checkpoint.tree import module_tree, rows

SAFETENSORS = (".safetensors",)
TORCH = (".pt", ".pth", ".bin")
_INDEX = ".index.json"
_SAFETENSORS_INDEX = tuple(suffix + _INDEX for suffix in SAFETENSORS)
_TORCH_INDEX = tuple(suffix + _INDEX for suffix in TORCH)
SUFFIXES = (*SAFETENSORS, *TORCH, *_SAFETENSORS_INDEX, *_TORCH_INDEX)


def is_checkpoint(target: str) -> bool:
    """Tell by its suffix whether a target is a checkpoint."""
    return target.endswith(SUFFIXES)


def checkpoint_report(target: str) -> Report:
    """Return the report of a checkpoint: a row for each module that its keys name, with inferred layer types.

    Raises:
        TargetError: the file cannot be read, is damaged, or holds more than tensors.
    """
    path = Path(target)
    contents = read_contents(path)
    if sum(max(tensor.size_bytes, tensor.elements) for tensor in contents.tensors.values()) > LARGEST:
        raise damaged(path, "its tensors are larger than any file")
    try:
        layers = rows(module_tree(contents.tensors))
    except ValueError as error:
        raise damaged(path, str(error)) from error
    params = sum(layer.params for layer in layers)
    totals = Totals(
        params=params,
        trainable_params=params,
        frozen_params=0,
        buffers=sum(layer.buffers for layer in layers),
        param_bytes=sum(layer.param_bytes for layer in layers),
        macs=None,
        flops=None,
        layers=sum(layer.leaf for layer in layers),
    )
    about = (
        f"{contents.description}; layer types are inferred from names and shapes, "
        "and which parameters are trainable is not known"
    )
    return Report(generator(), Model(target, "Checkpoint", about), None, None, layers, totals)


def checkpoint_shapes(path: Path) -> dict[str, Shape]:
    """Return the shapes of the tensors in a checkpoint by their keys.

    Raises:
        TargetError: as for `checkpoint_report`.
    """
    return {key: tensor.shape for key, tensor in read_contents(path).tensors.items()}


def read_contents(path: Path) -> Contents:
    """Read which tensors a checkpoint of any kind holds.

    Raises:
        TargetError: as for `checkpoint_report`, or the suffix is none of a checkpoint.
    """
    name = path.name
    if name.endswith(SAFETENSORS):
        return read_safetensors(path)
    if name.endswith(_SAFETENSORS_INDEX):
        return read_sharded(path, SAFETENSORS, read_safetensors)
    from alexnet_cli.targets.checkpoint.torch_file import read_torch_file

    if name.endswith(TORCH):
        return read_torch_file(path)
    if name.endswith(_TORCH_INDEX):
        return read_sharded(path, TORCH, read_torch_file)
    raise damaged(path, f"its name ends in none of {', '.join(SUFFIXES)}")
