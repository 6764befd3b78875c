"""What an operator does: its family, whether it computes MACs, what it does to storages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from alexnet_cli.report import Family
from alexnet_cli.tape import Nature
from alexnet_cli.torch_insides import has_kernel, has_tag, schema_of
from alexnet_cli.tracing.formulas import Macs, formula_for
from alexnet_cli.tracing.recording.tensors import tensors_among

OPS_BY_FAMILY: dict[Family, str] = {
    "attention": """_scaled_dot_product_efficient_attention _scaled_dot_product_flash_attention
        _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_cudnn_attention
        _scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math_for_mps
        _flash_attention_forward _efficient_attention_forward _native_multi_head_attention
        _transformer_encoder_layer_fwd""",
    "recurrent": """_cudnn_rnn miopen_rnn mkldnn_rnn_layer _thnn_fused_lstm_cell _thnn_fused_gru_cell quantized_lstm
        quantized_gru quantized::quantized_lstm_cell_dynamic quantized::quantized_gru_cell_dynamic
        quantized::quantized_rnn_relu_cell_dynamic quantized::quantized_rnn_tanh_cell_dynamic""",
    "conv": """convolution _convolution cudnn_convolution convolution_overrideable _slow_conv2d_forward
        mkldnn_convolution miopen_convolution quantized::conv1d quantized::conv1d_relu quantized::conv2d
        quantized::conv2d_relu quantized::conv3d quantized::conv3d_relu quantized::conv1d_dynamic
        quantized::conv2d_dynamic quantized::conv3d_dynamic""",
    "linear": """mm addmm bmm baddbmm mv addmv dot vdot addr addbmm linear _int_mm _scaled_mm _grouped_mm
        _scaled_grouped_mm _addmm_activation _trilinear quantized::linear quantized::linear_relu
        quantized::linear_dynamic quantized::linear_relu_dynamic quantized::linear_dynamic_fp16
        quantized::linear_relu_dynamic_fp16""",
    "norm": """native_layer_norm native_batch_norm native_group_norm _native_batch_norm_legit cudnn_batch_norm
        miopen_batch_norm _native_batch_norm_legit_functional _native_batch_norm_legit_no_training
        _batch_norm_with_update _batch_norm_no_update _fused_rms_norm rsqrt linalg_vector_norm
        _weight_norm_interface""",
    "pool": """max_pool2d_with_indices max_pool3d_with_indices avg_pool2d avg_pool3d _adaptive_avg_pool2d
        _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d
        max_unpool2d max_unpool3d""",
    "embedding": "embedding _embedding_bag _embedding_bag_forward_only",
    "softmax": "_softmax _log_softmax _safe_softmax logsumexp",
    "dropout": "native_dropout bernoulli _fused_dropout",
    "activation": """relu gelu elu silu mish celu sigmoid tanh leaky_relu hardswish hardsigmoid hardtanh softplus
        log_sigmoid_forward glu _prelu_kernel rrelu_with_noise threshold softshrink hardshrink clamp clamp_min""",
    "reshape": """_unsafe_view _reshape_alias clone copy _to_copy cat stack repeat flip roll rot90 constant_pad_nd
        reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
        pixel_shuffle pixel_unshuffle channel_shuffle im2col col2im unsafe_split unsafe_split_with_sizes
        block_diag _chunk_cat""",
}
"""Operators by what they do; a row with several kinds of work gets the first family that applies."""

_FREE = """
    adaptive_avg_pool1d affine_grid_generator all amax amin aminmax any arange argmax argmin as_strided_scatter
    binary_cross_entropy binary_cross_entropy_with_logits bincount bucketize cauchy complex copysign count_nonzero
    cummax cummin cumprod cumsum diag_embed diagonal_scatter dist empty empty_like empty_permuted empty_strided
    exponential eye fill full full_like gather geometric grid_sampler_2d grid_sampler_3d hann_window heaviside
    histc huber_loss index index_add index_copy index_fill index_put index_reduce index_select isin kthvalue lift
    lift_fresh linspace log_normal logcumsumexp logspace masked_fill masked_scatter masked_select max mean median
    min mode mse_loss multi_margin_loss multilabel_margin_loss_forward multinomial nanmedian nansum new_empty
    new_empty_strided new_full new_ones new_zeros nll_loss2d_forward nll_loss_forward nonzero nonzero_static norm
    normal ones ones_like poisson polar prod rand rand_like randint randint_like randn randn_like randperm renorm
    repeat_interleave resize resize_ resize_as scalar_tensor scatter scatter_add scatter_reduce searchsorted
    segment_reduce select_scatter set slice_scatter smooth_l1_loss soft_margin_loss sort std std_mean sum t
    take topk trace transpose tril tril_indices triu triu_indices uniform unique_consecutive unique_dim unsqueeze
    upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d
    upsample_nearest3d upsample_trilinear3d var var_mean zero zeros zeros_like is_same_size is_pinned equal item
    _local_scalar_dense _assert_async _assert_scalar _assert_tensor_metadata _pack_padded_sequence _pad_packed_sequence
    _unique _unique2 _unsafe_index _unsafe_index_put _unsafe_masked_index _upsample_bicubic2d_aa
    _upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
    _standard_gamma _masked_scale _pin_memory _to_dense _conj _conj_physical sym_size sym_stride sym_numel
    sym_storage_offset split_with_sizes frac square embedding_dense _embedding_bag_dense nll_loss nll_loss2d
    multilabel_margin_loss value_selecting_reduction unfold select slice diagonal threshold max_pool2d max_pool3d
    _thnn_fused_lstm_cell _thnn_fused_gru_cell lerp log_sigmoid batch_norm _embedding_bag_per_sample_weights
    _segment_reduce _upsample_lanczos2d_aa floor_divide _is_all_true _is_any_true
    torchvision::nms torchvision::roi_pool torchvision::ps_roi_pool
    quantize_per_tensor quantize_per_tensor_dynamic quantize_per_channel dequantize quantized::add quantized::add_relu
    quantized::mul quantized::cat quantized::embedding_byte quantized::embedding_bag_byte_rowwise_offsets
