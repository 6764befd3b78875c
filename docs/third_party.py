"""Writes THIRD_PARTY.md from the metadata of the packages that are installed: `python docs/third_party.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "THIRD_PARTY.md"
_LONGEST = 60
_SAID = re.compile(r"License :: (?:OSI Approved :: )?(.+)")
_INTRO = """# Licences of what is installed with it

Written by `python docs/third_party.py` from the packages' own metadata. `alexnet-cli` contains none of them: pip
installs those of the first table, and with an extra, as `pip install 'alexnet-cli[onnx]'`, those of the second, with
what they need in turn. What only another Python than 3.11 or another system needs is left out."""


def declared() -> dict[str, list[str]]:
    """Return the packages that pyproject.toml requires, by extra; without an extra under an empty name.

    Those for some Pythons only are left out.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    groups.pop("dev")
    return {extra: [_name(each) for each in needed if "python_version" not in each] for extra, needed in groups.items()}


def requirements(package: str) -> list[str]:
    """Return the packages that an installed package requires on this system, without extras."""
    needed = [each.partition(";") for each in distribution(package).requires or ()]
    return [_name(each) for each, _, when in needed if "extra ==" not in when and "sys_platform" not in when]


def _name(requirement: str) -> str:
    """Return the name that a requirement begins with."""
    return re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]


def closure(names: Iterable[str]) -> dict[str, Distribution]:
    """Return packages with all that they require, by name; what this system does not need is left out."""
    found: dict[str, Distribution] = {}
    waiting = [*names]
    while waiting:
        package = waiting.pop()
        if not any(Distribution.discover(name=package)):
            continue  # for another Python or system
        held = distribution(package)
        key = held.metadata["Name"].lower().replace("_", "-")
        if key not in found:
            found[key] = held
            waiting += requirements(package)
    return dict(sorted(found.items()))


def licence(held: Distribution) -> str:
    """Return what a package says of its licence: an expression, a classifier, or a short text."""
    metadata = held.metadata
    expression = metadata.get("License-Expression")
    classified = [match.group(1) for each in metadata.get_all("Classifier") or () if (match := _SAID.fullmatch(each))]
    text = (metadata.get("License") or "").strip().replace("UNKNOWN", "")
    short = text if text and len(text) <= _LONGEST and "\n" not in text else ""
    return expression or short or ", ".join(classified) or "not stated in its metadata"


def page() -> str:
    """Return the whole page."""
    rows = ["| package | licence |", "|---|---|"]
    groups = declared()
    rows += [f"| {name} | {licence(held)} |" for name, held in closure(groups.pop("")).items()]
    extras = ["| extra | packages |", "|---|---|"]
    for extra, names in groups.items():
        extras.append(f"| `{extra}` | {', '.join(f'{name} ({_licence_of(name)})' for name in names)} |")
    return "\n".join([_INTRO, "", *rows, "", *extras]) + "\n"


def _licence_of(name: str) -> str:
    try:
        return licence(distribution(name))
    except PackageNotFoundError:
        return "not installed as this was written"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
