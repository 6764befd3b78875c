from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import trace_target
from report_pages import MODELS, written

from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.tracing.options import TrainingStep

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WHY_SKIPPED = "there is no Chromium to open the report in: install Debian's package chromium"
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@pytest.fixture(scope="module")  # while it is open, Playwright's event loop runs: no other file may find one running
def browser():
    if CHROMIUM is None:
        pytest.skip(WHY_SKIPPED)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    with _windows(browser) as call:
        yield call


@pytest.fixture(scope="module")
def opened_once(browser):
    """The same for a page that several tests share."""
    with _windows(browser) as call:
        yield call


@contextmanager
def _windows(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open files, each in its own window, and check that there are no errors and no network requests."""
    contexts = []
    seen = SimpleNamespace(messages=[], requests=[], files=[])

    def call(file: Path, **options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 900}, **options}
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: seen.messages.append(message.text))
        page.on("pageerror", lambda error: seen.messages.append(str(error)))
        page.on("dialog", lambda dialog: seen.messages.append(dialog.message))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(file.as_uri())
        seen.files.append(file.as_uri())
        return page

    yield call
    for context in contexts:
        context.close()
    assert seen.messages == []
    assert seen.requests == seen.files


@pytest.fixture(scope="session")
def alexnet_page(tmp_path_factory):
    return written(tmp_path_factory.mktemp("alexnet"))


@pytest.fixture(scope="session")
def measured_page(tmp_path_factory):
    return written(
        tmp_path_factory.mktemp("measured"), f"{MODELS}:Tower", "-i", "8:int64", "--profile", "--seconds", "0.1"
    )


@pytest.fixture(scope="session")
def comparison_page(tmp_path_factory):
    return written(tmp_path_factory.mktemp("comparison"), "alexnet", "alexnet-paper")


@pytest.fixture(scope="session")
def odd_page(tmp_path_factory):
    return written(tmp_path_factory.mktemp("odd"), f"{MODELS}:OddNames", "-i", "4")


@pytest.fixture(scope="session")
def long_page(tmp_path_factory):
    """Two thousand layers with every column; the changes that findings propose, four more traces, are left out."""
    from alexnet_cli.analyses.cost import Roof
    from alexnet_cli.analyses.hardware import find_hardware
    from alexnet_cli.report_page.material import Material
    from alexnet_cli.report_page.page import model_page

    target, inputs = f"{MODELS}:unlike", (parse_input("8"),)
    step = trace_target(target, inputs=inputs, mode="train", step=TrainingStep("sgd"))
    file = tmp_path_factory.mktemp("long") / "report.html"
    roof = Roof(find_hardware("t4", ""))
    file.write_text(model_page(Material(trace_target(target, inputs=inputs), step, roof=roof)), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def pyramid_page(tmp_path_factory):
    return written(tmp_path_factory.mktemp("pyramid"), f"{MODELS}:Pyramid", "-i", "8")


@pytest.fixture(scope="session")
def failed_page(tmp_path_factory):
    return written(tmp_path_factory.mktemp("failed"), "-i", "3,224,224")
