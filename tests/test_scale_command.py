"""`alexnet scale`: laws derived by hand, exact at sizes that they were not found from, and what it says otherwise."""

from __future__ import annotations

import json
from fractions import Fraction
from math import prod
from pathlib import Path

import jsonschema
import pytest
import torch
from scaled_models import edges

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.cli.schema import json_schema

MODELS = Path(__file__).parent / "scaled_models.py"


def target(name: str) -> str:
    return f"{MODELS}:{name}"


def law_of(answer: dict, quantity: str, layer_type: str | None = None) -> dict:
    return next(law for law in answer["laws"] if (law["quantity"], law.get("type")) == (quantity, layer_type))


def terms(law: dict) -> dict[tuple, Fraction]:
    return {tuple(sorted(term["powers"].items())): Fraction(term["coefficient"]) for term in law["terms"]}


def product_of(term: dict, known: dict[str, int]) -> int:
    return prod(known[name] ** power for name, power in term["powers"].items())


def value(answer: dict, law: dict, sizes: dict[str, int]) -> Fraction:
    """Read a law as its JSON says it."""
    known = sizes | {
        step["name"]: (sizes[step["dimension"]] + step["offset"]) // step["divisor"] for step in answer["steps"]
    }
    pieces = [law["terms"]] if law["terms"] else [piece["terms"] for piece in law["pieces"]]
    if law["pieces"] and len(sizes) == 1:
        [size] = sizes.values()
        pieces = [piece["terms"] for piece in law["pieces"] if (piece["least"] or 0) <= size <= (piece["most"] or size)]
        assert len(pieces) == 1
    values = [sum(Fraction(term["coefficient"]) * product_of(term, known) for term in piece) for piece in pieces]
    return (min if law["piecewise"] == "smallest" else max)(values)


def measured(name: str, input_size: str | list[str], batch: int) -> dict[str, int]:
    """Return what the other commands say of a run at these sizes."""
    look = inspect(name, input_size=input_size, batch_size=batch)
    cost, memory = look.cost().totals, look.memory()
    return {
        "params": look.report.totals.params,
        "macs": cost.macs,
        "bytes_moved": cost.bytes_read + cost.bytes_written,
        "peak_forward_bytes": memory.inference.peak_bytes,
        "saved_bytes": memory.training.saved_activation_bytes,
        "peak_training_bytes": memory.training.peak_bytes,
    }


def is_exact(answer: dict, name: str, batch: int, sizes: dict[str, int], input_size: str, *, ran: bool = False) -> None:
    assert ran or sizes not in answer["ran"], "not held out"
    found = measured(name, input_size, batch)
    for quantity, expected in found.items():
        assert value(answer, law_of(answer, quantity), sizes) == expected, (quantity, sizes)


TEN = [(2, 61), (3, 20), (4, 33), (7, 57), (8, 100), (10, 77), (12, 41), (13, 64), (16, 22), (31, 90)]
"""Batches and sizes, odd and even, small and large."""


# ── four kinds of networks ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_convolution_net(alexnet):
    """Of an n×n image the first convolution (3, stride 2, padding 1) makes u×u units, u = ⌊(n + 2 − 3)/2⌋ + 1.

    That is ⌊(n + 1)/2⌋. Pooling by 2 leaves v = ⌊u/2⌋ = ⌊(n + 1)/4⌋, and the second convolution (3, padding 1) keeps v.
    """
    name = target("convolutions")
    answer = alexnet("scale", name, "-i", "3,32,32", "--over", "batch,image", "--json").json
    jsonschema.validate(answer, json_schema("scale"))
    u, v = "image/2+1", "image/4+1"
    assert {(step["name"], step["divisor"], step["offset"]) for step in answer["steps"]} == {(u, 2, 1), (v, 4, 1)}
    assert terms(law_of(answer, "macs")) == {
        (("batch", 1), (u, 2)): 8 * 3 * 9,  # each of 8 channels sums 3·3·3 products
        (("batch", 1), (v, 2)): 16 * 8 * 9,
        (("batch", 1),): 64 * 10,
    }
    assert terms(law_of(answer, "macs", "Linear")) == {(("batch", 1),): 640}
    assert terms(law_of(answer, "saved_bytes")) == {
        (("batch", 1), ("image", 2)): 4 * 3,  # the image, for the first convolution's weights
        (("batch", 1), (u, 2)): 4 * 8,  # what ReLU returns, which pooling reads too
        (("batch", 1), (v, 2)): 8 * 8 + 4 * 8 + 4 * 16,  # int64 places of the maxima, and what both later layers read
        (("batch", 1),): 4 * 64,  # what the linear layer reads
    }
    assert terms(law_of(answer, "params")) == {(): 8 * 27 + 8 + 16 * 72 + 16 + 640 + 10}
    for batch, size in TEN:
        is_exact(answer, name, batch, {"batch": batch, "image": size}, f"3,{size},{size}")


