"""The shape rules of backward against the CPU, as those of the forward are in test_meta_rules.py."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_meta_rules import BACKWARD, DTYPES, SIZES, same, tensor

from alexnet_cli.tracing.meta.rules import RULES

aten = torch.ops.aten
MASKS = list(itertools.product([True, False], repeat=3))
SHAPES = st.lists(SIZES, min_size=1, max_size=4)
POINTWISE = ["sigmoid_backward", "tanh_backward", "silu_backward", "gelu_backward"]


@given(SHAPES, DTYPES, st.sampled_from(POINTWISE))
def test_pointwise(shape, dtype, name):
    assert same(getattr(aten, name).default, tensor(shape, dtype), tensor(shape, dtype))


@given(SHAPES, DTYPES)
def test_relu(shape, dtype):
    assert same(aten.threshold_backward.default, tensor(shape, dtype), tensor(shape, dtype), 0)


@pytest.mark.parametrize("name", ["_softmax_backward_data", "_log_softmax_backward_data"])
@given(shape=SHAPES, expanded=st.booleans())
def test_softmax(name, shape, expanded):
    gradient = tensor(()).expand(shape) if expanded else tensor(shape)
    assert same(getattr(aten, name).default, gradient, tensor(shape), -1, torch.float32)


@given(st.integers(1, 3), SIZES, st.integers(2, 9), st.integers(2, 9))
def test_pooling(batch, channels, height, width):
    images = tensor((batch, channels, height, width))
    pooled, places = aten.max_pool2d_with_indices(images, [2, 2])
    options = ([2, 2], [2, 2], [0, 0], [1, 1], False)
    assert same(aten.max_pool2d_with_indices_backward.default, pooled, images, *options, places)
    assert same(aten.avg_pool2d_backward.default, pooled, images, [2, 2], [], [0, 0], False, True, None)
    adapted = tensor((batch, channels, 1, 1))
    assert same(aten._adaptive_avg_pool2d_backward.default, adapted, images)


@pytest.mark.parametrize("wanted", MASKS)
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(groups, wanted):
    images, weight = tensor((2, 4, 9, 8)), tensor((6, 4 // groups, 3, 2))
    rest = ([2, 1], [1, 0], [1, 1], False, [0, 0], groups)
    gradient = aten.convolution(images, weight, None, *rest)
    bias_alone = wanted[2] and not wanted[1]  # then some kernels give the weight's gradient all the same
    answered = same(aten.convolution_backward.default, gradient, images, weight, [6], *rest, wanted)
    assert answered != bias_alone


@pytest.mark.parametrize("wanted", MASKS)
def test_batch_norm(wanted):
    images, weight = tensor((3, 5, 4, 4)), tensor((5,))
    given = (images, images, weight, weight, weight, weight, weight, True, 1e-5, wanted)
    assert same(aten.native_batch_norm_backward.default, *given)


@pytest.mark.parametrize("wanted", MASKS)
def test_layer_norm(wanted):
    rows, weight = tensor((3, 7, 5)), tensor((5,))
    given = (rows, rows, [5], tensor((3, 7, 1)), tensor((3, 7, 1)), weight, weight, wanted)
    assert same(aten.native_layer_norm_backward.default, *given)
    assert same(aten.native_layer_norm_backward.default, tensor(()).expand(3, 7, 5), *given[1:])


@given(st.lists(SIZES, max_size=3), st.integers(1, 9), SIZES)
def test_embedding(shape, count, width):
    indices = torch.zeros(shape, dtype=torch.int64)
    assert same(aten.embedding_dense_backward.default, tensor((*shape, width)), indices, count, -1, False)


@given(st.lists(SIZES, max_size=4), DTYPES, st.sampled_from([aten.ones_like.default, aten.zeros_like.default]))
def test_where_backward_begins(shape, dtype, op):
    assert same(op, tensor(shape, dtype), memory_format=torch.preserve_format)


@pytest.mark.parametrize("op", [aten.sum.dim_IntList, aten.mean.dim])
@given(shape=st.lists(SIZES, max_size=4), dtype=DTYPES, dims=st.lists(st.integers(-5, 4), max_size=3), keepdim=...)
def test_reductions(op, shape, dtype, dims, keepdim: bool):
    same(op, tensor(shape, dtype), dims, keepdim)


@given(SHAPES, SHAPES, DTYPES, st.sampled_from([aten.add_.Tensor, aten.mul_.Tensor]))
def test_updates(shape, other, dtype, op):
    assert same(op, tensor(shape, dtype), tensor(shape, dtype))
    same(op, tensor(shape, dtype), tensor(other, dtype))
    assert same(op, tensor(shape, dtype), tensor(()))


def test_a_bias_gradient_is_answered():
    assert same(aten.sum.dim_IntList, tensor((4, 3)), [0], True)


def test_other_layouts_are_left_to_torch_or_right():
    images = tensor((2, 4, 6, 6)).to(memory_format=torch.channels_last)
    same(aten.threshold_backward.default, images, images, 0)
    same(aten.ones_like.default, images)
    weight = tensor((6, 4, 3, 3))
    rest = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    gradient = aten.convolution(images, weight, None, *rest)
    same(aten.convolution_backward.default, gradient, images, weight, [6], *rest, [True] * 3)


def test_every_rule_is_there():
    assert set(RULES) >= BACKWARD


@given(SIZES, SIZES, DTYPES, st.integers(0, 2), st.booleans())
def test_losses(rows, classes, dtype, reduction, weighted):
    scores, labels = tensor((rows, classes), dtype), torch.zeros(rows, dtype=torch.int64)
    weight = tensor((classes,), dtype) if weighted else None
    if not same(aten.nll_loss_forward.default, scores, labels, weight, reduction, -100):
        return  # the CPU lacks that dtype
    loss, total = aten.nll_loss_forward(scores, labels, weight, reduction, -100)
    assert same(aten.nll_loss_backward.default, loss, scores, labels, weight, reduction, -100, total)
    same(aten.nll_loss_forward.default, scores, labels[:-1], weight, reduction, -100)
    same(aten.nll_loss_backward.default, loss, scores, labels[:-1], weight, reduction, -100, total)
    assert same(aten.ne.Scalar, labels, -100)
    same(aten.ne.Scalar, scores, -100)


@given(SIZES, SIZES, SIZES, DTYPES)
def test_a_gradient_that_is_added_to_others(rows, inner, columns, dtype):
    whole, left, right = (
        tensor((rows, columns), dtype),
        tensor((inner, rows), dtype).t(),
        tensor((inner, columns), dtype),
    )
    assert same(aten.addmm.out, whole, left, right, out=whole)
    same(aten.addmm.out, whole, left, right[1:], out=whole)
    same(aten.addmm.out, tensor((columns,), dtype), left, right, out=whole)
