"""Which limits hold."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet_cli.analyses.check import Check
from alexnet_cli.document import Column, Document, Note, Row, Table
from alexnet_cli.report import Report
from alexnet_cli.views.parts import run_line

COLUMNS = (
    Column("name", "Check"),
    Column("passed", "Holds", priority=9),
    Column("value", "Value", "count", priority=8),
    Column("limit", "Limit", "count", priority=7),
    Column("unit", "Unit", priority=5),
    Column("detail", "Detail", priority=3),
)


def check_document(report: Report, checks: Sequence[Check]) -> Document:
    """Show each check with its limit, and what is to be said of it."""
    rows = (
        Row(
            (check.name, "yes" if check.passed else "no", check.value, check.limit, check.unit, check.detail),
            role="leaf" if check.passed else "failed",
        )
        for check in checks
    )
    failed = sum(not check.passed for check in checks)
    held = f"all {len(checks)} hold" if not failed else f"{failed} of {len(checks)} do not hold"
    title = f"Checks of {report.model.class_name}"
    note = Note(held.replace("all 1 hold", "it holds"), "error" if failed else "info")
    return Document(title, (Table("checks", COLUMNS, tuple(rows)), note), run_line(report.run))
