"""The package that only the report needs: an extra of this program."""

from __future__ import annotations

from importlib.util import find_spec

from alexnet_cli.errors import UsageError


def need_packages() -> None:
    """Check before any work that the package for the templates is installed.

    Raises:
        UsageError: it is not.
    """
    if find_spec("jinja2") is None:
        raise UsageError("a report needs the package jinja2", "install with: pip install 'alexnet-cli[report]'")