def test_an_encoder(alexnet):
    """Each of 2 layers of width d = 64 and inner width f = 256 has per token 4·d² + 2·d·f, and per pair of tokens 2·d.

    The four square matrices are those of queries, keys, values and output; scores and their sums of values take d each.
    """
    name = target("encoder")
    answer = alexnet("scale", name, "-i", "32,64", "--over", "batch,sequence", "--json").json
    both = (("batch", 1), ("sequence", 1))
    assert terms(law_of(answer, "macs")) == {
        both: 2 * (4 * 64**2 + 2 * 64 * 256),
        (("batch", 1), ("sequence", 2)): 2 * 2 * 64,
    }
    assert terms(law_of(answer, "macs", "Linear")) == {both: 2 * 2 * 64 * 256}
    for batch, size in TEN:
        is_exact(answer, name, batch, {"batch": batch, "sequence": size}, f"{size},64")


def test_a_decoder(alexnet):
    """Width d = 32: qkv 3·d², output d², the inner layer 2·4·d², the head 100·d; attention 2·d per pair of places."""
    name = target("Decoder")
    answer = alexnet("scale", name, "-i", "16:int64", "--over", "batch,sequence", "--json").json
    assert terms(law_of(answer, "macs")) == {
        (("batch", 1), ("sequence", 1)): 32 * 32 * (3 + 1 + 8) + 100 * 32,
        (("batch", 1), ("sequence", 2)): 2 * 32,
    }
    for batch, size in TEN:
        is_exact(answer, name, batch, {"batch": batch, "sequence": size}, f"{size}:int64")


def test_a_lookup_reads_no_more_than_the_table(alexnet):
    """With more than 100 tokens the 100 rows of the table are read once: 128 bytes per token less from 101 on."""
    answer = alexnet("scale", target("Decoder"), "-i", "16:int64", "--over", "sequence", "--json").json
    law = law_of(answer, "bytes_moved")
    assert law["piecewise"] == "smallest"
    few, many = law["pieces"][:2]
    assert (few["least"], few["most"], many["least"]) == (None, 100, 101)
    first, second = terms(few), terms(many)
    sequence, constant = (("sequence", 1),), ()
    assert first[sequence] - second[sequence] == 4 * 32
    assert second[constant] - first.get(constant, 0) == 100 * 4 * 32
    for size in (7, 60, 99, 100, 101, 102, 150, 300, 511):
        is_exact(answer, target("Decoder"), 1, {"sequence": size}, f"{size}:int64")


def test_a_table_of_positions_ends_what_runs(alexnet):
    """512 places have a vector; longer sequences, such as the one that far-off proofs try, do not run."""
    answer = alexnet("scale", target("Decoder"), "-i", "16:int64", "--over", "sequence")
    assert "It runs from sequence 1 to 512: beyond" in answer.out


def test_an_lstm(alexnet):
    """Per step and sample 4 gates of 48: 4·48·(32 + 48) in the first layer, 4·48·(48 + 48) in the second; then 48·10.

    It runs more operators for longer sequences, so that its laws are found from sums, not part by part.
    """
    name = target("Recurrent")
    answer = alexnet("scale", name, "-i", "8,32", "--over", "batch,sequence", "--json").json
    both = (("batch", 1), ("sequence", 1))
    assert terms(law_of(answer, "macs")) == {both: 4 * 48 * (32 + 48) + 4 * 48 * (48 + 48) + 48 * 10}
    assert terms(law_of(answer, "macs", "LSTM")) == {both: 4 * 48 * (32 + 48 + 48 + 48)}
    for batch, size in TEN:
        length = size // 4 + 1  # a run is as long as the sequence
        is_exact(answer, name, batch, {"batch": batch, "sequence": length}, f"{length},32")


