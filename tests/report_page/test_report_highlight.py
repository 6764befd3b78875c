"""A layer that is pointed at lights up wherever it is shown."""

from __future__ import annotations

import pytest
from report_pages import lit

HIT = '#balance figure:last-of-type .wide .hit[data-path="architecture.3"]'
"""What takes the pointer for the second convolution in the chart by layer."""


def test_pointing_at_a_chart_highlights_the_layer_everywhere(opened, alexnet_page):
    page = opened(alexnet_page)
    page.locator(HIT).first.hover()
    for place in ("#figure .wide", "#balance .wide", "#memory .wide", "#roofline .wide", "#layers", "#findings"):
        page.wait_for_selector(f"{place} .lit", state="attached")
        assert "architecture.3" in lit(page, place), place
        assert set(lit(page, place)) <= {"architecture.3"}, place
    assert page.locator("#lit").is_visible()
    told = page.locator("#lit").inner_text()
    assert "Conv2d-4" in told
    assert "614,656" in told
    assert "447,897,600" in told
    page.mouse.move(5, 5)
    page.wait_for_selector("#lit", state="hidden")
    assert lit(page, "body") == []


@pytest.mark.parametrize("place", ["#roofline .wide", "#memory .wide", "#layers tbody", "#findings"])
def test_pointing_anywhere_highlights_the_layer_in_the_other_sections(opened, alexnet_page, place):
    page = opened(alexnet_page)
    page.locator(f'{place} [data-path="architecture.3"]').first.hover()
    page.wait_for_selector("#balance .lit", state="attached")
    assert set(lit(page, "#balance")) == {"architecture.3"}
    assert lit(page, "#layers tbody") == ["architecture.3"]


def test_pointing_at_a_block_highlights_all_its_layers(opened, alexnet_page):
    page = opened(alexnet_page)
    page.locator('#figure .wide [data-path="architecture.3"] .front').first.hover()
    page.wait_for_selector("#balance .lit", state="attached")
    assert set(lit(page, "#balance")) == {"architecture.3"}
    assert lit(page, "#layers tbody") == ["architecture.3", "architecture.4"]  # the convolution and its ReLU


def test_pointing_at_a_module_highlights_everything_below_it(opened, alexnet_page):
    page = opened(alexnet_page)
    page.locator('#layers tr[data-path="architecture"] th').hover()
    page.wait_for_selector("#balance .lit", state="attached")
    weighing = {f"architecture.{number}" for number in (0, 3, 6, 8, 10, 14, 16, 18)}
    assert set(lit(page, "#balance")) == weighing


def test_a_pressed_layer_stays_highlighted(opened, alexnet_page):
    page = opened(alexnet_page)
    button = page.locator('#layers tr[data-path="architecture.14"] button')
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    page.locator("h1").hover()
    button.blur()
    page.wait_for_timeout(100)
    assert set(lit(page, "#balance")) == {"architecture.14"}
    button.focus()
    page.keyboard.press("Enter")
    button.blur()
    assert button.get_attribute("aria-pressed") == "false"
    page.wait_for_selector("#balance .lit", state="detached")


def test_pointing_at_an_aligned_row_highlights_both_models(opened, comparison_page):
    page = opened(comparison_page)
    page.locator("#lined-up tbody tr", has_text="architecture.8").hover()
    page.wait_for_selector("#figures .lit", state="attached")
    assert set(lit(page, '#figures [data-model="0"]')) == {"architecture.8"}
    assert set(lit(page, '#figures [data-model="1"]')) == {"conv4"}
    page.locator('#figures [data-model="1"] .wide [data-path="conv5"] .front').first.hover()
    page.wait_for_selector('#figures [data-path="architecture.10"].lit', state="attached")


def test_modules_are_highlighted_correctly_in_a_sorted_table(opened, alexnet_page):
    page = opened(alexnet_page)
    page.locator('th[data-key="params"] button').click()
    page.locator('#layers tr[data-path="architecture.18"] th').hover()
    page.wait_for_selector("#balance .lit", state="attached")
    assert set(lit(page, "#balance")) == {"architecture.18"}
    page.evaluate("document.querySelector('#layers tr.group[data-path=architecture]').hidden = false")
    page.locator('#layers tr[data-path="architecture"] th').hover()
    page.wait_for_selector('#balance [data-path="architecture.0"].lit', state="attached")
    assert len(set(lit(page, "#balance"))) == 8


def test_a_line_of_source_and_the_layers_that_it_calls_highlight_each_other(opened, measured_page):
    page = opened(measured_page)
    page.locator("#source tr", has_text="self.tokens(ids)").locator("code").hover()
    page.wait_for_selector("#layers .lit", state="attached")
    assert lit(page, "#layers tbody") == ["tokens"]
    assert "Embedding" in page.locator("#lit").inner_text()
    page.locator('#layers tr[data-path="head"] th').hover()
    page.wait_for_selector('#source tr[data-path="head"].lit')
    assert page.locator("#source .lit").count() == 1
