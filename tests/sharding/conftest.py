from __future__ import annotations

import pytest
from older_torch import skip_without_collectives


@pytest.fixture(scope="session", autouse=True)
def _collectives_run_on_shapes() -> None:
    skip_without_collectives()
