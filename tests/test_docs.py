"""The README shows what the program prints now, and states the contract."""

import re
import sys
import xml.etree.ElementTree as ET
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from older_torch import skip_without_pipelines

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import refresh  # noqa: E402 - a script beside the README
from screencast import screencast  # noqa: E402 - the same

from alexnet_cli.analyses.hardware import DTYPES, HARDWARE  # noqa: E402 - after it
from alexnet_cli.errors import ExitCode  # noqa: E402 - after it
from alexnet_cli.renderers import FORMATS  # noqa: E402 - after it

README = refresh.README.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", refresh.PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_the_program_prints(page):
    if page.name == "shard.md":
        skip_without_pipelines()
    text = page.read_text(encoding="utf-8")
    assert refresh.refreshed(text) == text, "run `make docs`"


@pytest.mark.parametrize("page", refresh.PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    text = re.sub(
        r"```python\n.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL
    )  # calls of what is indexed
    for link in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (page.parent / link).exists(), link


def test_the_picture_is_current():
    assert refresh.picture() == refresh.PICTURE.read_text(encoding="utf-8"), "run `make docs`"


def test_the_screencast_is_current():
    shown = refresh.SCREENCAST.read_text(encoding="utf-8")
    assert screencast(refresh.answer) == shown, "run `make docs`"
    ET.fromstring(shown)


def test_the_pages_of_the_site_link_to_one_another(tmp_path, monkeypatch):
    spec = spec_from_file_location("build", ROOT / "docs" / "site" / "build.py")
    build = module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setattr(build, "PAGES", tmp_path)
    pages = {page.name: page.read_text(encoding="utf-8") for page in build.gather()}
    named = re.findall(r"[\w-]+\.md", (ROOT / "docs" / "site" / "mkdocs.yml").read_text(encoding="utf-8"))
    assert {*named, "notes.md"} == pages.keys()
    for text in pages.values():
        for link in build.LINK.finditer(text):
            assert (tmp_path / link["target"]).exists(), link["target"]


def test_the_screen_of_explore_is_current():
    assert refresh.explored() == refresh.EXPLORED.read_text(encoding="utf-8"), "run `make docs`"
    assert "font-face" not in refresh.EXPLORED.read_text(encoding="utf-8")  # nothing is fetched to show it


def test_the_table_of_gpus_is_that_of_the_program():
    lines = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8").splitlines()
    listed = {line.split("|")[1].strip(" `"): line for line in lines if line.startswith("| `")}
    assert list(listed)[1:] == list(HARDWARE)  # after the heading
    for name, gpu in HARDWARE.items():
        cells = [cell.strip() for cell in listed[name].split("|")[2:-1]]
        peaks = [None if cell == "–" else float(cell) for cell in cells[3:8]]
        assert (cells[0], cells[-1]) == (gpu.name, gpu.source)
        assert [cells[1], float(cells[2])] == [f"{gpu.capacity_bytes / 2**30:g} GiB", gpu.bandwidth_bytes_per_s / 1e9]
        assert peaks == [
            None if dtype not in gpu.peak_flops_per_s else gpu.peak_flops_per_s[dtype] / 1e12 for dtype in DTYPES
        ]


def test_the_readme_states_exit_codes_and_formats():
    for code in ExitCode:
        assert f"| {code.value} |" in README
    for name in FORMATS:
        assert f"`{name}`" in README
