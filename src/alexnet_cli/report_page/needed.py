"""The packages that only the report needs: an extra of this program."""

from __future__ import annotations

from importlib.util import find_spec

from alexnet_cli.errors import UsageError

PACKAGES = {"vl_convert": "vl-convert-python", "jinja2": "jinja2"}
INSTALL = "pip install 'alexnet-cli[report]'"


def need_packages() -> None:
    """See that the packages are installed, before any work is done.

    Raises:
        UsageError: one is not.
    """
    missing = [package for module, package in PACKAGES.items() if find_spec(module) is None]
    if missing:
        packages = f"package{'s' * (len(missing) > 1)} {' and '.join(missing)}"
        raise UsageError(f"a report needs the {packages}", f"install with: {INSTALL}")
