"""What `fit` does where no step fits that trains everything: adapters, frozen parts, a smaller batch."""

from __future__ import annotations

import os
import re

import pytest
from small import NETWORKS
from test_patch import APART, emitted, real_peak, tensors_of
from torch import nn

from alexnet_cli import inspect
from alexnet_cli.analyses.fitting.chain import chain_of
from alexnet_cli.analyses.fitting.layers import from_block, linear_layers
from alexnet_cli.analyses.fitting.tried import Changed
from alexnet_cli.analyses.memory import peak_of, timeline
from alexnet_cli.session.how import Lora, TrainingStep, how_to_run
from alexnet_cli.session.session import Live, Session, Variation
from alexnet_cli.views.patch_trained import patterns_of

RANK = 4


def of(name, *, blocks=0, four_bits=None, checkpoint=0):
    """Return the session of a network and a step of it, with adapters or with its first blocks frozen."""
    build, shape, batch = NETWORKS[name]
    session = Session(Live(build()), how_to_run(input_size=[shape], batch_size=batch)).as_on_cpu()
    report = session.report()
    chain = chain_of(report)
    step = TrainingStep(
        "adamw",
        lora=None if four_bits is None else Lora(RANK, linear_layers(report), four_bits),
        trained=from_block(report, chain, blocks) if blocks else (),
        checkpoint=tuple(block.paths for block in chain[:checkpoint]),
    )
    return session, step


def traced(session, step):
    return session.once(Variation(step=step, on_meta=True))


def code_of(session, step):
    lora = step.lora or Lora(0, ())
    changed = Changed(
        None, step.optimizer, None, step.foreach, 1, step.checkpoint, lora.rank or None, lora.layers, lora.four_bits,
        step.trained,
    )  # fmt: skip
    return emitted(changed, modules={layer.path for layer in session.report().layers})


@pytest.fixture
def peft(monkeypatch):
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    return pytest.importorskip("peft")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("language", {"four_bits": False}),
        ("vision", {"four_bits": False, "checkpoint": 3}),
        ("language", {"four_bits": True}),
        ("alexnet", {"four_bits": True, "checkpoint": 8}),
        ("vision", {"blocks": 2}),
        ("unet", {"blocks": 3}),
        ("detector", {"blocks": 2, "checkpoint": 3}),
    ],
)
def test_the_emitted_code_takes_what_was_predicted(name, kind, request):
    if "four_bits" in kind:
        request.getfixturevalue("peft")
    if kind.get("four_bits"):
        pytest.importorskip("bitsandbytes")
    session, step = of(name, **kind)
    peak = peak_of(timeline(traced(session, step))).bytes
    real = real_peak(code_of(session, step), NETWORKS[name][0](), tensors_of(name, NETWORKS[name][2]))
    assert peak == pytest.approx(real, rel=APART)


