"""A paged optimiser: what of its state has to be on the GPU, what crosses the link to the host, and its code."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from alexnet_cli import inspect
from alexnet_cli.analyses.fitting.halves import split
from alexnet_cli.analyses.fitting.paging import LEAST, host_link
from alexnet_cli.analyses.hardware import find_hardware
from alexnet_cli.session.how import TrainingStep, how_to_run
from alexnet_cli.session.session import Live, Session, Variation
from alexnet_cli.tracing.recording.adam import PAGED

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from fits import loaded

MIB = 2**20
WIDTH, LAYERS, BATCH = 1024, 4, 8
WEIGHTS = LAYERS * WIDTH * WIDTH * 4
"""The bytes of the weights, and of the gradients; the two moments take twice as many."""
BESIDE = 2 * BATCH * WIDTH * 4 + 4
"""What is live beside them during the update: the input, the output, and the loss."""


def wide() -> nn.Module:
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(LAYERS)))


def fitted(budget: int, gpu: str | None = "rtx-4090", optimizer: str = "adamw", model: nn.Module | None = None, **how):
    look = inspect(wide() if model is None else model, input_size=str(WIDTH), batch_size=BATCH)
    return look.fit(budget=f"{budget}B", gpu=gpu, optimizer=optimizer, **how)


@pytest.fixture(scope="module")
def found():
    return fitted(41 * MIB)


def paged_of(found):
    return next(each for each in found.candidates if each.kinds == ("paged",))


def test_only_the_moments_of_the_parameter_that_is_updated_have_to_be_on_the_gpu(found):
    paged = paged_of(found)
    assert paged.peak_bytes == 2 * WEIGHTS + 2 * WEIGHTS // LAYERS + BESIDE
    assert paged == found.chosen
    assert paged.same_result
    assert paged.step.optimizer == "adamw-paged"


def test_what_has_no_room_crosses_the_link_twice(found):
    """With the last gradient there are all gradients, the input, the output, the gradient of the first layer's result,
    the loss and its gradient; beside these the budget has no room for all of the moments."""
    paged, singly = (next(each for each in found.candidates if each.kinds == (kind,)) for kind in ("paged", "foreach"))
    beside = 2 * WEIGHTS + 3 * BATCH * WIDTH * 4 + 2 * 4
    crosses = 2 * (beside + 2 * WEIGHTS - 41 * MIB)
    assert paged.seconds_floor - singly.seconds_floor == pytest.approx(crosses / 32e9, rel=1e-3)
    whole = paged_of(fitted(1))  # there is room for nothing: all moments cross
    assert whole.bytes_moved - paged.bytes_moved == 2 * 2 * WEIGHTS - crosses


def test_small_moments_stay_on_the_gpu():
    model = nn.Sequential(nn.Linear(1000, 100, bias=False), nn.Linear(100, 999, bias=False))  # 100,000 and 99,900
    session = Session(Live(model), how_to_run(input_size=["1000"], batch_size=BATCH))
    update = split(session.once(Variation(step=TrainingStep("adamw-paged"), on_meta=True)), None)[1]
    assert update.held_bytes == 2 * 4 * 99_900
    assert update.extra_bytes == 2 * 4 * 100_000
    assert LEAST == PAGED  # what is counted and what is traced


def test_of_weights_in_bfloat16_the_moments_are_float32():
    found = fitted(30 * MIB, model=wide().to(torch.bfloat16))
    paged = paged_of(found)
    assert paged.peak_bytes == WEIGHTS + 2 * WEIGHTS // LAYERS + BESIDE // 2
    assert not paged.same_result


@pytest.mark.parametrize(
    "how",
    [
        {"gpu": None},
        {"optimizer": "sgd-momentum"},
        {"without": ["paged"]},
        {"gpu": "m2-max"},
        {"gpu": "gtx-580"},
    ],
)
def test_it_is_tried_only_where_state_can_be_on_the_host_and_its_way_is_known(how):
    assert not any("paged" in each.kinds for each in fitted(60 * MIB, **how).candidates)


def test_blocks_are_run_again_beside_a_paged_state():
    """All blocks run again need 276 MiB with the moments of Adam, of which 32 MiB can be on the host."""
    model = nn.Sequential(*(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU()) for _ in range(LAYERS)))
    look = inspect(model, input_size=str(WIDTH), batch_size=8192)
    found = look.fit(budget="250MiB", gpu="rtx-4090", optimizer="adam", without=["micro-batches", "amp"])
    assert set(found.chosen.kinds) == {"paged", "checkpoint"}
    assert found.chosen.same_result
    assert not any(each.fits for each in found.candidates if each.kinds == ("checkpoint",))


@pytest.mark.parametrize(
    ("gpu", "rate"),
    [("h100-sxm", 64), ("a100-80gb", 32), ("l4", 32), ("t4", 16), ("rtx-5090", 64), ("rtx-4090", 32), ("rtx-4060", 16)],
)
def test_the_link_to_the_host_is_half_of_what_data_sheets_print(gpu, rate):
    assert host_link(find_hardware(gpu, "").name) == rate * 1e9


@pytest.mark.parametrize("gpu", ["gtx-580", "m2-max", "mi300x", "jetson-agx-orin-64gb"])
def test_no_link_is_known_of_gpus_that_do_not_page(gpu):
    assert host_link(find_hardware(gpu, "").name) is None


def emitted(tmp_path) -> tuple[int, dict]:
    """Return the peak that is predicted with a paged state, and what the written code defines."""
    pytest.importorskip("bitsandbytes", exc_type=ImportError)
    file = tmp_path / "patch.py"
    chosen = fitted(41 * MIB, emit=file).chosen
    return chosen.peak_bytes, loaded(file.read_text())


def test_the_code_makes_the_moments_that_were_counted(tmp_path):
    """On the CPU bitsandbytes pages nothing; the moments are the same."""
    _, code = emitted(tmp_path)
    model = wide()
    optimizer = code["optimizer_of"](model, lr=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code["training_step"](model, optimizer, torch.rand(BATCH, WIDTH))
    states = [value for each in optimizer.state.values() for value in each.values() if isinstance(value, torch.Tensor)]
    assert type(optimizer).__name__ == "PagedAdamW"
    assert sum(each.nbytes for each in states) == 2 * WEIGHTS
    assert {each.dtype for each in states} == {torch.float32}


@pytest.mark.cuda
def test_on_a_gpu_no_more_is_allocated_than_was_predicted(tmp_path):
    """Paged moments are not the allocator's, so they are not in its peak; kernels of matrix products may take more."""
    if not torch.cuda.is_available():
        pytest.skip("this machine has no CUDA device")
    predicted, code = emitted(tmp_path)
    model = wide().cuda()
    optimizer = code["optimizer_of"](model, lr=1e-3)
    for _ in range(2):
        torch.cuda.reset_peak_memory_stats()
        code["training_step"](model, optimizer, torch.rand(BATCH, WIDTH, device="cuda"))
    moments, workspace = 2 * WEIGHTS // LAYERS, 32 * MIB
    assert torch.cuda.max_memory_allocated() <= predicted - moments + workspace
