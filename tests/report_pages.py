"""Reports to open in a browser, and what a reader sees there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent / "report_models.py"


def written(folder: Path, *arguments: str) -> Path:
    """Write a report as the command line does."""
    from alexnet_cli.cli.app import run

    file = folder / "report.html"
    code = run(["report", *arguments, "-o", str(file)])
    assert code in (0, 4)
    return file


def visible_names(page: Any) -> list[str]:
    """Return the names in the visible rows of the layer table, from top to bottom."""
    return page.evaluate(  # at once: each question to the browser takes its time
        """() => [...document.querySelectorAll("#layer-table tbody tr th")]
            .filter(cell => cell.checkVisibility()).map(cell => cell.innerText.split("\\n")[0])"""
    )


def lit(page: Any, within: str) -> list[str]:
    """Return the highlighted paths within a part of the page."""
    return page.evaluate(
        "within => [...document.querySelectorAll(`${within} .lit`)].map(lit => lit.dataset.path).filter(Boolean)",
        within,
    )
