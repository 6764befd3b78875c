from __future__ import annotations

import pytest
import torch

from alexnet_cli.torch_insides import fake_store


@pytest.fixture(scope="session", autouse=True)
def _collectives_run_on_shapes() -> None:
    if not torch.distributed.is_available() or fake_store() is None:
        pytest.skip("collectives run on shapes since torch 2.9")
