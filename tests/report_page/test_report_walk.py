"""The figure is walked: blocks open and fold, by pointer and by keyboard; zoom, pan and search; whole on paper."""

from __future__ import annotations

import pytest


def names(page) -> list[str]:
    """Return what is written first in each block on view."""
    return page.evaluate("() => [...document.querySelectorAll('.tree .block b')].map(each => each.textContent)")


def block(page, path: str):
    return page.locator(f'.tree .block[data-path="{path}"]')


def scale(page) -> int:
    return int(page.locator("#walk-scale").inner_text().removesuffix(" %"))


OPENED = ["LayerNorm", "Linear 16→64", "Linear 64→16", "add"]
FOLDED = ["input 8", "Embedding 100→16", "Block ×12", "Linear 16→100", "output 8×100"]


@pytest.fixture(scope="module")
def tower_page(opened_once, measured_page):
    return opened_once(measured_page)


@pytest.fixture
def tower(tower_page):
    """The figure as at first, whatever the test before did with it."""
    tower_page.emulate_media(media="screen")
    tower_page.locator("#walk-find").fill("")
    tower_page.locator("#walk-close").click()
    tower_page.locator("#walk-scale").click()
    tower_page.mouse.move(0, 0)
    tower_page.locator("#figure").evaluate("one => one.scrollIntoView({ behavior: 'instant' })")
    return tower_page


def test_blocks_open_and_close_by_click_and_by_enter(tower):
    assert names(tower) == FOLDED
    group = block(tower, "blocks.0")
    for act in (group.click, lambda: (group.focus(), tower.keyboard.press("Enter"))):
        before = group.bounding_box()["y"]
        act()
        assert group.get_attribute("aria-expanded") == "true"
        assert names(tower) == [*FOLDED[:3], *OPENED, *FOLDED[3:]]
        assert abs(group.bounding_box()["y"] - before) < 2  # what is pressed stays where it is
        act()
        assert group.get_attribute("aria-expanded") == "false"
        assert names(tower) == FOLDED
    tower.get_by_role("button", name="Open all").click()
    assert len(names(tower)) == len(FOLDED) + len(OPENED)


def test_an_open_block_holds_its_blocks_and_no_two_overlap(tower):
    tower.get_by_role("button", name="Open all").click()
    boxes = tower.evaluate(
        """() => [...document.querySelectorAll(".tree .block, .frames > div")].map(each => {
          const { left, top, right, bottom } = each.getBoundingClientRect();
          return [each.matches(".block") && !each.ariaExpanded, left, top, right, bottom];
        })"""
    )
    (frame,) = (box[1:] for box in boxes if box[0] is False and box[4] - box[2] > 200)
    title = block(tower, "blocks.0").locator("span").first.bounding_box()
    assert title["height"] < 24  # one line, in the width that was measured for it
    leaves = [box[1:] for box in boxes if box[0]]
    inside = [box for box in leaves if frame[1] < box[1] and box[3] < frame[3]]
    assert len(inside) == len(OPENED)
    assert all(frame[0] <= box[0] and box[2] <= frame[2] for box in inside)
    for number, one in enumerate(leaves):
        for other in leaves[:number]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_arrow_keys_walk_the_tree(tower):
    tower.locator(".tree .block").first.focus()

    def focused():
        return tower.evaluate("document.activeElement.querySelector('b').textContent")

    for key, there in [
        ("End", "output 8×100"),
        ("Home", "input 8"),
        ("ArrowDown", "Embedding 100→16"),
        ("ArrowDown", "Block ×12"),
        ("ArrowRight", "Block ×12"),
        ("ArrowRight", "LayerNorm"),
        ("ArrowDown", "Linear 16→64"),
        ("ArrowLeft", "Block ×12"),
        ("ArrowLeft", "Block ×12"),
        ("ArrowUp", "Embedding 100→16"),
    ]:
        tower.keyboard.press(key)
        assert focused() == there, key
    assert names(tower) == FOLDED
    assert tower.locator('.tree [tabindex="0"]').count() == 1  # one stop for Tab, however many blocks


def test_a_block_says_what_it_is_and_what_it_reads(tower):
    block(tower, "blocks.0").click()
    told = block(tower, "blocks.0.up").get_attribute("aria-label")
    for part in ("Linear 16→64", "blocks.0.up", "8×64", "with ReLU", "1.09 k parameters", "reads blocks.0.norm"):
        assert part in told
    assert "reads tokens, blocks.0.down" in block(tower, "blocks.0.add").get_attribute("aria-label")
    assert block(tower, "blocks.0.up").get_attribute("aria-level") == "2"


