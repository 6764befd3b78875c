"""From the tensors of a checkpoint to the rows of a report.

The modules are the dotted prefixes of the keys. Their types are inferred from the names and shapes of their tensors,
which are those of torch's own layers. Where shapes cannot tell two layers apart, the more common one is named: a group
norm looks like a layer norm, an instance norm with running statistics like a batch norm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any, NamedTuple

from alexnet_cli.report import Family, Layer
from alexnet_cli.tape import Shape
from alexnet_cli.targets.checkpoint.contents import Stored

DEEPEST = 64
_NUMBER = re.compile(r"[0-9]{1,9}")


class Inferred(NamedTuple):
    """A layer's type, its family, and the settings that its shapes reveal."""

    type: str
    family: Family
    settings: dict[str, Any]


UNKNOWN = Inferred("Parameters", "other", {})

_KNOWN_BUFFERS = """
    running_mean running_var num_batches_tracked inv_freq original_inv_freq position_ids token_type_ids masked_bias
    attn_mask causal_mask relative_position_index cos_cached sin_cached
"""
_BUFFERS = frozenset(_KNOWN_BUFFERS.split())
_INDEX_DTYPES = frozenset({"bool", "int64"})  # of masks, counters and indices; quantised weights have smaller ones
_EMBEDDING = re.compile(r"emb|wte|wpe|relative_attention_bias|^shared$")
_GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}
_MATRIX, _MASK_DIMENSIONS = 2, 4
_CONVOLUTIONS = {3: "1d", 4: "2d", 5: "3d"}


def is_buffer(name: str, tensor: Stored) -> bool:
    """Recognise a buffer by its name, its dtype, or being a causal mask as in GPT-2's `attn.bias`."""
    mask = name == "bias" and len(tensor.shape) == _MASK_DIMENSIONS and tensor.shape[:2] == (1, 1)
    known = tensor.buffer or name in _BUFFERS or tensor.dtype in _INDEX_DTYPES
    return known or (mask and tensor.shape[2] == tensor.shape[3] > 1)


