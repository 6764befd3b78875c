"""Builds the site from the README, the pages in `docs/`, and the docstrings of the Python API: `make site`.

The pages are gathered in `build/site-pages`, where links between files of the repository are links between pages;
what is no page, as a test that a page names, is copied beside them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PAGES = ROOT / "build" / "site-pages"
RENAMED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
    "benchmarks/RESULTS.md": "results.md",
    "benchmarks/notes.md": "notes.md",
}
"""Files outside `docs/`, with their names on the site; those in `docs/` keep theirs."""

LINK = re.compile(r"(?P<before>\]\()(?P<target>(?!https?:|#|mailto:)[^)#\s]+)(?P<anchor>#[^)]*)?\)")


def place_of(path: Path) -> str | None:
    """Return where a file of the repository is on the site; None if it is not there."""
    name = path.relative_to(ROOT).as_posix()
    if name in RENAMED:
        return RENAMED[name]
    return name.removeprefix("docs/") if path.parent == ROOT / "docs" and path.is_file() else None


def relinked(text: str, page: Path) -> str:
    """Return a page's text with its links as they are on the site.

    Raises:
        ValueError: a link names no file.
    """

    def link(match: re.Match[str]) -> str:
        target = (page.parent / match["target"]).resolve()
        if page.parent == HERE and not target.exists():  # pages of the site alone stand beside the others there
            target = (ROOT / "docs" / match["target"]).resolve()
        if not target.exists():
            raise ValueError(f"{page.relative_to(ROOT)} links to {match['target']}, which is not there")
        place = place_of(target)
        if place is None:
            place = f"files/{target.relative_to(ROOT).as_posix()}" + (".txt" if target.suffix == ".py" else "")
            if target.is_file():
                _copy(target, PAGES / place)
        return f"{match['before']}{place}{match['anchor'] or ''})"

    return LINK.sub(link, text)


def gather() -> list[Path]:
    """Write the site's pages, and return them."""
    shutil.rmtree(PAGES, ignore_errors=True)
    sources = [ROOT / name for name in RENAMED] + sorted((ROOT / "docs").iterdir()) + [HERE / "api.md"]
    written = []
    for source in sources:
        if source.is_dir() or source.name in ("refresh.py", "screencast.py"):
            continue
        target = PAGES / (place_of(source) or source.name)
        if source.suffix == ".md":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(relinked(source.read_text(encoding="utf-8"), source), encoding="utf-8")
            written.append(target)
        else:
            _copy(source, target)
    return written


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def main() -> int:
    """Gather the pages and build the site; a broken link or anchor fails it."""
    gather()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(HERE / "mkdocs.yml")]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - no word of it comes from elsewhere


if __name__ == "__main__":
    sys.exit(main())