def test_zoom_by_buttons_keys_and_wheel(tower):
    tower.get_by_role("button", name="Zoom in").click()
    assert scale(tower) == 125
    tower.get_by_role("button", name="Zoom out").click()
    tower.locator(".tree .block").first.focus()
    for key, percent in (("+", 125), ("-", 100), ("-", 80), ("0", 100)):
        tower.keyboard.press(key)
        assert scale(tower) == percent
    there = block(tower, "tokens").bounding_box()
    x, y = there["x"] + 20, there["y"] + 10
    tower.mouse.move(x, y)
    tower.mouse.wheel(0, 40)
    assert scale(tower) == 100  # the wheel alone scrolls
    tower.locator("#walk-view").evaluate("view => view.scrollTo(0, 0)")
    tower.keyboard.down("Control")
    tower.mouse.wheel(0, -277)
    tower.keyboard.up("Control")
    tower.wait_for_function("document.getElementById('walk-scale').textContent !== '100 %'")
    assert scale(tower) == 200  # exp(277 / 400)
    assert block(tower, "tokens").bounding_box()["width"] == pytest.approx(2 * there["width"], rel=0.02)
    tower.get_by_role("button", name="Fit").click()
    assert tower.locator("#walk-view").evaluate("view => view.scrollHeight <= view.clientHeight + 1")


def test_dragging_pans_and_presses_nothing(tower):
    tower.get_by_role("button", name="Open all").click()
    for _ in range(4):
        tower.get_by_role("button", name="Zoom in").click()
    tower.locator("#walk-view").evaluate("view => view.scrollTo({ top: 0, behavior: 'instant' })")
    block(tower, "tokens").scroll_into_view_if_needed()
    there = block(tower, "tokens").bounding_box()
    tower.mouse.move(there["x"] + 30, there["y"] + 30)
    tower.mouse.down()
    tower.mouse.move(there["x"] + 30, there["y"] - 20, steps=3)
    tower.mouse.up()
    assert block(tower, "tokens").bounding_box()["y"] == pytest.approx(there["y"] - 50, abs=2)
    assert tower.locator('.tree [aria-selected="true"]').count() == 0


def test_search_opens_and_jumps_also_to_what_repeats(tower):
    tower.locator("#walk-find").fill("blocks.7.down")
    assert tower.locator(".block.found b").inner_text() == "Linear 64→16"
    assert tower.locator("#walk-found").inner_text() == "1 of 1"
    tower.locator("#walk-find").fill("linear")
    told = []
    for _ in range(3):
        told.append(tower.locator(".block.found").get_attribute("data-path"))
        tower.locator("#walk-find").press("Enter")
    assert told == ["blocks.0.up", "blocks.0.down", "head"]
    tower.locator("#walk-find").fill("no such block")
    assert tower.locator("#walk-found").inner_text() == "nothing found"
    assert tower.locator(".block.found").count() == 0


def test_a_block_lights_up_with_its_row_and_its_lines(tower):
    block(tower, "head").hover()
    tower.wait_for_selector('#layers tr[data-path="head"].lit', state="attached")
    assert tower.locator(".stage path.on").count() == 2  # into it and out of it


def test_a_block_of_the_drawn_figure_leads_to_its_place(opened, alexnet_page):
    page = opened(alexnet_page)
    assert page.locator(".tree").is_hidden()  # a chain is drawn as papers draw it
    page.locator('#figure .wide [data-path="architecture.3"] .front').first.click()
    assert page.locator(".tree").is_visible()
    assert page.locator("#figure .wide").is_hidden()
    assert block(page, "architecture.3").is_visible()
    page.get_by_role("button", name="Overview").click()
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator("#figure .wide svg").bounding_box()["width"] > 1000


def test_paper_shows_the_whole_figure(tower):
    tower.get_by_role("button", name="Zoom in").click()
    tower.emulate_media(media="print")
    assert tower.locator(".stage").is_hidden()
    drawn = tower.locator("#figure .wide svg")
    assert drawn.is_visible()
    assert drawn.bounding_box()["width"] <= tower.locator("#figure").bounding_box()["width"]


def test_without_a_script_the_drawn_figure_stands_alone(opened, measured_page):
    page = opened(measured_page, java_script_enabled=False)
    assert page.locator("#figure .wide svg").is_visible()
    assert page.locator(".tools").first.is_hidden()
    assert page.locator("#figure button").first.is_hidden()


def test_a_model_of_few_blocks_begins_with_them_open(opened, pyramid_page):
    page = opened(pyramid_page)
    assert names(page)[:4] == ["input 8", "Encoder", "Linear 8→9", "Linear 9→10"]
    assert len(names(page)) == 4 + 6 + 18  # the top, and what is in its two modules
    page.get_by_role("button", name="Close all").click()
    encoder = block(page, "encoder")
    assert encoder.locator("span").all_inner_texts()[2:4] == ["6 outputs", "9, 10, 11, 12, 13, 14"]
    assert "6 outputs; 9, 10, 11, 12, 13, 14" in encoder.get_attribute("aria-label")


def test_two_thousand_layers_open_in_runs_that_a_phone_can_show(opened, long_page):
    page = opened(long_page, viewport={"width": 390, "height": 844})
    assert len(names(page)) <= 50
    page.locator("#walk-find").fill("1234→")
    found = page.locator(".block.found")
    assert found.get_attribute("data-path") == "1226"
    assert len(names(page)) <= 100
    box = found.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert found.locator("b").evaluate("one => one.getBoundingClientRect().height") > 12
    page.get_by_role("button", name="Open all").click()
    assert len(names(page)) > 2_000
