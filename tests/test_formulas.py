"""Formulas of our own, one by one: shapes in, multiply-accumulates out, worked out by hand."""

import pytest
import torch

from alexnet_cli.tracing.formulas import formula_for

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
