"""The README shows what the program prints now, and states the contract."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import refresh  # noqa: E402 - a script beside the README

from alexnet_cli.errors import ExitCode  # noqa: E402 - after it
from alexnet_cli.renderers import FORMATS  # noqa: E402 - after it

README = refresh.README.read_text(encoding="utf-8")


def test_the_readme_shows_what_the_program_prints():
    assert refresh.refreshed(README) == README, "run `make docs`"


def test_the_picture_is_current():
    assert refresh.picture() == refresh.PICTURE.read_text(encoding="utf-8"), "run `make docs`"


def test_the_readme_states_exit_codes_and_formats():
    for code in ExitCode:
        assert f"| {code.value} |" in README
    for name in FORMATS:
        assert f"`{name}`" in README