@pytest.mark.parametrize("four_bits", [False, True])
def test_adapters_are_those_of_the_definition(four_bits):
    session, step = of("language", four_bits=four_bits)
    report = traced(session, step)
    layers = [part for path, part in NETWORKS["language"][0]().named_modules() if path in set(step.lora.layers)]
    assert len(layers) == 4 * 6
    by_role = {role: sum(s.bytes for s in report.tape.storages if s.role == role) for role in ("gradient", "buffer")}
    assert by_role["gradient"] == 4 * sum(RANK * (each.in_features + each.out_features) for each in layers)
    counts = [each.weight.numel() for each in layers]
    held = sum(n // 64 + 4 * -(-n // (64 * 256)) + 4 * (16 + 256 + 1) for n in counts)
    assert by_role["buffer"] == (held if four_bits else 0)
    whole = sum(each.nbytes for each in NETWORKS["language"][0]().parameters())
    packed = sum(4 * n - n // 2 for n in counts) if four_bits else 0
    parameters = sum(s.bytes for s in report.tape.storages if s.role == "parameter")
    assert parameters == whole - packed + by_role["gradient"]


def test_four_bits_are_those_of_bitsandbytes():
    bitsandbytes = pytest.importorskip("bitsandbytes")
    for rows, columns in ((64, 96), (300, 100)):
        held = bitsandbytes.nn.Linear4bit(columns, rows, bias=False, quant_type="nf4").to("cpu").weight
        state = held.quant_state
        assert held.nbytes == rows * columns // 2
        beside = (state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code)
        n = rows * columns
        assert [each.nbytes for each in beside] == [-(-n // 64), 4 * 16, 4, 4 * -(-n // (64 * 256)), 4 * 256]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["LlamaForCausalLM", "GPT2LMHeadModel", "BertForSequenceClassification"])
def test_all_linear_layers_but_the_output_layer_have_adapters_as_in_peft(name, peft):
    """With classification heads, peft leaves out what it knows by name."""
    import transformers

    few = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    few = {"n_embd": 32, "n_layer": 2, "n_head": 2} if name.startswith("GPT2") else few
    config = getattr(transformers, name).config_class(vocab_size=64, **few)
    model = getattr(transformers, name)(config)
    found = set(linear_layers(Session(Live(model), how_to_run(input_size=["16:int64"])).report()))
    task = "SEQ_CLS" if name.startswith("Bert") else "CAUSAL_LM"
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules="all-linear", task_type=task))
    wanted = {path for path, part in adapted.get_base_model().named_modules() if hasattr(part, "lora_A")}
    assert found == wanted


class Tied(nn.Module):
    """An embedding whose weight the head has too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(3))
        self.head = nn.Linear(8, 10, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def test_what_a_frozen_part_shares_stays_frozen():
    session = Session(Live(Tied()), how_to_run(input_size=["4:int64"], batch_size=2))
    step = TrainingStep("sgd", trained=("blocks.2", "head"))
    model = code_of(session, step)["changed"](Tied())
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {"blocks.2.0.weight", "blocks.2.0.bias"}
    held = sum(s.bytes for s in traced(session, step).tape.storages if s.role == "gradient")
    assert held == 4 * (8 * 8 + 8)


def test_patterns_match_the_layers_and_nothing_else():
    modules = [f"b.{at}.{name}" for at in range(12) for name in ("q", "mlp.0", "mlp.1", "mlp.2")]
    wanted = [path for path in modules if not path.endswith("mlp.1")]
    patterns = patterns_of(wanted, modules)
    assert {path for path in modules if re.fullmatch("|".join(patterns), path)} == set(wanted)
    assert len(patterns) == 3
    assert patterns_of(["0", "2"], ["0", "1", "2", "4"]) == ["0", "2"]
    assert patterns_of(['a"b', "c"], []) == ['a"b', "c"]


@pytest.mark.parametrize("name", ["vision", "detector"])
def test_the_smaller_batch_is_the_largest_that_fits(name):
    build, shape, batch = NETWORKS[name]
    look = inspect(build(), input_size=shape, batch_size=batch)
    asked = look.fit(budget="1TiB", optimizer="sgd").chosen.peak_bytes
    budget = int(0.75 * asked)
    kinds = ("checkpoint", "micro-batches", "amp", "foreach", "optimizer", "lora", "qlora", "freeze")
    found = look.fit(budget=f"{budget}B", optimizer="sgd", without=kinds).chosen
    assert found.kinds == ("batch",)
    peaks = [
        inspect(build(), input_size=shape, batch_size=size).fit(budget="1TiB", optimizer="sgd").chosen.peak_bytes
        for size in (found.step.batch_size, found.step.batch_size + 1)
    ]
    assert peaks[0] == found.peak_bytes <= budget < peaks[1]


def test_a_change_of_what_is_trained_comes_after_all_others():
    build, shape, batch = NETWORKS["vision"]
    look = inspect(build(), input_size=shape, batch_size=batch)
    asked = look.fit(budget="1TiB", optimizer="adamw").chosen.peak_bytes
    found = look.fit(budget=f"{int(0.8 * asked)}B", optimizer="adamw", lora=2)
    order = [each.change_of_result for each in found.candidates if each.fits]
    assert order == sorted(order)
    assert {"lora", "qlora", "batch"} <= {kind for each in found.candidates for kind in each.kinds}
    assert {each.step.lora_rank for each in found.candidates} == {None, 2}


def test_adapters_and_frozen_parts_are_tried_where_nothing_else_fits():
    model = nn.Sequential(*(nn.Sequential(nn.Linear(256, 256), nn.Tanh()) for _ in range(6)), nn.Linear(256, 4))
    weights = sum(each.nbytes for each in model.parameters())
    budget = f"{int(1.6 * weights)}B"  # less than weights and gradients
    look = inspect(model, input_size="256", batch_size=4)
    found = look.fit(budget=budget, optimizer="adamw", lora=2)
    assert found.chosen.kinds == ("lora",)  # before QLoRA, which rounds the weights too
    assert all(each.change_of_result > 2 for each in found.candidates if each.fits)
    without = look.fit(budget=budget, optimizer="adamw", without=["lora", "qlora"])
    assert without.chosen.kinds == ("freeze",)
    # of six alike blocks the last would take four times its weights more: gradient, moments, and what is at work
    assert without.chosen.step.trained == ("6",)