"""
_COUNTED_FAMILIES: tuple[Family, ...] = ("attention", "recurrent", "conv", "linear")
_FAMILY_OF = {op: family for family, ops in OPS_BY_FAMILY.items() for op in ops.split()}
_FREE_OPS = frozenset(_FREE.split()) | {op for op, family in _FAMILY_OF.items() if family not in _COUNTED_FAMILIES}
_LISTS_OF_TENSORS = frozenset({"List[Tensor]", "List[Optional[Tensor]]"})
_PACKED = "torch.classes."
_TENSORS = frozenset({"Tensor", "Optional[Tensor]"})
_NO_TENSORS = frozenset({"int", "float", "bool", "number", "str", "complex", "Device", "Generator"})
_PLAIN = (Tensor, nn.Parameter)
_COMMUNICATES = ("c10d::", "_c10d_functional::", "_dtensor::", "fsdp::")
"""Namespaces of operators that move data among ranks, or to and from what is moved."""
_ALIASING_WITHOUT_SAYING_SO = frozenset({"_unsafe_view", "_reshape_alias", "lift_fresh"})
_VIEWS_WITHOUT_SAYING_SO = frozenset({"_unsafe_view", "unsafe_split", "unsafe_split_with_sizes"})


@dataclass(frozen=True, slots=True, eq=False)  # one per overload: comparing all fields would be slow
class Operator:
    """What the recorder needs to know about an operator overload.

    `macs` computes the multiply-accumulates from its arguments and result; where that gives none, `uncounted` tells
    whether there is work that goes uncounted. `view`: its results share an argument's storage; `fresh`: they are new
    storages. `mutates`: it writes to an argument. `composite`: it only calls other operators. `arguments` are the names
    of its arguments in order, `written` those it writes to; `lists`: one is a list of tensors; `packs`: one holds
    packed weights; `tensors` are the places of those that are tensors, None if there may be others. `nature` goes to
    the tape, where operators that change a view in place (`squeeze_`) or hide in their schema that they are views
    (`_unsafe_view`) count as views too.
    """

    name: str
    family: Family
    macs: Macs | None
    uncounted: bool
    view: bool
    fresh: bool
    mutates: bool
    composite: bool
    arguments: tuple[str, ...]
    written: frozenset[str]
    lists: bool
    nature: Nature
    packs: bool = False
    tensors: tuple[int, ...] | None = None

    def read_in(self, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
        """Return the tensors among a call's arguments, in order."""
        if kwargs or self.tensors is None:
            return tensors_among((*args, *kwargs.values()))
        given = [each for place in self.tensors if place < len(args) and (each := args[place]) is not None]
        found = [each for each in given if type(each) in _PLAIN]
        return found if len(found) == len(given) else tensors_among(given)

    def written_in(self, args: Any, kwargs: dict[str, Any]) -> list[Any]:
        """Return the tensors among a call's arguments that it writes to."""
        named = {**dict(zip(self.arguments, args, strict=False)), **kwargs}
        given = [named[name] for name in self.written if name in named]
        return [item for each in given for item in (each if isinstance(each, (list, tuple)) else (each,))]


