"""Every shape rule against the CPU: the same shapes, dtypes and strides, and no answer where the CPU raises."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_cli.tracing.meta import backward_rules, elementwise_rules  # noqa: F401 - registers them
from alexnet_cli.tracing.meta.rules import RULES

aten = torch.ops.aten
BACKWARD = {
    getattr(aten, name).default
    for name in [
        "threshold_backward",
        "sigmoid_backward",
        "tanh_backward",
        "silu_backward",
        "gelu_backward",
        "_softmax_backward_data",
        "_log_softmax_backward_data",
        "max_pool2d_with_indices_backward",
        "avg_pool2d_backward",
        "_adaptive_avg_pool2d_backward",
        "convolution_backward",
        "native_batch_norm_backward",
        "native_layer_norm_backward",
        "embedding_dense_backward",
        "nll_loss_forward",
        "nll_loss_backward",
        "ones_like",
        "zeros_like",
    ]
} | {aten.ne.Scalar, aten.addmm.out, aten.sum.dim_IntList, aten.mean.dim, aten.add_.Tensor, aten.mul_.Tensor}
"""Tested in test_backward_rules.py."""

GROUPED = [aten._grouped_mm] if hasattr(aten, "_grouped_mm") else []
"""Products of a mixture of experts; torch has them since 2.8, on the CPU since 2.9."""

SIZES = st.integers(1, 7)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16])
UNARY = [aten.relu, aten.sigmoid, aten.tanh, aten.silu, aten.gelu, aten.rsqrt, aten.exp, aten.sqrt, aten.neg]
UNARY += [aten.sin, aten.cos]
IN_PLACE = [aten.sigmoid_, aten.tanh_, aten.relu_]
BINARY = [aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor]


def same(op, *args, **kwargs) -> bool:
    """Hold the rule's answer against the operator's own on the CPU; tell whether the rule answered."""
    on_meta = torch.utils._pytree.tree_map_only(torch.Tensor, _on_meta, (args, kwargs))
    ours = RULES[op](*on_meta[0], **on_meta[1])
    try:
        theirs = op(*args, **kwargs)
    except (RuntimeError, IndexError, ValueError):
        assert ours is NotImplemented
        return False
    if ours is NotImplemented:
        return False
    pairs = zip(*(x if isinstance(x, tuple) else (x,) for x in (ours, theirs)), strict=True)
    for mine, real in pairs:
        if real is None:
            assert mine is None
            continue
        assert (mine.shape, mine.dtype, mine.stride()) == (real.shape, real.dtype, real.stride())
        assert mine.is_meta
    return True


def _on_meta(given):
    """Return a tensor laid out alike; `to` would close the gaps in what is only a part."""
    return torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device="meta")


def tensor(shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype)


@given(st.lists(SIZES, max_size=4), DTYPES, st.sampled_from(UNARY))
def test_one_operand(shape, dtype, op):
    assert same(op.default, tensor(shape, dtype)) == bool(shape)


@given(st.lists(SIZES, min_size=1, max_size=4), DTYPES, st.integers(-4, 3))
def test_softmax_and_powers(shape, dtype, dim):
    same(aten.pow.Tensor_Scalar, tensor(shape, dtype), 2)
    if -len(shape) <= dim < len(shape):
        assert same(aten._softmax.default, tensor(shape, dtype), dim, False)
        assert same(aten._log_softmax.default, tensor(shape, dtype), dim, False)


@given(
    st.lists(SIZES, max_size=3),
    st.lists(SIZES, max_size=3),
    DTYPES,
    DTYPES,
    st.sampled_from(BINARY),
)
def test_two_operands(left, right, one, other, op):
    sizes = zip(reversed(left), reversed(right), strict=False)
    fits = all(size == other_size or 1 in (size, other_size) for size, other_size in sizes)
    answered = same(op, tensor(left, one), tensor(right, other))
    assert answered == (fits and one == other)
    same(op, tensor(left, one), 2.5)
    same(op, tensor(left, one), 3)


@given(st.lists(SIZES, max_size=4), DTYPES, st.sampled_from([aten.mul.Scalar, aten.div.Scalar]))
def test_an_operand_and_a_number(shape, dtype, op):
    assert same(op, tensor(shape, dtype), 2.5)


@st.composite
def views(draw, *, like=None):
    """A part of a tensor with its dimensions in some order, some of them expanded; with the same shape as another."""
    shape = draw(st.lists(SIZES, min_size=1, max_size=4)) if like is None else list(like)
    order = draw(st.permutations(range(len(shape))))
    held = [shape[at] + draw(st.integers(0, 2)) for at in order]
    for place, at in enumerate(order):
        if draw(st.integers(0, 5)) == 0:
            held[place] = 1  # to be expanded
        elif shape[at] == 1 and draw(st.booleans()):
            held[place] = 1
    whole = torch.ones(held)
    parts = whole[tuple(slice(0, shape[at]) for at in order)]
    placed = parts.permute([order.index(at) for at in range(len(shape))])
    return placed.expand(shape)


@settings(max_examples=300)
@given(st.data())
def test_parts_of_tensors_in_any_order(data):
    left = data.draw(views())
    right = data.draw(views(like=left.shape))
    for op in BINARY:
        same(op, left, right)
        same(op, left, torch.ones(left.shape[-1:]))
        same(op, torch.ones(left.shape[-1:]), left)
    for op in (each.default for each in UNARY):
        same(op, left)
    same(aten.sigmoid_backward.default, left, right)
    same(aten.tanh_backward.default, left, right)
    same(aten.cat.default, [left, right], -1)


def test_heads_and_halves_are_answered():
    """What a transformer multiplies: heads before positions, rows of each in the other order, and halves of these."""
    heads, angles = torch.ones(2, 5, 3, 8).transpose(1, 2), torch.ones(5, 8)
    half, other = heads.chunk(2, -1)
    assert same(aten.mul.Tensor, heads, angles)
    assert same(aten.neg.default, other)
    assert same(aten.cat.default, [torch.neg(other), half], -1)
    assert same(aten.mul.Tensor, *torch.ones(4, 9, 6).chunk(2, -1))


@given(st.lists(SIZES, min_size=1, max_size=4), DTYPES, st.sampled_from(IN_PLACE))
def test_in_place(shape, dtype, op):
    assert same(op.default, tensor(shape, dtype))
    given_ = torch.ones([*shape[:-1], shape[-1] + 1], device="meta")[..., :-1]
    assert RULES[op.default](given_) is given_
    assert RULES[op.default](torch.ones(1, device="meta").expand(3)) is NotImplemented  # torch refuses it


@given(SIZES, SIZES, SIZES, SIZES, DTYPES, st.booleans())
def test_products(batch, rows, inner, columns, dtype, transposed):  # noqa: PLR0917 - as hypothesis gives them
    left = tensor((rows, inner), dtype)
    right = tensor((columns, inner), dtype).t() if transposed else tensor((inner, columns), dtype)
    assert same(aten.mm.default, left, right)
    assert same(aten.addmm.default, tensor((columns,), dtype), left, right)
    assert same(aten.bmm.default, tensor((batch, rows, inner), dtype), tensor((batch, inner, columns), dtype))
    same(aten.mm.default, left, tensor((inner + 1, columns), dtype))
    same(aten.addmm.default, tensor((columns + 1,), dtype), left, right)
    same(aten.bmm.default, tensor((batch, rows, inner), dtype), tensor((batch + 1, inner, columns), dtype))


EXPERTS, ROWS, INNER, COLUMNS = 3, 6, 8, 16
GROUPED_SHAPES = {
    "2d×2d": ((ROWS, INNER), (INNER, COLUMNS), [2, 5, INNER]),
    "2d×3d": ((ROWS, INNER), (EXPERTS, INNER, COLUMNS), [1, 4, ROWS]),
    "3d×2d": ((EXPERTS, ROWS, INNER), (INNER, COLUMNS), [3, 8, COLUMNS]),
    "3d×3d": ((EXPERTS, ROWS, INNER), (EXPERTS, INNER, COLUMNS), None),
}


@pytest.mark.skipif(not GROUPED, reason="torch has grouped products since 2.8")
@pytest.mark.parametrize("shapes", GROUPED_SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_grouped_products_have_the_cpus_shapes(shapes, dtype):
    left, right, ends = GROUPED_SHAPES[shapes]
    offs = None if ends is None else torch.tensor(ends, dtype=torch.int32)
    made = tensor(left, dtype), tensor(right, dtype)
    try:
        GROUPED[0](*made, offs)
    except (RuntimeError, NotImplementedError):
        pytest.skip("this torch has no kernel for it on the CPU")
    assert same(GROUPED[0].default, *made, offs)
    transposed = tensor((*right[:-2], right[-1], right[-2]), dtype).transpose(-2, -1)
    assert same(GROUPED[0].default, made[0], transposed, offs)


@pytest.mark.skipif(not GROUPED, reason="torch has grouped products since 2.8")
@pytest.mark.parametrize("shapes", GROUPED_SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_grouped_products_of_any_dtype_and_stride(shapes, dtype):
    """A row of 5 elements is no multiple of 16 bytes: a real device refuses it, and a smaller model is no other one."""
    left, right, ends = GROUPED_SHAPES[shapes]
    offs = None if ends is None else torch.empty(len(ends), dtype=torch.int32, device="meta")
    odd = {INNER: 5, COLUMNS: 7}
    left, right = ([odd.get(size, size) for size in shape] for shape in (left, right))
    result = RULES[GROUPED[0].default](*(tensor(shape, dtype).to("meta") for shape in (left, right)), offs)
    groups = () if len(left) != len(right) else (EXPERTS,)
    assert (result.shape, result.dtype) == ((*groups, left[-2], right[-1]), dtype)
    assert result.stride()[-2:] == (-(-7 // (16 // dtype.itemsize)) * (16 // dtype.itemsize), 1)


@pytest.mark.skipif(not GROUPED, reason="torch has grouped products since 2.8")
def test_a_grouped_product_that_does_not_fit_is_left_to_torch():
    rule, offs = RULES[GROUPED[0].default], torch.empty(EXPERTS, dtype=torch.int32, device="meta")
    rows, stack = tensor((ROWS, INNER)).to("meta"), tensor((EXPERTS, INNER, COLUMNS)).to("meta")
    assert rule(rows, stack) is NotImplemented  # no offsets
    assert rule(rows, stack[:2], offs) is NotImplemented  # two experts, three groups
    assert rule(rows[:, 1:], stack, offs) is NotImplemented  # the inner dimensions differ
    assert rule(rows.to(torch.bfloat16), stack, offs) is NotImplemented


@settings(max_examples=200)
@given(st.data())
def test_convolutions(data):
    rank = data.draw(st.integers(1, 3))
    groups = data.draw(st.integers(1, 3))
    into, out = groups * data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 3))
    each = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    kernel, stride, dilation = data.draw(each), data.draw(each), data.draw(each)
    padding = data.draw(st.lists(st.integers(0, 2), min_size=rank, max_size=rank))
    maps = data.draw(st.lists(SIZES, min_size=rank, max_size=rank))
    given_channels = into + data.draw(st.sampled_from([0, 0, 0, 1]))
    bias = tensor((out,)) if data.draw(st.booleans()) else None
    images, weight = tensor((2, given_channels, *maps)), tensor((out, into // groups, *kernel))
    same(aten.convolution.default, images, weight, bias, stride, padding, dilation, False, [0] * rank, groups)


@settings(max_examples=200)
@given(st.data())
def test_pooling(data):
    images = tensor((2, 3, data.draw(SIZES), data.draw(SIZES)))
    kernel = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    stride = data.draw(st.lists(st.integers(1, 3), min_size=0, max_size=2))
    padding = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=2))
    same(aten.max_pool2d_with_indices.default, images, kernel, stride, padding)
    same(aten.avg_pool2d.default, images, kernel, stride, padding)
    assert same(aten._adaptive_avg_pool2d.default, images, data.draw(st.lists(SIZES, min_size=2, max_size=2)))


RESAMPLED = {
    "upsample_linear1d": (1, (False,)),
    "upsample_bilinear2d": (2, (True,)),
    "upsample_bicubic2d": (2, (False,)),
    "upsample_trilinear3d": (3, (True,)),
}


@settings(deadline=None)  # the first call loads the kernel
@given(st.data(), st.sampled_from(sorted(RESAMPLED)), DTYPES)
def test_resampling(data, name, dtype):
    rank, settings_of_it = RESAMPLED[name]
    shape = data.draw(st.lists(SIZES, min_size=rank + 2, max_size=rank + 2))
    sizes = data.draw(st.lists(SIZES, min_size=rank, max_size=rank))
    op = getattr(aten, name).default
    assert same(op, tensor(shape, dtype), sizes, *settings_of_it)
    same(op, tensor(shape[1:], dtype), sizes, *settings_of_it)
    same(op, tensor(shape, dtype), [0, *sizes[1:]], *settings_of_it)


@settings(deadline=None)
@given(*[SIZES] * 6, st.sampled_from([torch.float32, torch.float64]), st.integers(0, 2), st.booleans())
def test_sampling_at_a_grid(batch, channels, high, wide, rows, columns, dtype, interpolation, transposed):  # noqa: PLR0917 - as hypothesis gives them
    maps, op = tensor((batch, channels, high, wide), dtype), aten.grid_sampler_2d.default
    grid = tensor((batch, rows, columns, 2), dtype)
    grid = tensor((batch, 2, rows, columns), dtype).permute(0, 2, 3, 1) if transposed else grid
    assert same(op, maps, grid, interpolation, 0, False)
    assert same(op, maps.transpose(2, 3), grid, interpolation, 0, False)
    same(op, maps, grid[:, :, :, :1], interpolation, 0, False)
    same(op, maps, tensor((batch + 1, rows, columns, 2), dtype), interpolation, 0, False)


@given(st.lists(SIZES, min_size=1, max_size=4), st.integers(1, 3), st.booleans())
def test_layer_norm(shape, rank, affine):
    normalized = shape[-rank:]
    weight = tensor(normalized) if affine else None
    assert same(aten.native_layer_norm.default, tensor(shape), normalized, weight, weight, 1e-5)
    same(aten.native_layer_norm.default, tensor([*shape[:-1], shape[-1] + 1]), normalized, weight, weight, 1e-5)


@given(st.lists(SIZES, max_size=3), SIZES, st.sampled_from([torch.int64, torch.int32, torch.float32]))
def test_embedding(shape, columns, dtype):
    answered = same(aten.embedding.default, tensor((3, columns)), torch.zeros(shape, dtype=dtype))
    assert answered == (dtype != torch.float32)


@given(st.lists(st.lists(SIZES, min_size=1, max_size=3), min_size=1, max_size=3), st.integers(-4, 3))
def test_cat(shapes, dim):
    same(aten.cat.default, [tensor(shape) for shape in shapes], dim)
    same(aten.cat.default, [tensor(shapes[0])] * 2, dim)


LAYOUTS = [
    lambda t: t.to(memory_format=torch.channels_last),
    lambda t: t.transpose(2, 3),
    lambda t: t[:, :, ::2],
    lambda t: t[:0],
    lambda t: t.to(torch.complex64),
    lambda t: t.to(torch.int64),
]


INITIALIZING_IMPORTS_SYMPY = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13)


@pytest.mark.parametrize(
    ("change", "op"), list(itertools.product(LAYOUTS, [aten.relu.default, aten.pow.Tensor_Scalar]))
)
def test_other_layouts_and_dtypes_are_left_to_torch_or_right(change, op):
    arguments = (2,) if op is aten.pow.Tensor_Scalar else ()
    same(op, change(tensor((2, 3, 4, 6))), *arguments)


@pytest.mark.parametrize("change", LAYOUTS)
def test_so_for_convolutions_and_pooling(change):
    images = change(tensor((2, 3, 4, 6)))
    weight = tensor((5, 3, 2, 2), images.dtype)
    same(aten.convolution.default, images, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    same(aten.max_pool2d_with_indices.default, images, [2, 2])
    same(aten.upsample_bilinear2d.default, images, [5, 5], False)
    same(aten.upsample_bicubic2d.default, images, [5, 5], False)
    same(aten.grid_sampler_2d.default, images, tensor((len(images), 3, 3, 2), images.dtype), 0, 0, False)


@settings(deadline=None)  # the first call loads the kernel; strides of a size of 1 mean nothing
@given(st.tuples(*[st.integers(2, 7)] * 5), st.booleans(), DTYPES)
def test_attention(sizes, is_causal, dtype):
    batch, heads, length, width, keys = sizes
    query = tensor((batch, length, heads, width), dtype).transpose(1, 2)
    key = tensor((batch, heads, keys, width), dtype)
    answered = same(aten._scaled_dot_product_flash_attention_for_cpu.default, query, key, key, 0.0, is_causal)
    assert answered == (dtype in (torch.float32, torch.float64))


@given(st.lists(SIZES, min_size=2, max_size=5), DTYPES, st.booleans(), st.booleans())
def test_batch_norm(shape, dtype, training, affine):
    channels = tensor((shape[1],), dtype)
    weights = [channels if affine else None] * 2
    same(aten.native_batch_norm.default, tensor(shape, dtype), *weights, channels, channels, training, 0.1, 1e-5)


@given(st.data(), st.lists(SIZES, min_size=2, max_size=5), st.booleans())
def test_batch_norm_of_any_order_of_memory(data, shape, training):
    order = data.draw(st.permutations(range(len(shape))))
    part = data.draw(st.sampled_from([slice(None), slice(None, None, 2)]))
    maps = tensor(shape).permute(order)[..., part]
    channels = tensor((maps.shape[1],))
    same(aten.native_batch_norm.default, maps, *[channels] * 4, training, 0.1, 1e-5)


def test_a_batch_norm_of_rows_that_are_transposed_is_answered():
    """As a recurrent layer returns them; torch's rule for `meta` keeps their order, its kernel does not."""
    rows, channels = tensor((3, 2, 6)).transpose(0, 1), tensor((3,))
    assert same(aten.native_batch_norm.default, rows, *[channels] * 4, False, 0.1, 1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_norm_of_maps_is_answered(training):
    images, channels = tensor((2, 3, 4, 4)), tensor((3,))
    assert same(aten.native_batch_norm.default, images, *[channels] * 4, training, 0.1, 1e-5)


def test_attention_of_heads_cut_from_one_tensor():
    heads = tensor((2, 5, 3, 4, 6)).permute(2, 0, 3, 1, 4)
    assert same(aten._scaled_dot_product_flash_attention_for_cpu.default, heads[0], heads[1], heads[2])


def test_every_rule_is_tested_here():
    tested = {op.default for op in UNARY} | {
        getattr(aten, name).default
        for name in [
            "_softmax",
            "_log_softmax",
            "mm",
            "addmm",
            "bmm",
            "convolution",
            "max_pool2d_with_indices",
            "avg_pool2d",
            "_adaptive_avg_pool2d",
            "native_layer_norm",
            "embedding",
            "cat",
            "grid_sampler_2d",
            *RESAMPLED,
        ]
    }
    tested |= BACKWARD | {
        aten.native_batch_norm.default,
        aten._scaled_dot_product_flash_attention_for_cpu.default,
        aten.pow.Tensor_Scalar,
        aten.mul.Scalar,
        aten.div.Scalar,
        *BINARY,
    }
    tested |= {op.default for op in IN_PLACE}
    tested |= {op.default for op in GROUPED}
    assert set(RULES) == tested


# ── what the rules are for ───────────────────────────────────────────────────────────────────────────────────────────

COLD = """
import json, os, sys
from alexnet_cli.cli.app import run
found = {}
for number, line in enumerate(sys.argv[2:]):
    os.environ["ALEXNET_CACHE_DIR"] = os.path.join(sys.argv[1], str(number))  # each traces anew
    assert run(line.split()) == 0
    found[line] = sorted({"sympy", "torch._dynamo", "torch._inductor"} & sys.modules.keys())
print(json.dumps(found), file=sys.stderr)
"""
COLD_LINES = [
    *("summary", "params", "cost --backward", "memory", "receptive-field", "explain", "draw"),
    "compare alexnet alexnet-owt",
]


@pytest.fixture(scope="module")
def compilers(tmp_path_factory) -> dict[str, list[str]]:
    """Return which of the compiler's modules are there after each command, one after the other in a process."""
    program = [sys.executable, "-c", COLD, str(tmp_path_factory.mktemp("cold")), *COLD_LINES]
    ran = subprocess.run(program, capture_output=True, text=True, check=True)
    return json.loads(ran.stderr.splitlines()[-1])


@pytest.mark.skipif(INITIALIZING_IMPORTS_SYMPY, reason="before 2.13 torch imports sympy to initialize weights on meta")
@pytest.mark.parametrize("line", COLD_LINES)
def test_no_command_imports_the_compiler_for_the_notebooks_network(compilers, line):
    """They take a second and more, as much as torch itself."""
    assert compilers[line] == []
