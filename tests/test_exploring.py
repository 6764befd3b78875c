"""What `explore` shows, without a terminal: the tree, the numbers by row, the treemap, the lines of source."""

from __future__ import annotations

import pytest
from draw_reports import row
from helpers import trace_target
from hypothesis import given
from hypothesis import strategies as st
from test_docs import ROOT

from alexnet_cli.analyses.exploring.called_at import called_at
from alexnet_cli.analyses.exploring.explored import Explored
from alexnet_cli.analyses.exploring.outline import Shown
from alexnet_cli.analyses.exploring.treemap import Rectangle, squarified, treemap
from alexnet_cli.report import Generator, Model, Report, Totals
from alexnet_cli.stored import StoredTensor
from alexnet_cli.targets.checkpoint.read import checkpoint_report, stored_tensors
from alexnet_cli.views.explore import entry_facts


def at(depth, path, kind="Linear", params=0):
    return row(path, kind, "conv" if kind == "Conv2d" else "linear", depth=depth, params=params)


def made(*rows, name="Made"):
    params = sum(layer.params for layer in rows)
    totals = Totals(params, params, 0, 0, 4 * params, None, None, len(rows))
    return Report(Generator("alexnet", "0", None), Model("made", name, ""), None, None, tuple(rows), totals)


def tree():
    """A root with a stem of 5, a body of 1 + 2 + 3 with 4 of its own, and a head of 10."""
    return Explored(
        made(
            at(0, "", "Made"),
            at(1, "stem", "Linear", params=5),
            at(1, "body", "Block", params=4),
            at(2, "body.a", "Linear", params=1),
            at(2, "body.b", "Conv2d", params=2),
            at(2, "body.c", "Linear", params=3),
            at(1, "head", "Linear", params=10),
        )
    )


def names(explored, shown):
    return [explored.full_name(at) for at in explored.outline.visible(shown, explored.value)]


def test_a_tree_is_shown_in_its_order():
    assert names(tree(), Shown()) == ["Made", "stem", "body", "body.a", "body.b", "body.c", "head"]


def test_what_is_folded_hides_what_is_below():
    explored = tree()
    assert names(explored, Shown(folded=frozenset({2}))) == ["Made", "stem", "body", "head"]
    assert names(explored, Shown(folded=explored.outline.folded_below(1))) == ["Made", "stem", "body", "head"]
    assert names(explored, Shown(folded=explored.outline.folded_below(0))) == ["Made"]


@pytest.mark.parametrize(("most", "depth"), [(1, 1), (4, 1), (6, 1), (7, 2), (100, 2)])
def test_a_tree_opens_as_deep_as_there_is_room(most, depth):
    assert tree().outline.depth_within(most) == depth


def test_a_search_shows_what_has_all_words_and_what_that_is_below():
    explored = tree()
    folded = frozenset({2})  # a search opens it
    assert names(explored, Shown(folded=folded, words=("CONV",))) == ["Made", "body", "body.b"]
    assert names(explored, Shown(words=("linear", "body"))) == ["Made", "body", "body.a", "body.c"]
    assert names(explored, Shown(words=("nowhere",))) == []


def test_rows_below_one_another_are_sorted():
    explored = tree()  # a body of 10 and a head of 10 keep their order
    assert names(explored, Shown(by="params")) == ["Made", "body", "body.c", "body.b", "body.a", "head", "stem"]
    upward = ["Made", "stem", "body", "body.a", "body.b", "body.c", "head"]
    assert names(explored, Shown(by="params", upward=True)) == upward


def test_the_leaves_are_one_list():
    assert names(tree(), Shown(flat=True, by="params")) == ["head", "stem", "body.c", "body.b", "body.a"]
    assert names(tree(), Shown(flat=True, words=("conv",))) == ["body.b"]


def test_a_row_has_the_sums_of_what_is_below():
    explored = tree()
    assert [explored.value(at, "params") for at in range(7)] == [25, 5, 10, 1, 2, 3, 10]
    assert [explored.own_size(at, "params") for at in range(7)] == [0, 5, 4, 1, 2, 3, 10]