@cache
def operator(overload: Any) -> Operator:
    """Classify an operator overload such as `aten.addmm.default`."""
    schema = schema_of(overload)
    packet = overload.overloadpacket
    name = schema.name.removeprefix("aten::")
    base = _base(name)
    aliases = any(result.alias_info is not None for result in schema.returns)
    view = aliases and not schema.is_mutable
    macs = formula_for(packet)
    return Operator(
        name=name,
        family="reshape" if view else _FAMILY_OF.get(base, "other"),
        macs=macs,
        uncounted=not (view or _is_free(base, overload)),
        view=view,
        fresh=not aliases and base not in _ALIASING_WITHOUT_SAYING_SO,
        mutates=schema.is_mutable,
        composite=_is_composite(overload),
        arguments=tuple(argument.name for argument in schema.arguments),
        written=frozenset(
            argument.name for argument in schema.arguments if argument.alias_info and argument.alias_info.is_write
        ),
        lists=any(str(argument.type) in _LISTS_OF_TENSORS for argument in schema.arguments),
        nature=_nature(name, overload, view=view),
        packs=any(_PACKED in str(argument.type) for argument in schema.arguments),
        tensors=_places_of_tensors([str(argument.type) for argument in schema.arguments]),
    )


def _places_of_tensors(types: Sequence[str]) -> tuple[int, ...] | None:
    """Return which arguments are tensors, by the types in a schema; None where one may hold others."""
    places = [place for place, each in enumerate(types) if each in _TENSORS]
    others = [
        each.removeprefix("Optional[").removeprefix("List[").rstrip("]") for each in types if each not in _TENSORS
    ]
    return tuple(places) if types and _NO_TENSORS.issuperset(others) else None


def higher_order(func: Any) -> Operator:
    """Describe an operator that takes functions and does not tell which operators it calls: its work is unknown."""
    nothing = frozenset[str]()
    return Operator(func.name(), "other", None, True, False, True, False, False, (), nothing, True, "compute")  # noqa: FBT003


def row_family(ops: Iterable[Operator], known: Iterable[Family] = ()) -> Family:
    """Return a row's family: the first in `OPS_BY_FAMILY` that one of its operators belongs to, or that is `known`."""
    families = {op.family for op in ops}.union(known)
    for family in OPS_BY_FAMILY:
        if family in families and (family != "reshape" or families == {"reshape"}):
            return family
    return "other"


def _base(name: str) -> str:
    """Return the plain variant of an operator: `add` for `add_` and `_foreach_add_`."""
    return name.removeprefix("_foreach_").rstrip("_") if name.endswith("_") else name.removeprefix("_foreach_")


def _nature(name: str, overload: Any, *, view: bool) -> Nature:
    """Read torch's tags; an overload without the tag is pointwise if a sibling with the same arguments has it.

    In-place variants and some overloads (`masked_fill.Tensor`) lack the tag of their functional sibling.
    """
    if view or name in _VIEWS_WITHOUT_SAYING_SO or has_tag(overload, "inplace_view"):
        return "view"
    arguments = [argument.name for argument in schema_of(overload).arguments]
    for other in _overloads(overload, name.removesuffix("_")):
        if has_tag(other, "pointwise") and [each.name for each in schema_of(other).arguments] == arguments:
            return "pointwise"
    return "compute"


def _overloads(overload: Any, functional: str) -> Iterator[Any]:
    """Yield an overload, then all those of its functional variant."""
    yield overload
    packet = getattr(torch.ops.aten, functional, None)
    yield from () if packet is None else (getattr(packet, name) for name in packet.overloads())


def _is_free(base: str, overload: Any) -> bool:
    """Tell whether an operator counts as doing no multiply-accumulates; its backward then does none either."""
    if base.startswith(_COMMUNICATES):
        return True
    forward = base.partition("_backward")[0]
    pointwise = any(has_tag(other, "pointwise") for other in _overloads(overload, base))
    return forward in _FREE_OPS or has_tag(overload, "inplace_view") or pointwise


def _is_composite(overload: Any) -> bool:
    if overload.name().startswith("prim::"):
        return False  # unknown to the dispatcher
    return has_kernel(overload, "CompositeImplicitAutograd") and not has_kernel(overload, "CPU")  # as `silu_backward`
