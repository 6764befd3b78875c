"""For every reader: accessibility, widths, themes, paper, no script."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", ["alexnet_page", "comparison_page", "odd_page", "failed_page", "measured_page"])
def test_pages_have_no_accessibility_violations(opened, request, name, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    file = request.getfixturevalue(name)
    page = opened(file, viewport={"width": width, "height": 900}, color_scheme=scheme)
    violations = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_accessibility_check_can_fail(opened, tmp_path):
    from axe_playwright_python.sync_playwright import Axe

    file = tmp_path / "bad.html"
    file.write_text('<!DOCTYPE html><title>Bad</title><p style="color:#eee;background:#fff">pale<img src="data:,">')
    found = {one["id"] for one in Axe().run(opened(file)).response["violations"]}
    assert {"color-contrast", "image-alt", "html-has-lang"} <= found


def test_headings_are_in_order_and_the_first_stop_skips_to_the_content(opened, alexnet_page):
    page = opened(alexnet_page)
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(head => Number(head.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_charts_follow_the_theme(opened, alexnet_page, scheme, is_dark):
    page = opened(alexnet_page, color_scheme=scheme)
    colours = page.evaluate(
        """() => ["body", "#balance .wide text", "#figure .wide text"].map(place => {
          const style = getComputedStyle(document.querySelector(place));
          return place === "body" ? style.backgroundColor : style.fill;
        })"""
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in colours]
    assert (brightness[0] < 128) == is_dark
    assert all((text > 128) == is_dark for text in brightness[1:])


def test_printed_pages_are_complete_and_unfolded(opened, alexnet_page):
    page = opened(alexnet_page, color_scheme="dark")
    page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = false))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("nav").is_hidden()
    assert page.locator(".controls").is_hidden()
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflow") == "visible"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert all(piece.is_visible() for piece in page.locator(".claim li").all())
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("name", ["alexnet_page", "comparison_page", "long_page"])
def test_all_content_is_there_without_javascript(opened, request, name):
    file = request.getfixturevalue(name)
    page = opened(file, java_script_enabled=False)
    rows = page.locator("#layer-table tbody tr")
    table = file.read_text().split('id="layer-table"')[1].split("</table>")[0]
    assert rows.count() == table.count("<tr") - 1
    assert rows.last.is_visible()
    assert page.locator(".controls").is_hidden()
    assert page.locator("section").count() == page.locator("nav a").count()


def test_phones_get_narrow_charts(opened, alexnet_page):
    page = opened(alexnet_page, viewport={"width": 400, "height": 800})
    assert page.locator("#balance .narrow svg").first.is_visible()
    assert page.locator("#balance .wide svg").first.is_hidden()
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("#balance .narrow text, #memory .narrow text")]
          .map(text => text.getBoundingClientRect().height)"""
    )
    assert min(sizes) > 10
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_on_a_phone_what_a_line_did_stands_below_it(opened, measured_page):
    page = opened(measured_page, viewport={"width": 390, "height": 844}, java_script_enabled=False)
    listing = page.locator("#source .code")
    assert listing.evaluate("one => one.scrollWidth <= one.clientWidth")
    line = listing.locator("tr", has_text="x = block(x)")
    code, macs = line.locator("code"), line.locator('[data-title="MACs"]')
    assert macs.inner_text() == "196,608"  # 12 blocks of two layers, 16 · 64 each, on 8 tokens
    assert macs.bounding_box()["y"] >= code.bounding_box()["y"] + code.bounding_box()["height"]
    assert macs.evaluate("one => getComputedStyle(one, '::before').content") in ('"MACs" " "', '"MACs "')


def test_lines_of_source_are_whole_on_paper(opened, measured_page):
    page = opened(measured_page, viewport={"width": 688, "height": 900})  # A4 without its margins
    page.emulate_media(media="print")
    listing = page.locator("#source .code")
    assert listing.evaluate("one => one.scrollWidth <= one.clientWidth + 1")
    lines = listing.locator("tr", has_text="self.tokens(ids)")
    code, number = (lines.locator(part).bounding_box() for part in ("td:nth-child(2)", "th"))
    assert code["width"] > 688 / 3
    assert number["height"] < 24  # on one line
