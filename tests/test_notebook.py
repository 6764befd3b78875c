"""The notebook of the docs runs, and shows what it showed when it was written."""

from __future__ import annotations

import pytest
from test_docs import refresh


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the packages that run it
def test_the_notebook_runs_and_shows_what_the_program_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    written = refresh.NOTEBOOK.read_text(encoding="utf-8")
    assert refresh.notebook() == written, "run `make docs`"
    for shown in ("62,378,344", "takes 9216 features but got 6400", "<svg"):
        assert shown in written
