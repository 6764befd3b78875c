"""What the report says: the numbers of the JSON, names as text, failures."""

from __future__ import annotations

import pytest
from report_models import ODD_NAMES
from report_pages import lit, visible_names

from alexnet_cli import units
from alexnet_cli.analyses.findings.rules import OF_LANGUAGE, OF_WIRING, is_shown
from alexnet_cli.graphics.text import visible


def numbers_in(page, key: str) -> dict[str, str]:
    """Return a column of the layer table by path: its sort keys if it has them, else its text."""
    return page.evaluate(
        """key => {
          const table = document.getElementById("layer-table");
          const column = [...table.tHead.rows[0].cells].findIndex(head => head.dataset.key === key);
          const rows = [...table.tBodies[0].rows].filter(row => !row.classList.contains("group"));
          const said = cell => cell.dataset.v ?? cell.firstChild?.textContent ?? "";
          return Object.fromEntries(rows.map(row => [row.dataset.path, said(row.cells[column])]));
        }""",
        key,
    )


def test_parameters_and_macs_equal_the_json(opened, alexnet_page, alexnet):
    page = opened(alexnet_page)
    rows = [row for row in alexnet("summary", "--json").json["layers"] if row["leaf"]]
    for key in ("params", "macs"):
        shown = {path: int(text.replace(",", "")) for path, text in numbers_in(page, key).items()}
        assert shown == {row["path"]: row[key] for row in rows}
    assert sum(shown.values()) == 1_135_256_096


def test_saved_bytes_equal_the_json(opened, alexnet_page, alexnet):
    shown = {path: int(text) for path, text in numbers_in(opened(alexnet_page), "saved_bytes").items()}
    assert shown == {row["path"]: row["saved_bytes"] for row in alexnet("memory", "--json").json["layers"]}
    assert sum(shown.values()) == 4_725_004


def test_the_peak_equals_the_json(opened, alexnet_page, alexnet):
    told = alexnet("memory", "--json").json["training"]["peak"]
    section = opened(alexnet_page).locator("#memory")
    assert units.size(told["bytes"]) in section.inner_text()
    rows = section.locator("tbody tr").all_inner_texts()
    assert sorted(row.split("\t")[1] for row in rows) == sorted(map(units.size, told["live_bytes"].values()))


def test_intensity_and_time_equal_the_json(opened, alexnet_page, alexnet):
    page = opened(alexnet_page)
    layers = alexnet("cost", "--gpu", "t4", "--json").json["layers"]
    for key in ("intensity", "seconds"):
        shown = numbers_in(page, key)
        for row in layers:
            told = row[key]
            assert (float(shown[row["path"]]) == pytest.approx(told)) if told is not None else shown[row["path"]] == ""


def test_receptive_fields_equal_the_json(opened, alexnet_page, alexnet):
    page = opened(alexnet_page)
    texts = dict(
        page.evaluate(
            """() => {
              const table = document.getElementById("layer-table");
              const column = [...table.tHead.rows[0].cells].findIndex(head => head.dataset.key === "size");
              return [...table.tBodies[0].rows].map(row => [row.dataset.path, row.cells[column].textContent]);
            }"""
        )
    )
    for row in alexnet("receptive-field", "--json").json["layers"]:
        told = row["size"]
        assert texts[row["path"]] == ("all" if told is None else units.shape(tuple(told)))
    assert texts["architecture.12"] == "195×195"


def test_every_finding_is_shown_with_its_verdict_and_evidence(opened, alexnet_page, alexnet):
    section = opened(alexnet_page).locator("#findings")
    shown = section.locator("details").all_inner_texts()
    everything = alexnet("explain", "--json").json["findings"]
    findings = [each for each in everything if is_shown(each["code"], each["verdict"])]
    left_out = {each["code"] for each in everything if each not in findings}
    assert left_out == {*OF_LANGUAGE, *OF_WIRING}  # it is no language model, and is wired well
    assert len(shown) == len(findings)
    for text, finding in zip(shown, findings, strict=True):
        assert finding["claim"] in text
        assert finding["verdict"].replace("_", " ") in text
        for piece in finding["evidence"][:5]:
            assert piece["text"] in text


def test_a_failed_forward_comes_first(opened, failed_page):
    page = opened(failed_page)
    told = page.locator(".failure").inner_text()
    assert "architecture.14" in told
    assert "takes 9216 features but got 6400" in told
    assert "square inputs from 227 to 258 fit" in told
    assert visible_names(page)[-1] == "architecture.14 failed"
    assert "Memory over the step: the forward failed." in page.locator("footer").inner_text()
    assert page.locator("#memory").count() == 0


def test_odd_names_are_shown_as_text(opened, odd_page):
    page = opened(odd_page)
    paths = page.locator("#layer-table tbody small").all_inner_texts()
    for name in ODD_NAMES:
        assert visible(name) in paths
    assert page.locator("script").count() == 2  # ours, and the blocks of the figure
    for name in ODD_NAMES:
        row = page.locator("#layer-table tbody tr").nth(1 + ODD_NAMES.index(name))
        row.locator("th").hover()
        page.wait_for_selector("#balance .lit", state="attached")
        assert lit(page, "#layers tbody") == [visible(name)]
