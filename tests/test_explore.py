"""`alexnet explore`, driven through Textual's pilot and through a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from xml.etree import ElementTree as ET

import pexpect
import pytest
import torch
from draw_reports import row
from safetensors.torch import save_file
from test_docs import ROOT
from test_exploring import made

from alexnet_cli import explorer
from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.answers.explore import Exploration, explore
from alexnet_cli.errors import InternalError, UsageError
from alexnet_cli.explorer.app import Explorer
from alexnet_cli.graphics.text import Style
from alexnet_cli.session.how import how_to_run
from alexnet_cli.session.session import Named, Session

NARROW, WIDE = (80, 24), (200, 60)
COLOR = Style(color=True)


@pytest.fixture(scope="module")
def resnet() -> Exploration:
    how = how_to_run(input_size=["3,32,32"])
    return explore(Session(Named(f"{ROOT}/docs/networks.py:ResNet"), how, cache=False))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Exploration:
    path = tmp_path_factory.mktemp("explored") / "net.safetensors"
    state = {
        "conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
        "conv.bias": torch.zeros(2),
        "half": torch.ones(4).half(),
    }
    save_file(state, path)
    return explore(Session(Named(str(path))))


@dataclass
class Seen:
    """The lines of the screen, the entry under the cursor, the rows, and the application as it was at the end."""

    app: Explorer
    lines: list[str]
    selected: str
    rows: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


Step = str | tuple[str, int, int] | tuple[str, int, int, int]


def play(exploration, *steps: Step, size=NARROW, style=COLOR, look: Callable[[Explorer], object] | None = None) -> Seen:
    """Press keys, or click at (a selector, x, y, times), and return what is seen at the end."""
    return play_on(exploration, list(steps), size=size, style=style, look=look)[-1]


def play_on(exploration, *stages: list[Step], size=NARROW, style=COLOR, look=None) -> list[Seen]:
    """Play several stages, each where the one before ended, and return what is seen after each."""

    async def go() -> list[Seen]:
        app = Explorer(exploration, style)
        seen = []
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            for stage in stages:
                for are_keys, steps in groupby(stage, key=lambda step: isinstance(step, str)):
                    if are_keys:
                        await pilot.press(*steps)
                        continue
                    for where, x, y, *times in steps:
                        await pilot.click(where, offset=(x, y), times=times[0] if times else 1)
                await app.workers.wait_for_complete()
                await pilot.pause()
                if look is not None:
                    look(app)
                name = app._explored.full_name
                seen.append(Seen(app, screen(app), name(app.selected), [name(at) for at in app.rows.places]))
        return seen

    return asyncio.run(go())


def screen(app) -> list[str]:
    """Return the lines of the screen as a terminal gets them, filters included."""
    strips = app.screen._compositor.render_strips()
    background = app.screen.background_colors[1]
    lines = []
    for strip in strips:
        segments = list(strip)
        for each in app.get_line_filters():
            segments = each.apply(segments, background)
        lines.append("".join(segment.text for segment in segments))
    return lines


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_it_begins_with_the_tree_and_what_is_known_about_its_root(resnet, size):
    pictures: list[str] = []
    seen = play(resnet, size=size, look=lambda app: pictures.append(app.export_screenshot()))
    written = "".join(ET.fromstring(pictures[0]).itertext())
    assert all(name in written for name in ("conv1", "9,408", "layer1"))  # as an SVG too
    assert "ResNet" in seen.lines[0]
    assert re.search(r"Layer +Output +Parameters +MACs", seen.lines[1])
    assert re.search(r"▾ ResNet +1×1000 +4,589,864", seen.lines[2])
    assert re.search(r"conv1 Conv2d +1×64×16×16 +9,408", seen.text)
    assert "1×3×32×32" in seen.text
    assert len(seen.lines) == size[1]
    assert all(len(line) == size[0] for line in seen.lines)
    assert "Quit" in seen.lines[-1]


def test_keys_walk_and_the_pane_follows(resnet):
    seen = play(resnet, "down", "down", "j", "k")
    assert seen.selected == "bn1"
    assert re.search(r"Path bn1 .*Called at .*networks.py:\d+", seen.text)
    assert "num_features 64" in seen.text
    assert play(resnet, "down", "home").selected == "ResNet"
    assert play(resnet, "end").selected == "fc"
    assert play(resnet, "pagedown").selected != "ResNet"
    assert play(resnet, "G", "g").selected == "ResNet"


def test_rows_fold_and_open(resnet):
    folded = play(resnet, "1").rows
    assert folded == [
        "ResNet",
        "conv1",
        "bn1",
        "relu",
        "maxpool",
        "layer1",
        "layer2",
        "layer3",
        "avgpool",
        "flatten",
        "fc",
    ]
    opened = play(resnet, "1", *["down"] * 5, "right", "right")
    assert opened.selected == "layer1.0"
    assert opened.rows[5:9] == ["layer1", "layer1.0", "layer1.1", "layer1.2"]
    assert play(resnet, "1", *["down"] * 5, "right", "right", "left", "left").rows == folded
    assert play(resnet, "left").rows == ["ResNet"]
    assert len(play(resnet, "0").rows) == len(resnet.explored.outline.entries)
    assert play(resnet, "enter", "space").rows == play(resnet).rows
    assert play(resnet, "0", "end", "1").selected == "fc"


def test_the_cursor_stays_in_sight(resnet):
    seen = play(resnet, "0", *["down"] * 30)
    marked = [line for line in seen.lines if line.startswith("▌")]
    assert len(marked) == 1
    assert seen.selected.rpartition(".")[2] in marked[0]


def test_a_search_is_shown_while_it_is_typed(resnet):
    seen, first, after, before, ended = play_on(
        resnet, ["slash", *"conv1", "space", *"layer2"], ["enter"], ["n"], ["N", "N"], ["n", "n", "escape"]
    )
    found = [name for name in seen.rows if name.endswith("conv1")]
    assert found == ["layer2.0.conv1", "layer2.1.conv1", "layer2.2.conv1"]
    assert seen.selected == found[0]
    assert "search: conv1 layer2" in seen.lines[0]
    assert [each.selected for each in (first, after, before)] == [found[0], found[1], found[2]]
    assert ended.selected == found[1]  # the second after the last
    assert "fc" in ended.rows
    assert "search" not in ended.lines[0]
    assert "nothing is found" in play(resnet, "slash", *"nowhere").text


def test_rows_are_sorted_by_keys_and_by_the_header(resnet):
    by_params = play(resnet, "1", "s", "s")
    assert by_params.rows[:4] == ["ResNet", "layer3", "layer2", "fc"]
    assert "Parameters ▼" in by_params.lines[1]
    upward = play(resnet, "1", "s", "s", "r")
    assert upward.rows[-1] == "layer3"
    header = by_params.lines[1].index("Parameters")
    assert play(resnet, "1", ("#rows", header, 0)).rows == by_params.rows
    assert play(resnet, "1", ("#rows", header, 0), ("#rows", header, 0)).rows == upward.rows
    assert play(resnet, "1", "s", "s", "s", "s").rows == play(resnet, "1").rows
    assert play(resnet, "t", "s", "s").rows[0] == "layer3.0.conv2"  # of the leaves, the first of the largest


def test_the_mouse_goes_to_rows_and_folds_them(resnet):
    line = play(resnet, "1").rows.index("layer1") + 1
    assert play(resnet, "1", ("#rows", 20, line)).selected == "layer1"
    assert "layer1.0" in play(resnet, "1", ("#rows", 3, line)).rows
    assert "layer1.0" in play(resnet, "1", ("#rows", 20, line, 2)).rows
    assert play(resnet, "1", ("#rows", 20, 11), size=WIDE).selected == "fc"
    assert play(resnet, "1", ("#rows", 20, 30), size=WIDE).selected == "ResNet"  # below the last row


def test_columns_are_chosen(resnet):
    seen = play(resnet, "c", "down", "enter", "down", "enter", "down", "space", "escape", size=WIDE)
    assert seen.app.rows.columns == ("output_shapes", "family")
    assert re.search(r"Layer +Output +Family", seen.lines[1])
    assert play(resnet, "c", "escape").app.rows.columns == ("output_shapes", "params", "macs")
    shown = play(resnet, "c", style=Style(unicode=False))
    assert "[x] MACs" in shown.text
    assert "[ ] Field" in play(resnet, "c", "end").text


def test_columns_without_room_are_told(resnet):
    names = tuple(resnet.explored.columns)[:8]
    many = Exploration(explored=resnet.explored, columns=names, sort=None, statistics=resnet.statistics)
    assert "more columns" in play(many).lines[0]
    assert "more columns" not in play(many, size=WIDE).lines[0]


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_the_treemap_is_walked_by_keys_and_mouse(resnet, size):
    seen, into, further, moved = play_on(
        resnet, ["m"], ["enter"], ["enter"], ["backspace", "backspace", "right"], size=size
    )
    assert "Parameters of ResNet: 4,589,864" in seen.lines[1]
    assert "layer3 3.28 M" in seen.text
    assert "590 k" in seen.text  # 256 * 256 * 9
    assert seen.selected.startswith("layer3")
    assert "Parameters of layer3: 3,280,384" in into.lines[1]
    assert "Parameters of layer3.1" in further.lines[1]
    assert "Parameters of ResNet" in moved.lines[1]
    assert moved.selected != seen.selected
    assert f"Path {moved.selected}" in re.sub(" +", " ", moved.text)
    fc = next(tile for tile in seen.app.map.map.inner() if seen.app._explored.full_name(tile.at) == "fc")
    at_fc = ("#map", (fc.left + fc.right) // 2, 1 + (fc.top + fc.bottom) // 2)
    assert "MACs of ResNet" in play(resnet, "m", "b", size=size).lines[1]
    at, back = play_on(resnet, ["m", at_fc], ["m"], size=size)
    assert at.selected == back.selected == "fc"
    assert not back.app.shows_map


def test_a_tensor_of_a_checkpoint_is_read_when_it_is_asked_for(checkpoint):
    seen = play(checkpoint)
    assert re.search(r"Layer +Shape +Dtype +Bytes", seen.lines[1])
    assert re.search(r"weight +2×3×2×2 +float32 +96 B", seen.text)
    assert re.search(r"half +4 +float16 +8 B", seen.text)
    read = []
    watched = Exploration(
        explored=checkpoint.explored,
        columns=checkpoint.columns,
        sort=None,
        statistics=lambda key: read.append(key) or checkpoint.statistics(key),
    )
    assert "v reads its values" in play(watched, "slash", *"conv.weight", "enter").text
    assert read == []
    seen = play(watched, "slash", *"conv.weight", "enter", "v", "v")
    assert read == ["conv.weight"]
    said = " ".join(seen.text.split())
    assert "Values 24 zeros 1 not finite 0 least 0 most 23 mean 11.5 deviation 6.92219" in said  # sqrt((24² - 1) / 12)
    assert "only a tensor has values" in play(watched, "home", "v").text
    assert "Bytes of Checkpoint" in play(checkpoint, "m", "b").lines[1]


def test_a_failure_of_its_own_is_no_success(monkeypatch, checkpoint):
    monkeypatch.setattr("alexnet_cli.explorer.need_terminal", lambda: None)
    monkeypatch.setattr(Explorer, "run", lambda self: None)
    explorer.run(checkpoint)
    monkeypatch.setattr(Explorer, "return_code", 1)
    with pytest.raises(InternalError, match="explore failed"):
        explorer.run(checkpoint)


def test_what_cannot_be_read_is_said(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    seen = play(explore(Session(Named(str(tmp_path / "old.pt")))), "end", "v")
    said = " ".join(seen.text.split())  # the line is as long as the folder's name
    assert "older format" in said
    assert "save it again" in said


def large() -> Exploration:
    """5,151 rows: 50 blocks of 2 parts of 50 layers, and a name as wide as any and one that is no ASCII."""
    rows = [row("", "Made", "container", depth=0)]
    for block in range(50):
        rows.append(row(f"b{block}", "Block", "container"))
        for part in "xy":
            rows.append(row(f"b{block}.{part}", "Part", "container", depth=2))
            rows += [row(f"b{block}.{part}.{n}", depth=3, params=block * 50 + n) for n in range(50)]
    rows[3] = row("b0.x." + "long" * 40 + "\x1b[31m层", depth=3)
    explored = Explored(made(*rows))
    return Exploration(explored=explored, columns=explored.usual, sort=None, statistics=None)


def test_five_thousand_rows_draw_only_what_is_seen(monkeypatch):
    exploration = large()
    assert len(exploration.explored.outline.entries) == 5151
    asked: set[int] = set()
    value = Explored.value
    monkeypatch.setattr(Explored, "value", lambda self, at, name: asked.add(at) or value(self, at, name))
    seen = play(exploration, "0", "end", "pageup", "home")
    assert len(seen.rows) == 5151
    assert len(asked) < 150  # a few screens
    last = play(exploration, "0", "end")
    assert last.selected == "b49.y.49"
    assert "b49" in last.text or "49 Linear" in last.text
    found = play(exploration, "slash", *"b49.y.49", "enter")
    assert found.rows == ["Made", "b49", "b49.y", "b49.y.49"]
    assert play(exploration, "t", "s", "t", "0").rows[:3] == ["Made", "b49", "b49.x"]
    assert "Parameters of Made" in play(exploration, "m").lines[1]


PLAIN = [
    (("0", "down", "down", "down"), NARROW),
    (("0", "down", "down", "down"), (40, 12)),
    (("m",), WIDE),
    (("m",), (20, 6)),
    (("c",), NARROW),
    (("question_mark",), NARROW),
    (("slash", "x"), NARROW),
]
"""Keys, and the size of the screen."""


@pytest.mark.parametrize(("keys", "size"), PLAIN)
def test_without_unicode_all_is_ascii_and_without_colour_nothing_needs_one(keys, size):
    def is_plain(app):
        background = app.screen.background_colors[1]
        for strip in app.screen._compositor.render_strips():
            segments = list(strip)
            for each in app.get_line_filters():
                segments = each.apply(segments, background)
            for segment in segments:
                color = segment.style and (segment.style.color, segment.style.bgcolor)
                assert not color or all(each is None or each.is_default for each in color)

    seen = play(large(), *keys, size=size, style=Style(unicode=False), look=is_plain)
    assert seen.text.isascii()
    assert "\x1b" not in seen.text
    assert {len(line) for line in seen.lines} == {size[0]}
    if keys[0] == "0":
        assert sum(line.startswith(">") for line in seen.lines) == 1  # the cursor


def test_a_model_that_failed_is_shown_up_to_there(alexnet):
    failed = explore(Session(Named("alexnet"), how_to_run(input_size=["3,32,32"])))
    seen = play(failed)
    assert "failed" in seen.lines[0]
    assert failed.exit_code == 4


def test_the_columns_to_begin_with(tmp_path):
    session = Session(Named("alexnet"))
    found = explore(session, columns=["receptive-field"], sort="params")
    assert (found.columns, found.sort) == (("receptive_field", "params"), "params")
    first = next(at for at in play(found).app.rows.places if found.explored.layer(at).leaf)
    assert found.explored.layer(first).settings["in_features"] == 256 * 6 * 6  # the first dense layer is the largest
    with pytest.raises(UsageError, match="no column 'parms'"):
        explore(session, columns=["parms"])
    with pytest.raises(UsageError, match="no column is named"):
        explore(session, columns=[","])


def test_a_saved_report_is_walked_through(alexnet, tmp_path):
    alexnet("summary", "--json", "-o", str(tmp_path / "report.json"))
    seen = play(explore(Session(Named(str(tmp_path / "report.json")))), "down", "down")
    assert "Conv2d" in seen.text
    assert "saved_bytes" not in seen.app._explored.columns


def test_a_deep_tree_keeps_its_names_and_columns_in_sight():
    rows = [row(".".join("x" * depth), "Deep", "container", depth=depth, params=7) for depth in range(200)]
    explored = Explored(made(*rows))
    seen = play(Exploration(explored=explored, columns=explored.usual, sort=None, statistics=None), "0", "end")
    marked = next(line for line in seen.lines if line.startswith("▌"))
    assert re.search(r"x Deep +7$", marked.rstrip(" ▇█▁▂▃▄▅▆"))


@pytest.mark.parametrize("missing", ["terminal", "textual"])
def test_what_is_missing_is_told_before_any_work(alexnet, monkeypatch, missing):
    if missing == "textual":
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        for name in ("stdin", "stdout", "stderr"):
            monkeypatch.setattr(f"alexnet_cli.explorer.sys.{name}", Terminal(getattr(sys, name)))
        monkeypatch.setattr("alexnet_cli.explorer.find_spec", lambda name: None)
    monkeypatch.setattr("alexnet_cli.session.session.Session.report", lambda self: pytest.fail("it was loaded"))
    done = alexnet("explore")
    assert done.code == 2
    assert ("pip install 'alexnet-cli[explore]'" if missing == "textual" else "needs a terminal") in done.err
    assert done.out == ""


class Terminal:
    def __init__(self, stream):
        self._stream = stream

    def isatty(self):
        return True

    def __getattr__(self, name):
        return getattr(self._stream, name)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("options", [[], ["--ascii", "--no-color"]])
def test_in_a_real_terminal(alexnet, tmp_path, options):
    alexnet("summary", "--json", "-o", str(tmp_path / "report.json"))
    command = ["-m", "alexnet_cli", "explore", str(tmp_path / "report.json"), *options]
    encoding = "C" if options else "C.UTF-8"
    environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": encoding}
    child = pexpect.spawn(sys.executable, command, dimensions=(24, 80), env=environment, timeout=60, encoding="utf-8")
    child.expect("Parameters")
    child.send("m")
    child.expect("Parameters of AlexNet")
    child.send("\x03" if options else "q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "\x1b[?1049l" in child.before  # the screen is given back


def test_the_python_api_has_it(monkeypatch):
    import alexnet_cli

    with pytest.raises(UsageError, match="needs a terminal"):
        alexnet_cli.inspect("alexnet").explore()