def infer(module: str, tensors: Mapping[str, Stored]) -> Inferred:
    """Infer the layer from the tensors directly in it; `module` is its own name, without its parents'."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if "weight_hh_l0" in shapes or "weight_hh" in shapes:
        return _recurrent(shapes)
    if "in_proj_weight" in shapes or "in_proj_bias" in shapes:
        return _attention(shapes)
    if "running_mean" in shapes:
        features = {"num_features": next(iter(shapes["running_mean"]), None), "affine": "weight" in shapes}
        return Inferred("BatchNorm", "norm", features)
    if "weight" in tensors and tensors["weight"].packed and len(shapes["weight"]) == 1:
        return Inferred("Linear", "linear", {"bias": "bias" in shapes})  # it is packed without its shape
    weight = shapes.get("weight", shapes.get("weight_v", shapes.get("gamma")))
    bias = shapes.get("bias", shapes.get("beta"))
    if weight is None:
        kept = all(is_buffer(name, tensor) for name, tensor in tensors.items())
        return UNKNOWN._replace(type="Buffers") if kept else UNKNOWN
    return _weighted(module, weight, bias)


def _weighted(module: str, weight: Shape, bias: Shape | None) -> Inferred:
    if weight == bias or len(weight) == 1:
        return _norm(weight, bias)
    if len(weight) == _MATRIX and bias is None and _EMBEDDING.search(module.lower()):
        return Inferred("Embedding", "embedding", {"num_embeddings": weight[0], "embedding_dim": weight[1]})
    if len(weight) not in {_MATRIX, *_CONVOLUTIONS} or (bias is not None and len(bias) != 1):
        return UNKNOWN
    turned = bias is not None and bias[0] == weight[1] != weight[0]
    if bias is not None and not turned and bias[0] != weight[0]:
        return UNKNOWN
    if len(weight) == _MATRIX:
        features = {"in_features": weight[0 if turned else 1], "out_features": weight[1 if turned else 0]}
        return Inferred("Linear", "linear", features | {"bias": bias is not None})
    name = f"Conv{'Transpose' if turned else ''}{_CONVOLUTIONS[len(weight)]}"
    channels = {"in_channels_per_group": weight[1], "out_channels": weight[0]}
    if turned:
        channels = {"in_channels": weight[0], "out_channels_per_group": weight[1]}
    return Inferred(name, "conv", {**channels, "kernel_size": list(weight[2:]), "bias": bias is not None})


def _norm(weight: Shape, bias: Shape | None) -> Inferred:
    if weight == (1,) and bias is None:
        return Inferred("PReLU", "activation", {"num_parameters": 1})
    if bias not in {None, weight}:
        return UNKNOWN
    return Inferred("RMSNorm" if bias is None else "LayerNorm", "norm", {"normalized_shape": list(weight)})


def _recurrent(shapes: Mapping[str, Shape]) -> Inferred:
    cell = "weight_hh" in shapes
    inputs = shapes.get("weight_ih" if cell else "weight_ih_l0", ())
    hidden = shapes["weight_hh" if cell else "weight_hh_l0"]
    if not len(inputs) == len(hidden) == _MATRIX or not hidden[1]:
        return UNKNOWN
    projected = "weight_hr_l0" in shapes  # only an LSTM has projections
    gates = _GATES.get(hidden[0] // hidden[1]) if hidden[0] % hidden[1] == 0 else None
    kind = "LSTM" if projected else gates
    if kind is None:
        return UNKNOWN
    size = hidden[0] // 4 if projected else hidden[1]
    settings: dict[str, Any] = {"input_size": inputs[1], "hidden_size": size}
    if cell:
        return Inferred(f"{kind}Cell", "recurrent", {**settings, "bias": "bias_hh" in shapes})
    settings["num_layers"] = sum(re.fullmatch(r"weight_hh_l\d+", name) is not None for name in shapes)
    settings["bias"] = "bias_hh_l0" in shapes
    settings["bidirectional"] = "weight_hh_l0_reverse" in shapes
    return Inferred(kind, "recurrent", settings)


def _attention(shapes: Mapping[str, Shape]) -> Inferred:
    weight = shapes.get("in_proj_weight", shapes.get("q_proj_weight", ()))
    settings = {"embed_dim": weight[1]} if len(weight) == _MATRIX else {}
    return Inferred("MultiheadAttention", "attention", {**settings, "bias": "in_proj_bias" in shapes})


@dataclass
class Module:
    """A prefix of keys: the tensors directly in it by their own names, and the modules below it."""

    path: str = ""
    name: str = ""
    tensors: dict[str, Stored] = field(default_factory=dict)
    children: dict[str, Module] = field(default_factory=dict)

    def child(self, name: str) -> Module:
        """Return the module of that name below this one; create it if needed."""
        if name not in self.children:
            self.children[name] = Module(f"{self.path}.{name}" if self.path else name, name)
        return self.children[name]


def module_tree(tensors: Mapping[str, Stored]) -> Module:
    """Sort the tensors into modules, in the order of their keys.

    Raises:
        ValueError: a key is nested more deeply than any model.
    """
    root = Module()
    for key, tensor in tensors.items():
        if key.count(".") > DEEPEST:
            raise ValueError(f"the key {key[:60]!r}… is nested more than {DEEPEST} levels deep")
        *parents, name = key.split(".")
        module = root
        for parent in parents:
            module = module.child(parent)
        module.tensors[name] = tensor
    return root


def rows(root: Module) -> tuple[Layer, ...]:
    """Return a row for each module, containers before their children; leaves are numbered."""
    indices = count(1)

    def rows_of(module: Module, depth: int) -> list[Layer]:
        index = None if module.children else next(indices)
        below = [rows_of(child, depth + 1) for child in _in_order(module)]
        row = _row(module, depth, index, sum(rows[0].params_total for rows in below))
        return [row, *chain.from_iterable(below)]

    return tuple(rows_of(root, 0))


def _in_order(module: Module) -> list[Module]:
    """Return the modules below, those of a sequence by number: safetensors sorts 10 before 2."""
    below = list(module.children.values())
    numbered = all(_NUMBER.fullmatch(child.name) for child in below)
    return sorted(below, key=lambda child: int(child.name)) if numbered else below


def _row(module: Module, depth: int, index: int | None, below: int) -> Layer:
    """Return the row of a module with `below` parameters in those below it."""
    size = size_bytes = buffers = 0
    for name, tensor in module.tensors.items():
        if tensor.same_as is not None:
            continue
        if is_buffer(name, tensor):
            buffers += tensor.elements
        else:
            size += tensor.elements
            size_bytes += tensor.size_bytes
    kind = _kind(module)
    return Layer(
        index=index,
        path=module.path,
        type=kind.type,
        kind="module",
        family=kind.family,
        depth=depth,
        leaf=index is not None,
        call=1,
        input_shapes=(),
        output_shapes=(),
        settings=_settings(module, kind),
        params=size,
        trainable_params=size,
        param_bytes=size_bytes,
        buffers=buffers,
        params_total=size + below,
        macs=None,
        flops=None,
        macs_total=None,
        output_bytes=0,
        in_place=False,
        reuses=_reuses(module),
    )


def _kind(module: Module) -> Inferred:
    """Infer the type of a leaf, and of a module that has both tensors and modules if it is a known layer."""
    container = Inferred("Module", "container", {})
    if not module.tensors:
        return container
    kind = infer(module.name, module.tensors)
    return container if module.children and kind.family == UNKNOWN.family else kind


def _settings(module: Module, kind: Inferred) -> dict[str, object]:
    """Return the settings that the shapes reveal, marked as inferred, or else the shapes themselves."""
    if not module.tensors:
        return {}
    told = {"inferred": True, **kind.settings}
    shapes = {} if kind.settings else {"tensors": {name: list(held.shape) for name, held in module.tensors.items()}}
    dtypes = list(dict.fromkeys(held.dtype for name, held in module.tensors.items() if not is_buffer(name, held)))
    dtypes = dtypes or list(dict.fromkeys(held.dtype for held in module.tensors.values()))
    packed = dict.fromkeys(held.packed for held in module.tensors.values() if held.packed)
    format_ = {"packed": " and ".join(packed)} if packed else {}
    return {**told, **shapes, "dtype": dtypes[0] if len(dtypes) == 1 else dtypes, **format_}


def _reuses(module: Module) -> str | None:
    """Return the module that a tensor is shared with; sharing within a module is not reported."""
    owners = (tensor.same_as.rpartition(".")[0] for tensor in module.tensors.values() if tensor.same_as is not None)
    return next((owner for owner in owners if owner != module.path), None)
