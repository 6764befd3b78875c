"""`alexnet models`."""

from __future__ import annotations

from alexnet_cli.answers.models import models as answer
from alexnet_cli.cli import options
from alexnet_cli.cli.groups import with_groups


@with_groups()
def models(page: options.Page) -> None:
    """List the built-in models."""
    page.out().answer(answer())
