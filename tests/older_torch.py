"""What older versions of torch cannot do, for the tests that go without it."""

import pytest
import torch

from alexnet_cli.torch_insides import fake_store, runs_pipelines


def skip_without_collectives() -> None:
    """Skip the test that calls this if torch cannot run collectives on shapes."""
    if not torch.distributed.is_available() or fake_store() is None:
        pytest.skip("collectives run on shapes since torch 2.9")


def skip_without_pipelines() -> None:
    """Skip the test that calls this if torch cannot run pipeline stages on shapes."""
    skip_without_collectives()
    if not runs_pipelines():
        pytest.skip("pipeline stages run since torch 2.13")


adds_sparse_gradients = pytest.mark.skipif(
    torch.__version__ < "2.13",  # compares as versions, not as text
    reason="torch 2.9 cannot add sparse gradients on shapes alone",
)

exports_norms_to_onnx = pytest.mark.skipif(
    torch.__version__ < "2.7",  # compares as versions, not as text
    reason="the ONNX exporter of torch 2.6 fails on batch norms",
)
