"""Writes THIRD_PARTY.md from the metadata of the packages that are installed: `python docs/third_party.py`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from textwrap import fill

import tomllib

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "THIRD_PARTY.md"
_LONGEST = 60
_MB = 10**6
_SAID = re.compile(r"License :: (?:OSI Approved :: )?(.+)")
_INTRO = """# Licences of what is installed with it

Written by `python docs/third_party.py` from the packages' own metadata. `alexnet-cli` contains none of them: pip
installs those of the first table, and with an extra, as `pip install 'alexnet-cli[onnx]'`, those of the second, with
what they need in turn. What only another Python than 3.11 or another system needs is left out."""
_SIZES = """Beside torch and what torch requires, pip downloads {download:.1f} MB, which take {disk:.1f} MB on the disk,
{own:.1f} MB of them this package; the largest others are {largest}. Not counted is numpy, 16 MB to download and
{numpy:.0f} MB on the disk: torch does not declare it, but warns without it when it is imported, and its timer does not
run."""


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


def files_of(held: Distribution) -> list[Path]:
    """Return the files that a package installs, without what Python compiles."""
    paths = [Path(str(held.locate_file(file))) for file in held.files or ()]
    return [path for path in paths if path.suffix != ".pyc" and path.is_file()]


def beside_torch() -> dict[str, list[Path]]:
    """Return the files of each package that pip installs with this one and would not install with torch and numpy."""
    there = {*closure(["torch"]), "numpy"}
    packages = {name: files_of(held) for name, held in closure(declared()[""]).items() if name not in there}
    own = [path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {**packages, "alexnet-cli": own}


def bytes_of(files: Iterable[Path]) -> int:
    """Return how much room files take on the disk."""
    return sum(path.stat().st_size for path in files)


def packed(files: Iterable[Path]) -> int:
    """Return the bytes that files take in a wheel, each compressed as zip files are."""
    return sum(len(zlib.compress(path.read_bytes())) for path in files)


def _sizes() -> str:
    packages = beside_torch()
    on_disk = {name: bytes_of(files) for name, files in packages.items()}
    largest = sorted(on_disk, key=on_disk.__getitem__, reverse=True)[:3]
    told = _SIZES.format(
        download=sum(map(packed, packages.values())) / _MB,
        disk=sum(on_disk.values()) / _MB,
        own=on_disk["alexnet-cli"] / _MB,
        largest=" and ".join(f"{name} ({on_disk[name] / _MB:.1f} MB)" for name in largest if name != "alexnet-cli"),
        numpy=bytes_of(files_of(distribution("numpy"))) / _MB,
    )
    return fill(" ".join(told.split()), width=120)


def page() -> str:
    """Return the whole page."""
    rows = ["| package | licence |", "|---|---|"]
    groups = declared()
    rows += [f"| {name} | {licence(held)} |" for name, held in closure(groups.pop("")).items()]
    extras = ["| extra | packages |", "|---|---|"]
    for extra, names in groups.items():
        extras.append(f"| `{extra}` | {', '.join(f'{name} ({_licence_of(name)})' for name in names)} |")
    return "\n".join([_INTRO, "", _sizes(), "", *rows, "", *extras]) + "\n"


def _licence_of(name: str) -> str:
    try:
        return licence(distribution(name))
    except PackageNotFoundError:
        return "not installed as this was written"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