# ── AlexNet ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_alexnet_by_batch(alexnet):
    answer = alexnet("scale", "--json").json
    jsonschema.validate(answer, json_schema("scale"))
    batch = (("batch", 1),)
    assert terms(law_of(answer, "macs")) == {batch: 1_135_256_096}
    assert terms(law_of(answer, "saved_bytes")) == {batch: 4_725_004}
    assert law_of(answer, "peak_training_bytes")["piecewise"] == "largest"
    for size in (4, 7, 8, 31, 64, 100, 128, 137, 138, 200, 1000):
        is_exact(answer, "alexnet", size, {"batch": size}, "3,227,227")


def test_alexnet_owt_by_image_goes_in_steps(alexnet):
    """n₄ = ⌊(n + 4 − 11)/4⌋ + 1 = ⌊(n − 3)/4⌋; each pooling (3, stride 2) makes ⌊(m − 3)/2⌋ + 1 = ⌊(m − 1)/2⌋ of m.

    So n₈ = ⌊(n − 7)/8⌋, n₁₆ = ⌊(n − 15)/16⌋ and n₃₂ = ⌊(n − 31)/32⌋.
    """
    answer = alexnet("scale", "alexnet-owt", "--over", "image", "--json").json
    steps = {step["divisor"]: (step["name"], step["offset"]) for step in answer["steps"]}
    assert {divisor: offset for divisor, (_, offset) in steps.items()} == {4: -3, 8: -7, 16: -15, 32: -31}
    name = {divisor: name for divisor, (name, _) in steps.items()}
    assert terms(law_of(answer, "macs")) == {
        ((name[4], 2),): 64 * 3 * 11**2,
        ((name[8], 2),): 192 * 64 * 5**2,
        ((name[16], 2),): (384 * 192 + 256 * 384 + 256 * 256) * 3**2,
        (): 256 * 36 * 4096 + 4096 * 4096 + 4096 * 1000,
    }
    for size in (63, 97, 128, 191, 226, 230, 256, 299, 384, 511, 640):
        is_exact(answer, "alexnet-owt", 1, {"image": size}, f"3,{size},{size}")


def test_alexnet_says_at_which_images_it_runs(alexnet):
    answer = alexnet("scale", "--over", "image")
    assert answer.code == 0
    assert "It runs from image 227 to 258" in answer.out
    assert "takes 9216 features but got" in answer.out
    told = alexnet("scale", "--over", "image", "--json").json
    assert all(227 <= sizes["image"] <= 258 for sizes in told["ran"])
    for size in (228, 231, 233, 235, 238, 244, 247, 248, 250, 253):
        is_exact(told, "alexnet", 1, {"image": size}, f"3,{size},{size}")


def unread_by_gradient(size: int) -> int:
    image = torch.zeros(1, 1, size, size, requires_grad=True)
    edges()(image).sum().backward()
    assert image.grad is not None
    return size - 1 - int(image.grad[0, 0].any(0).nonzero().max())


def test_pixels_at_the_edges_that_no_window_reads(alexnet):
    found = alexnet("scale", "--over", "image", "--json").json["edges"]
    assert found["jump"] == 32
    assert [each["size"] for each in found["sizes"]] == list(range(227, 259))
    for each in found["sizes"]:
        assert each["pixels"] == unread_by_gradient(each["size"]), each
    assert found["sizes"][0]["pixels"] == 0


# ── what fits ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("capacity", ["700MB", "1GiB", "12GiB"])
def test_the_largest_batch_is_that_of_memory(alexnet, capacity):
    fit = alexnet("memory", "--capacity", capacity, "--json").json["fit"]
    found = alexnet("scale", "--until", capacity, "--json").json["until"]
    largest = {each["quantity"]: each for each in found["largest"]}
    assert largest["peak_forward_bytes"]["size"] == fit["largest_batch_inference"]
    assert largest["peak_training_bytes"]["size"] == fit["largest_batch_training"]
    for each in largest.values():
        assert each["verified"]
        assert (each["bytes"] or 0) <= fit["capacity_bytes"] < each["next_bytes"]


def test_nothing_fits(alexnet):
    answer = alexnet("scale", "--until", "1MB", "--json").json
    assert [(each["size"], each["bytes"]) for each in answer["until"]["largest"]] == [(0, None)] * 2
    assert "none fits" in alexnet("scale", "--until", "1MB").out


