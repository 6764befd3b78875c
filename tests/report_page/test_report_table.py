"""The layer table: sorted, filtered, folded, by pointer and by keyboard."""

from __future__ import annotations

from report_pages import visible_names


def test_clicking_a_heading_sorts_and_a_third_click_restores_the_order(opened, alexnet_page):
    page = opened(alexnet_page)
    in_order = visible_names(page)
    head = page.locator('th[data-key="params"]')
    button = head.get_by_role("button")
    assert head.get_attribute("aria-sort") is None
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert visible_names(page)[:4] == ["Linear-15", "Linear-17", "Linear-19", "Conv2d-9"]
    assert "Sequential" not in visible_names(page)  # a sum is no layer
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert visible_names(page)[-1] == "Linear-15"
    button.click()
    assert head.get_attribute("aria-sort") is None
    assert visible_names(page) == in_order


def test_formatted_sizes_sort_by_their_values(opened, alexnet_page):
    page = opened(alexnet_page)
    page.locator('th[data-key="saved_bytes"] button').click()
    column = page.locator("#layer-table thead th").count()
    shown = page.locator(f"#layer-table tbody tr:not([hidden]) td:nth-child({column})")
    sizes = [int(cell.get_attribute("data-v")) for cell in shown.all()]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 20
    page.locator('th[data-key="size"] button').click()
    assert visible_names(page)[0] == "Linear-15"  # the first that sees all of the input


def test_names_sort_in_natural_order(opened, alexnet_page):
    page = opened(alexnet_page)
    page.locator("#layer-table thead button").first.click()
    assert visible_names(page)[:6] == ["Conv2d-1", "Conv2d-4", "Conv2d-7", "Conv2d-9", "Conv2d-11", "Flatten-14"]
    page.get_by_role("button", name="In order").click()
    assert visible_names(page)[:3] == ["AlexNet", "Sequential", "Conv2d-1"]


def test_filtering_by_text_keeps_the_enclosing_modules(opened, alexnet_page):
    page = opened(alexnet_page)
    page.get_by_label("Filter").fill("conv2d")
    assert visible_names(page) == ["AlexNet", "Sequential", "Conv2d-1", "Conv2d-4", "Conv2d-7", "Conv2d-9", "Conv2d-11"]
    assert page.locator("#count").inner_text() == "5 of 20 rows match"
    page.get_by_label("Filter").fill("ARCHITECTURE.18")
    assert visible_names(page) == ["AlexNet", "Sequential", "Linear-19"]
    page.get_by_label("Filter").fill("no such layer")
    assert visible_names(page) == []
    page.get_by_label("Filter").fill("")
    assert len(visible_names(page)) == 22


def test_filtering_by_family_combines_with_sorting(opened, alexnet_page):
    page = opened(alexnet_page)
    page.get_by_label("Family").select_option("linear")
    assert visible_names(page) == ["AlexNet", "Sequential", "Linear-15", "Linear-17", "Linear-19"]
    page.locator('th[data-key="params"] button').click()
    assert visible_names(page) == ["Linear-15", "Linear-17", "Linear-19"]


def test_modules_fold_and_unfold(opened, alexnet_page):
    page = opened(alexnet_page)
    module = page.locator("#layer-table").get_by_role("button", name="Sequential")
    assert module.get_attribute("aria-expanded") == "true"
    module.click()
    assert module.get_attribute("aria-expanded") == "false"
    assert visible_names(page) == ["AlexNet", "Sequential", "log_softmax"]
    page.get_by_role("button", name="Unfold all").click()
    assert len(visible_names(page)) == 22
    page.get_by_role("button", name="Fold all", exact=True).click()
    assert visible_names(page) == ["AlexNet", "Sequential", "log_softmax"]
    page.get_by_label("Filter").fill("linear-17")  # what is folded away is found too
    assert visible_names(page) == ["AlexNet", "Sequential", "Linear-17"]


def test_the_table_works_by_keyboard(opened, alexnet_page):
    page = opened(alexnet_page)
    page.locator("#layer-table tbody button").first.focus()

    def focused():
        return page.evaluate("document.activeElement.textContent")

    page.keyboard.press("ArrowDown")
    assert focused() == "Sequential"
    page.keyboard.press("ArrowLeft")
    assert visible_names(page) == ["AlexNet", "Sequential", "log_softmax"]
    page.keyboard.press("ArrowDown")
    assert focused() == "log_softmax"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert len(visible_names(page)) == 22
    page.keyboard.press("End")
    assert focused() == "log_softmax"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert visible_names(page) == ["AlexNet"]
    stops = page.locator('#layer-table tbody button[tabindex="0"]')
    assert stops.count() == 1  # one stop for Tab, however many layers


def test_a_comparison_filters_by_change(opened, comparison_page):
    page = opened(comparison_page)
    page.get_by_label("Change").select_option("changed")
    assert visible_names(page) == ["Conv2d", "Conv2d", "Conv2d"]
    assert page.locator("#count").inner_text() == "3 of 24 rows match"
    page.locator('th[data-key="params_b_less_a"] button').click()
    page.locator('th[data-key="params_b_less_a"] button').click()
    assert "-663,552" in page.locator("#lined-up tbody tr:not([hidden])").first.inner_text()


def test_a_table_of_two_thousand_layers_stays_usable(opened, long_page):
    page = opened(long_page)
    assert long_page.stat().st_size < 2_000_000
    assert visible_names(page) == ["Sequential"]
    assert page.locator("#figure .wide svg [data-path]").count() in range(10, 61)
    page.get_by_role("button", name="Unfold all").click()
    assert page.locator("#layer-table tbody tr:not([hidden])").count() == 2_001
    page.locator('th[data-key="params"] button').click()
    assert page.locator("#layer-table tbody tr:not([hidden]) th").first.inner_text().startswith("Linear-2000")
    page.get_by_label("Filter").fill("Linear-1234")
    assert visible_names(page) == ["Linear-1234"]
