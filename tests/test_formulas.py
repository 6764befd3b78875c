"""Formulas of our own, one by one: shapes in, multiply-accumulates out, worked out by hand."""

import pytest
import torch

from alexnet_cli.tracing.formulas import formula_for
from alexnet_cli.tracing.recording.operators import operator

aten = torch.ops.aten
B, M, K, N, G = 2, 3, 5, 7, 4


def made(*shape, dtype=torch.float32):
    return torch.empty(shape, device="meta", dtype=dtype)


CASES = {
    "mv": ((made(M, K), made(K)), M * K),
    "dot": ((made(K), made(K)), K),
    "addmv": ((made(M), made(M, K), made(K)), M * K),
    "mm": ((made(M, K), made(K, N)), M * K * N),
    "addmm": ((made(N), made(M, K), made(K, N)), M * K * N),
    "bmm": ((made(B, M, K), made(B, K, N)), B * M * K * N),
    "baddbmm": ((made(B, M, N), made(B, M, K), made(B, K, N)), B * M * K * N),
    "addbmm": ((made(M, N), made(B, M, K), made(B, K, N)), B * M * K * N),
    "_int_mm": ((made(M, K, dtype=torch.int8), made(K, N, dtype=torch.int8)), M * K * N),
    "linear": ((made(B, M, K), made(N, K), made(N)), B * M * K * N),
    "_scaled_dot_product_flash_attention_for_cpu": (
        (made(B, G, M, K), made(B, G, N, K), made(B, G, N, K)),
        B * G * (M * N * K + M * N * K),  # scores, then their product with the values
    ),
    # an LSTM layer, hidden size K, N features, M steps of B sequences: four gates
    "mkldnn_rnn_layer": (
        (made(M, B, N), made(4 * K, N), made(4 * K, K), made(4 * K), made(4 * K)),
        M * B * 4 * K * (N + K),
    ),
    "_cudnn_rnn": (
        (made(M, B, N), [made(4 * K, N), made(4 * K, K), made(4 * K), made(4 * K)], 4),
        M * B * 4 * K * (N + K),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name):
    arguments, macs = CASES[name]
    formula = formula_for(getattr(aten, name))
    assert formula is not None
    assert formula(*arguments, out_val=None) == macs


@pytest.mark.skipif(not hasattr(aten, "_grouped_mm"), reason="torch has grouped products since 2.8")
@pytest.mark.parametrize(
    ("left", "right", "macs"),
    [
        ((G, M, K), (G, K, N), G * M * K * N),
        ((M * G, K), (G, K, N), M * G * K * N),  # rows are split among the groups
        ((G, M, K), (K, N * G), M * K * N * G),  # columns are
        ((M, K * G), (K * G, N), M * K * G * N),  # the inner dimension is
    ],
)
def test_grouped_products(left, right, macs):
    formula = formula_for(aten._grouped_mm)
    assert formula is not None
    assert formula(made(*left), made(*right), None, out_val=None) == macs


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions(transposed, groups):
    """Each place of the result, transposed each of the input, meets the window and the channels of its group."""
    images, side, into, out, window = 3, 9, 4, 6, 3
    given = made(images, into, side, side)
    weight = made(into, out // groups, window, window) if transposed else made(out, into // groups, window, window)
    rest = ([2, 2], [1, 1], [1, 1], transposed, [0, 0], groups)
    result = aten.convolution(given, weight, None, *rest)
    assert result.shape == (images, out, *((17, 17) if transposed else (5, 5)))
    places = side * side if transposed else 5 * 5
    formula = formula_for(aten.convolution)
    assert formula is not None
    macs = images * places * into * out // groups * window * window
    assert formula(given, weight, None, *rest, out_val=result) == macs


@pytest.mark.parametrize(("complex_in", "macs"), [(True, 8 * 5 * 16 * 4 // 2), (False, 8 * 5 * 16 * 4 // 4)])
def test_fourier_transforms(complex_in, macs):
    """Eight transforms of 16 points: 5 N log2 N operations each, half for real input, half as many MACs."""
    dtype = torch.complex64 if complex_in else torch.float32
    name, points = ("_fft_c2c", 16) if complex_in else ("_fft_r2c", 9)
    formula = formula_for(getattr(aten, name))
    assert formula is not None
    assert formula(made(8, 16, dtype=dtype), [1], 0, True, out_val=made(8, points, dtype=torch.complex64)) == macs


SIDE = 6


@pytest.mark.parametrize("left", [True, False])
def test_triangular_solves(left):
    """The first unknown takes none of the others, the last all five: 0 + 1 + … + 5 MACs for each right side."""
    right = made(B, SIDE, N) if left else made(B, N, SIDE)
    formula = formula_for(aten.linalg_solve_triangular)
    assert formula is not None
    assert formula(made(B, SIDE, SIDE), right, upper=True, left=left, out_val=right) == B * N * sum(range(SIDE))


def test_solved_triangles_are_what_the_formula_counts():
    """Substitution written out, with each multiply-accumulate counted, gives torch's answer."""
    triangle, right = torch.rand(SIDE, SIDE).triu() + torch.eye(SIDE), torch.rand(SIDE, 1)
    solved, macs = torch.zeros(SIDE), 0
    for row in reversed(range(SIDE)):
        rest = right[row, 0]
        for column in range(row + 1, SIDE):
            rest, macs = rest - triangle[row, column] * solved[column], macs + 1
        solved[row] = rest / triangle[row, row]
    expected = torch.linalg.solve_triangular(triangle, right, upper=True)
    assert torch.allclose(solved[:, None], expected, atol=1e-5)
    assert macs == formula_for(aten.linalg_solve_triangular)(triangle, right, upper=True, out_val=expected)


def test_distances_by_a_matrix_product():
    """|x - y|² is [-2x, |x|², 1] · [y, 1, |y|²]: K products for x · y, and two more for the norms."""
    one, other = torch.rand(B, M, K), torch.rand(B, N, K)
    ones = torch.ones(B, M, 1), torch.ones(B, N, 1)
    wide = torch.cat([-2 * one, one.square().sum(-1, keepdim=True), ones[0]], -1)
    tall = torch.cat([other, ones[1], other.square().sum(-1, keepdim=True)], -1)
    distances = aten._euclidean_dist(one, other)
    assert torch.allclose((wide @ tall.mT).sqrt(), distances, atol=1e-4)
    assert formula_for(aten._euclidean_dist)(one, other, out_val=distances) == B * M * N * (K + 2)


def test_distances_of_few_points():
    """Below 25 points torch squares and adds each of the K differences."""
    formula = formula_for(aten._cdist_forward)
    assert formula is not None
    points = made(B, M, K), made(B, N, K)
    assert formula(*points, 2.0, None, out_val=made(B, M, N)) == B * M * N * K
    assert formula(*points, 1.0, None, out_val=made(B, M, N)) is None


TORCHVISION = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
    "roi_pool": "roi_pool(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width) "
    "-> (Tensor, Tensor)",
    "ps_roi_pool": "ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width) "
    "-> (Tensor, Tensor)",
    "ps_roi_align": "ps_roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
    "int pooled_width, int sampling_ratio) -> (Tensor, Tensor)",
    "deform_conv2d": "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    "int stride_h, int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, int groups, "
    "int offset_groups, bool use_mask) -> Tensor",
}


@pytest.fixture
def torchvision():
    """torchvision's operators: its own if it is imported, else their signatures."""
    with torch.library._scoped_library("torchvision", "FRAGMENT") as library:
        for name, signature in TORCHVISION.items():
            if not hasattr(torch.ops.torchvision, name):
                library.define(signature)
        yield torch.ops.torchvision


def test_aligned_regions(torchvision):
    """A bin is the mean of 2 × 2 samples, a sample the weighted sum of 4 pixels: 16 MACs; unknown with -1 samples."""
    features, boxes, result = made(1, K, 32, 32), made(M, 5), made(M, K, 7, 7)
    formula = formula_for(torchvision.roi_align)
    assert formula is not None
    assert formula(features, boxes, 0.25, 7, 7, 2, False, out_val=result) == M * K * 7 * 7 * 2 * 2 * 4
    assert formula(features, boxes, 0.25, 7, 7, -1, False, out_val=result) is None


@pytest.mark.parametrize("aligned", [True, False])
def test_regions_with_a_sample_for_each_pixel_of_a_bin(torchvision, aligned):
    """Scaled by 1/4, boxes of 56 × 28 and 30 × 14 have 14 × 7 and 7.5 × 3.5 pixels: 2 × 1 and 2 × 1 a bin of 7 × 7.

    A box of 2 × 2 has half a pixel, which counts as a whole one if it is not aligned: 1 sample a bin either way.
    """
    boxes = torch.tensor([[0, 0, 0, 56, 28], [0, 4, 4, 34, 18], [0, 8, 8, 10, 10]], dtype=torch.float32)
    formula = formula_for(torchvision.roi_align)
    macs = formula(torch.zeros(1, K, 32, 32), boxes, 0.25, 7, 7, -1, aligned, out_val=torch.zeros(3, K, 7, 7))
    assert macs == 4 * (2 * 1 + 2 * 1 + 1 * 1) * K * 7 * 7


def test_position_sensitive_regions(torchvision):
    """K × 7 × 7 channels give K: each of M × K × 7 × 7 values is the mean of 2 × 2 samples between 4 pixels."""
    formula = formula_for(torchvision.ps_roi_align)
    given, result = (made(1, K * 49, 32, 32), made(M, 5), 0.25, 7, 7), (made(M, K, 7, 7), made(M, K, 7, 7))
    assert formula(*given, 2, out_val=result) == M * K * 7 * 7 * 2 * 2 * 4
    assert formula(*given, -1, out_val=result) is None


def test_deformable_convolutions(torchvision):
    """B maps of 6 × 6 by G kernels of K × 3 × 3, as in a plain convolution."""
    given = (made(B, K, 8, 8), made(G, K, 3, 3), made(B, 18, 6, 6), made(B, 9, 6, 6), made(G))
    settings = (1, 1, 0, 0, 1, 1, 1, 1, True)
    formula = formula_for(torchvision.deform_conv2d)
    assert formula(*given, *settings, out_val=made(B, G, 6, 6)) == B * 6 * 6 * G * K * 3 * 3


@pytest.mark.parametrize("name", ["nms", "roi_pool", "ps_roi_pool"])
def test_choosing_boxes_and_maxima_is_no_multiply_accumulate(torchvision, name):
    """They compare overlaps, take maxima and means, as sorting and pooling do."""
    operator.cache_clear()
    assert not operator(getattr(torchvision, name).default).uncounted
    operator.cache_clear()