def test_the_paper_s_example():
    """Bruls, Huizing, van Wijk 2000, section 3: 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 by 4."""
    found = squarified([6, 6, 4, 3, 2, 2, 1], Rectangle(0, 0, 6, 4))
    assert found[0] == Rectangle(0, 0, 3, 2)
    assert found[1] == Rectangle(0, 2, 3, 2)
    assert found[2].height == pytest.approx(7 / 3)  # beside the 3: their row is 3 wide
    assert found[2].width == pytest.approx(4 / (7 / 3))
    assert found[3].y == pytest.approx(0)
    assert found[3].x == pytest.approx(3 + found[2].width)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=30), st.floats(1, 300), st.floats(1, 100))
def test_rectangles_have_their_sizes_and_fill_the_whole(sizes, width, height):
    found = squarified(sizes, Rectangle(0, 0, width, height))
    for size, each in zip(sizes, found, strict=True):
        assert each.width * each.height == pytest.approx(width * height * size / sum(sizes), rel=1e-6, abs=1e-9)
        assert -1e-6 <= each.x <= each.x + each.width <= width + 1e-6
        assert -1e-6 <= each.y <= each.y + each.height <= height + 1e-6
    for one, each in enumerate(found):
        for other in found[one + 1 :]:
            wide = min(each.x + each.width, other.x + other.width) - max(each.x, other.x)
            tall = min(each.y + each.height, other.y + other.height) - max(each.y, other.y)
            assert wide < 1e-6 * width or tall < 1e-6 * height


def test_tiles_fill_the_characters_once():
    explored = tree()
    found = treemap(explored, "params", 0, (60, 20))
    covered = {}
    for tile in found.inner():
        for x in range(tile.left, tile.right):
            for y in range(tile.top, tile.bottom):
                assert (x, y) not in covered
                covered[x, y] = tile
    titles = {(x, t.top) for t in found.tiles if t.opened for x in range(t.left, t.right)}
    assert covered.keys() | titles == {(x, y) for x in range(60) for y in range(20)}
    assert {explored.full_name(tile.at) for tile in found.inner()} == {
        "stem",
        "body",
        "body.a",
        "body.b",
        "body.c",
        "head",
    }
    assert next(tile for tile in found.inner() if tile.at == 2).own  # what the body itself holds
    assert sum(tile.size for tile in found.inner()) == 25


def test_what_is_too_small_is_counted_and_what_is_nothing_is_not():
    explored = Explored(made(at(0, ""), *(at(1, f"l{n}", params=10**n) for n in range(9))))
    found = treemap(explored, "params", 0, (20, 5))
    assert len(found.tiles) + found.too_small == 9
    assert found.too_small > 3
    assert treemap(tree(), "buffers", 0, (20, 5)).tiles == ()


def test_the_treemap_of_a_leaf_is_the_leaf():
    found = treemap(tree(), "params", 6, (20, 5))
    assert [(tile.at, tile.right, tile.bottom) for tile in found.tiles] == [(6, 20, 5)]


def test_arrows_find_the_tile_beside():
    found = treemap(tree(), "params", 0, (60, 20))
    for tile in found.inner():
        right = found.beside(tile, 1, 0)
        assert right is None or right.left >= tile.right
        if right is None:
            assert tile.right == 60
    assert found.at(0, 0) is not None
    assert found.at(60, 0) is None


TENSORS = (
    StoredTensor("0.weight", (2, 3), "float32", 6, 24),
    StoredTensor("0.bias", (2,), "float16", 2, 4),
    StoredTensor("1.weight", (2, 3), "float32", 6, 24, same_as="0.weight"),
    StoredTensor("1.running_mean", (5,), "float32", 5, 20, buffer=True),
    StoredTensor("scale", (1,), "float32", 1, 4),
)


def checkpoint():
    rows = (
        at(0, "", "Checkpoint", params=1),
        at(1, "0", "Linear", params=8),
        at(1, "1", "Linear"),
    )
    return Explored(made(*rows, name="Checkpoint"), tensors=TENSORS)