def test_more_would_fit_than_runs(alexnet):
    answer = alexnet("scale", "--over", "image", "--until", "24GiB", "--json").json
    for each in answer["until"]["largest"]:
        assert (each["size"], each["limited"], each["next_bytes"]) == (258, True, None)


# ── dimensions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_masks_change_with_the_tokens(alexnet):
    sizes = ["-i", "input_ids=16:int64", "-i", "attention_mask=16:int64"]
    answer = alexnet("scale", target("Masked"), *sizes, "--over", "sequence", "--json").json
    assert answer["dimensions"] == [{"name": "sequence", "axes": [[0, 1], [1, 1]], "size": 16}]
    assert terms(law_of(answer, "macs")) == {(("sequence", 1),): 64}
    joined = alexnet("scale", target("Masked"), *sizes, "--over", "input_ids.1+attention_mask.1", "--json").json
    assert terms(law_of(joined, "macs")) == {(("input_ids.1+attention_mask.1", 1),): 64}


def test_two_lengths(alexnet):
    sizes = ["-i", "source_ids=16:int64", "-i", "target_ids=24:int64"]
    answer = alexnet("scale", target("TwoLengths"), *sizes, "--over", "source_ids.1,target_ids.1", "--json").json
    one, two = ("source_ids.1", 1), ("target_ids.1", 1)
    assert terms(law_of(answer, "macs")) == {(two,): 64, (one, two): 8}
    refused = alexnet("scale", target("TwoLengths"), *sizes, "--over", "sequence")
    assert refused.code == 2
    assert "known: batch (1), context (16), source_ids.1 (16), target_ids.1 (24)" in refused.err


def test_sizes_in_a_lattice(alexnet):
    """The model takes multiples of 4 alone: 16·2·(n/4)² products down, and as many up."""
    answer = alexnet("scale", target("Even"), "-i", "1,64,64", "--over", "image", "--json").json
    assert all(sizes["image"] % 4 == 0 for sizes in answer["ran"])
    assert any(refused["sizes"]["image"] % 4 for refused in answer["refused"])
    for size in (8, 12, 28, 44, 60, 84, 100, 140, 200, 444):
        is_exact(answer, target("Even"), 1, {"image": size}, f"1,{size},{size}")


def test_another_law_from_a_size_on(alexnet):
    """Up to 40 places all are seen, 8·s² products; beyond, each sees 40, 8·40·s; the linear layer has 64 per place."""
    answer = alexnet("scale", target("Windowed"), "-i", "16,8", "--over", "sequence", "--json").json
    near, far = law_of(answer, "macs")["pieces"]
    assert (near["least"], near["most"], far["least"], far["most"]) == (None, 40, 41, None)
    assert terms(near) == {(("sequence", 2),): 8, (("sequence", 1),): 64}
    assert terms(far) == {(("sequence", 1),): 64 + 8 * 40}
    for size in (4, 9, 21, 30, 37, 60, 90, 222, 500, 1000):
        is_exact(answer, target("Windowed"), 1, {"sequence": size}, f"{size},8")
    for size in (38, 39, 40, 41, 42, 43):
        is_exact(answer, target("Windowed"), 1, {"sequence": size}, f"{size},8", ran=True)


@pytest.mark.parametrize("base", [16, 30, 64])
def test_two_windows(alexnet, base):
    """They are found from below, from between and from above: 8·s products per place in sight, 64 per place."""
    answer = alexnet("scale", target("TwoWindows"), "-i", f"{base},8", "--over", "sequence", "--json").json
    pieces = law_of(answer, "macs")["pieces"]
    assert [(piece["least"], piece["most"]) for piece in pieces] == [(None, 12), (13, 50), (51, None)]
    square, line = (("sequence", 2),), (("sequence", 1),)
    assert [terms(piece) for piece in pieces] == [
        {square: 16, line: 64},
        {square: 8, line: 64 + 8 * 12},
        {line: 64 + 8 * (12 + 50)},
    ]
    near, between = (4, 5, 7, 8, 9, 10, 11), (15, 16, 17, 19, 20, 22, 27, 33, 41, 47)
    far = (53, 55, 61, 70, 90, 128, 222, 300, 511, 1000)
    for size in (*near, *between, *far) if base == 30 else (9, 20, 222):
        is_exact(answer, target("TwoWindows"), 1, {"sequence": size}, f"{size},8")