def test_the_tensors_of_a_checkpoint_are_below_their_modules():
    explored = checkpoint()
    found = names(explored, Shown())
    assert found == ["Checkpoint", "scale", "0", "0.weight", "0.bias", "1", "1.weight", "1.running_mean"]
    values = {explored.full_name(at): explored.value(at, "bytes") for at in range(len(found))}
    assert (values["0"], values["1"], values["Checkpoint"]) == (28, 20, 52)  # what is shared counts once
    assert explored.value(3, "shape") == (2, 3)
    assert explored.value(4, "dtype") == "float16"
    assert explored.value(7, "buffers") == 5
    assert names(explored, Shown(words=("float16",))) == ["Checkpoint", "0", "0.bias"]
    assert explored.measures == ("params", "bytes")


def test_a_key_with_empty_names_is_there_once():
    rows = [at(0, "", "Checkpoint"), at(1, "", "Parameters"), at(1, "a.", "Parameters")]
    tensors = [StoredTensor(key, (1,), "float32", 1, 4) for key in (".b", "a..b")]
    explored = Explored(made(*rows), tensors=tensors)
    assert [entry.tensor.key for entry in explored.outline.entries if entry.tensor] == [".b", "a..b"]


def test_what_is_stored_is_what_the_file_holds(tmp_path):
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "net.safetensors"
    save_file({"0.weight": torch.zeros(2, 3), "0.bias": torch.zeros(2, dtype=torch.bfloat16)}, path)
    explored = Explored(checkpoint_report(str(path)), tensors=stored_tensors(path))
    shown = {explored.full_name(at): at for at in range(len(explored.outline.entries))}
    assert explored.value(shown["0.bias"], "dtype") == "bfloat16"
    assert explored.value(shown["0.bias"], "bytes") == 4
    assert explored.value(0, "bytes") == 28
    facts = {fact.label: fact.value for block in entry_facts(explored, shown["0.bias"]) for fact in block.facts}
    assert facts["Key"] == "0.bias"
    assert facts["Layer"] == "0 Linear"


@pytest.fixture(scope="module")
def resnet():
    from alexnet_cli.targets.inputs import parse_input

    return trace_target(f"{ROOT}/docs/networks.py:ResNet", inputs=(parse_input("3,32,32"),), source=())


def test_each_row_knows_the_line_that_called_it(resnet):
    text = (ROOT / "docs" / "networks.py").read_text(encoding="utf-8").splitlines()
    places = called_at(resnet)
    lines = {layer.path: text[places[at][1] - 1] for at, layer in enumerate(resnet.layers) if at in places}
    assert "self.conv1(" in lines["conv1"]
    assert "self.fc(" in lines["fc"]
    assert "self.layer2(" in lines["layer2"]
    assert "self.layer2(" in lines["layer2.0"]  # torch's container calls it, on behalf of that line
    assert "self.conv2(" in lines["layer2.0.conv2"]
    assert "" not in lines  # nobody's line calls the model
    assert called_at(trace_target()) == {}


def test_all_that_is_known_about_a_layer(resnet):
    explored = Explored(resnet)
    at = next(at for at in range(len(resnet.layers)) if resnet.layers[at].path == "layer1.0.conv1")
    blocks = {block.title: {fact.label: fact.value for fact in block.facts} for block in entry_facts(explored, at)}
    assert blocks["Layer"]["Type"] == "Conv2d"
    assert str(blocks["Layer"]["Called at"]).rpartition(":")[2].isdigit()
    assert blocks["Settings"]["kernel_size"] == "[3, 3]"
    assert blocks["Shapes"]["Output"] == ((1, 64, 8, 8),)
    assert blocks["Parameters"]["Parameters"] == 64 * 64 * 9
    assert blocks["Cost"]["MACs"] == 64 * 64 * 9 * 8 * 8
    assert blocks["Memory"]["Output"] == 4 * 64 * 8 * 8
    assert blocks["Receptive field"]["Field"] == (19, 19)  # 7, pooled by 3: 7 + 2 * 2 = 11; then 3 in steps of 4: + 8