@pytest.mark.parametrize("base", [16, 64])
def test_a_window_that_changes_no_operator(alexnet, base):
    answer = alexnet("scale", target("Clamped"), "-i", f"{base},8", "--over", "sequence", "--json").json
    near, far = law_of(answer, "macs")["pieces"]
    assert (near["least"], near["most"], far["least"], far["most"]) == (None, 40, 41, None)
    for size in (4, 9, 21, 39, 43, 44, 90, 222):
        is_exact(answer, target("Clamped"), 1, {"sequence": size}, f"{size},8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--over", "length"], "known: batch (1), image (227), x.1 (3), x.2 (227), x.3 (227)"),
        (["--over", "batch,batch"], "name each dimension once"),
        (["--over", "image,x.2"], "name each dimension once"),
        (["--over", "x.1+x.2"], "cannot change together: x.1 is 3, x.2 is 227"),
        (["--over", ""], "no dimension that ''"),
        (["--until", "24"], "24GiB"),
        (["--optimizer", "adma"], "did you mean adam?"),
        (["--amp", "int8"], "bf16"),
    ],
)
def test_what_does_not_parse(alexnet, arguments, said):
    answer = alexnet("scale", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_a_saved_report_cannot_be_run_at_other_sizes(alexnet, tmp_path):
    saved = tmp_path / "report.json"
    saved.write_text(alexnet("summary", "--json").out)
    answer = alexnet("scale", str(saved))
    assert answer.code == 2
    assert "cannot be run" in answer.err


def test_a_graph_of_one_batch(alexnet, tmp_path):
    fixed = str(tmp_path / "net.pt2")
    assert alexnet("export", target("convolutions"), "-i", "3,32,32", "-o", fixed).code == 0
    answer = alexnet("scale", fixed)
    assert answer.code == 2
    assert "the model runs only with a batch of 1, not 2" in answer.err


def test_an_exported_program_with_an_open_batch(alexnet, tmp_path):
    """Per sample 8·16 + 16·4 products."""
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    sizes = ({0: torch.export.Dim("b")},)
    torch.export.save(torch.export.export(net, (torch.zeros(2, 8),), dynamic_shapes=sizes), tmp_path / "net.pt2")
    answer = alexnet("scale", str(tmp_path / "net.pt2"), "--json").json
    assert terms(law_of(answer, "macs")) == {(("batch", 1),): 192}


def test_a_narrow_page_has_whole_formulas(alexnet):
    out = alexnet("scale", "alexnet-owt", "--over", "batch,image", "--width", "80").out
    assert "…" not in out.partition("Symbols")[0]


def test_a_model_that_fails(alexnet):
    answer = alexnet("scale", "-i", "3,224,224", "--json")
    assert answer.code == 4
    assert answer.json["laws"] == []
    assert "takes 9216 features but got 6400" in answer.json["error"]["message"]


# ── formats and Python ───────────────────────────────────────────────────────────────────────────────────────────────


def test_as_a_table(alexnet):
    out = alexnet("scale").out
    assert "1,135,256,096⋅b" in out
    assert "4 ≤ b ≤ 137" in out
    assert "Proved at batch" in out


def test_as_latex(alexnet):
    out = alexnet("scale", "alexnet-owt", "--over", "image", "-f", "latex").out
    assert r"$23{,}232\,n_{4}^{2} + 307{,}200\,n_{8}^{2} + 2{,}138{,}112\,n_{16}^{2} + 58{,}621{,}952$" in out
    assert r"$\lfloor (n - 3) / 4\rfloor $" in out


@pytest.mark.parametrize("name", ["csv", "markdown", "html", "svg"])
def test_other_formats(alexnet, name):
    answer = alexnet("scale", "-f", name)
    assert answer.code == 0
    assert "1,135,256,096" in answer.out


def test_from_python(alexnet):
    look = inspect("alexnet")
    assert look.scale().json() == alexnet("scale", "--json").out
    live = inspect(edges(), torch.zeros(2, 1, 227, 227))
    told = json.loads(live.scale(over="batch,image").json())
    assert {each["name"]: each["size"] for each in told["dimensions"]} == {"batch": 2, "image": 227}
    with pytest.raises(AlexnetError, match="no dimension"):
        live.scale(over="sequence")
