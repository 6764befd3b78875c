"""What runs on `meta` although torch's own kernels for it do not: the rows are those of the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet_cli.report import Report
from alexnet_cli.targets.example import Example
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions, TrainingStep
from alexnet_cli.tracing.recording import modes
from alexnet_cli.tracing.trace import trace


def traced(make, *inputs: str, notify=pytest.fail, **options) -> Report:
    subject = Subject("model", "", lambda: Loaded(make()))
    return trace(subject, TraceOptions(inputs=tuple(map(parse_input, inputs)), **options), notify)


def said(report: Report):
    """Return what must not depend on where the model ran."""
    return report.error, report.layers, report.totals


# ── mixtures of experts ──────────────────────────────────────────────────────────────────────────────────────────────


class Experts(nn.Module):
    """Six tokens of 8 features, each given to 2 of 4 experts of 16 hidden features."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(8, 4)
        self.up = nn.Parameter(torch.randn(4, 8, 16))
        self.down = nn.Parameter(torch.randn(4, 16, 8))

    def forward(self, tokens):
        tokens = tokens.flatten(0, 1)
        expert = self.gate(tokens).topk(2).indices.flatten()
        ends = torch.histc(expert.float(), 4, 0, 3).cumsum(0).to(torch.int32)
        hidden = torch._grouped_mm(tokens[expert.argsort() // 2], self.up, offs=ends).relu()
        return torch._grouped_mm(hidden, self.down, offs=ends)


needs_grouped = pytest.mark.skipif(not hasattr(torch, "_grouped_mm"), reason="torch has grouped products since 2.8")
MOE_MACS = 6 * 8 * 4 + 2 * (6 * 2) * 8 * 16
"""The gate for 6 tokens; then each of 6 × 2 rows meets one expert's 8 × 16 weights, up and down."""


@needs_grouped
@pytest.mark.parametrize("dtype", [None, "float64", "bfloat16", "float16"])
def test_a_mixture_of_experts_of_any_dtype_runs_on_meta(dtype):
    report = traced(Experts, "6,8", dtype=dtype)
    assert report.error is None
    assert report.totals.macs == MOE_MACS
    assert report.totals.uncounted_ops == ()


@needs_grouped
def test_a_mixture_of_experts_has_the_cpus_rows():
    real = traced(Experts, "6,8", device="cpu")
    if real.error is not None:
        pytest.skip("this torch has no kernel for it on the CPU")
    assert said(traced(Experts, "6,8")) == said(real)


@needs_grouped
@pytest.mark.parametrize("amp", [None, "bf16"])
def test_a_mixture_of_experts_is_trained_on_meta(amp):
    """The backward has two products for each grouped one; the gate gets no gradient, as only its indices are used."""
    report = traced(Experts, "6,8", step=TrainingStep("sgd", amp), mode="train")
    assert report.error is None
    assert report.tape is not None
    backward = sum(op.macs or 0 for op in report.tape.operations if op.phase == "backward")
    assert backward == (2 + 1) * 12 * 8 * 16  # the tokens themselves need no gradient


# ── higher-order operators ───────────────────────────────────────────────────────────────────────────────────────────


class Flex(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(64, 64)

    def forward(self, x):
        from torch.nn.attention.flex_attention import flex_attention

        heads = self.mix(x).unflatten(-1, (4, 16)).transpose(1, 2)
        return flex_attention(heads, heads, heads, score_mod=lambda score, *place: score + (place[2] - place[3]))


flex_can_be_seen = pytest.mark.skipif(
    "supports_higher_order_operators" not in vars(torch.utils._python_dispatch.TorchDispatchMode),
    reason="before 2.9 a dispatch mode cannot see higher-order operators",
)


@flex_can_be_seen
@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_flex_attention_counts_its_two_products(device):
    import torch.nn.attention.flex_attention as flex

    before = flex._validate_device
    report = traced(Flex, "8,64", device=device)
    assert report.error is None
    assert report.totals.macs == 8 * 64 * 64 + 2 * 4 * 8 * 8 * 16  # scores of 4 heads, and their sums of values
    assert report.totals.uncounted_ops == ()
    assert [row.family for row in report.layers if "flex" in row.path] == ["attention"]
    assert flex._validate_device is before


@flex_can_be_seen
@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_a_higher_order_operator_that_hides_its_work_is_told_as_uncounted(monkeypatch):
    import torch.nn.attention.flex_attention  # noqa: F401 - as the model does

    monkeypatch.setattr(modes, "higher_order_kernel", lambda operator: None)
    report = traced(Flex, "8,64", device="cpu")
    assert report.error is None
    assert [(op.op, op.calls) for op in report.totals.uncounted_ops] == [("flex_attention", 1)]


# ── shapes from the CPU ──────────────────────────────────────────────────────────────────────────────────────────────


class Reflections(nn.Module):
    """torch has no kernel on `meta` for `geqrf`."""

    def forward(self, x):
        return torch.geqrf(x)[0].relu()


class Counted(nn.Module):
    """As many counts as the largest value: its shape depends on values."""

    def forward(self, x):
        return torch.bincount(x.flatten(), minlength=4)


class Misfit(nn.Module):
    def forward(self, x):
        return nn.functional.linear(x, torch.ones(3, 5, device=x.device))


def test_shapes_that_meta_does_not_tell_come_from_the_cpu():
    notes = []
    report = traced(Reflections, "6,4", notify=notes.append)
    assert report.run is not None
    assert report.run.device == "meta"
    assert notes == ["torch cannot tell the shapes of geqrf without values: the CPU told them"]
    assert said(report) == said(traced(Reflections, "6,4", device="cpu"))


def test_shapes_that_depend_on_values_do_not():
    notes = []
    report = traced(Counted, "6:int64", notify=notes.append)
    assert report.run is not None
    assert report.run.device == "cpu"
    assert "needs values to run" in notes[0]


def test_what_the_cpu_refuses_too_is_said_by_meta():
    report = traced(Misfit, "4")
    assert report.error is not None
    assert report.run is not None
    assert report.run.device == "meta"


# ── no work ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Reshaped(nn.Module):
    def forward(self, x):
        y = (x.clone() // 2).unsqueeze_(0).squeeze_(0).transpose_(0, 1).as_strided_((2, 4), (4, 1)).detach_()
        torch._assert_async(torch.ops.aten._is_all_true(y > -1))
        return y


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_views_in_place_and_checks_are_no_work_that_is_not_counted(device):
    report = traced(Reshaped, "8", device=device)
    assert report.error is None
    assert report.totals.uncounted_ops == ()
    assert report.totals.macs == 0


# ── questions about values ───────────────────────────────────────────────────────────────────────────────────────────


class Asks(nn.Module):
    """Embeds tokens, and asks `question` of them and of their mask: work is done once more if the answer is yes."""

    def __init__(self, question):
        super().__init__()
        self.question = question
        self.table = nn.Embedding(50, 8)
        self.once = nn.Linear(8, 8)
        self.more = nn.Linear(8, 4)

    def forward(self, input_ids, attention_mask, padding_mask):
        x = self.once(self.table(input_ids))
        if self.question(input_ids, attention_mask, padding_mask, x):
            return self.more(x)
        return x


def infinite(_ids, _mask, _pad, x):
    return torch.isinf(x).any()


def checked(_ids, mask, _pad, _x):
    torch._check_tensor_all_with(ValueError, mask > -1) if hasattr(torch, "_check_tensor_all_with") else None
    return True


def shifted_ids(ids, first):
    """Shift ids to the right, as fairseq does, with no place to be filled."""
    ids.masked_fill_(ids == 49, 0)
    moved = ids.clone()
    moved[:, 0] = first
    moved[:, 1:] = ids[:, :-1]
    return moved


QUESTIONS = {
    "shifted ids": (lambda ids, mask, pad, x: shifted_ids(ids, ids.gather(1, mask[:, :1])[:, 0]).eq(49).any(), False),
    "a token among the ids": (lambda ids, mask, pad, x: 0 in ids, False),
    "no such token": (lambda ids, mask, pad, x: 0 not in ids, True),
    "any id is a token": (lambda ids, mask, pad, x: (ids == 49).any(), False),
    "all ids are a token": (lambda ids, mask, pad, x: torch.all(ids.eq(0)).item(), False),
    "all ids are others": (lambda ids, mask, pad, x: (ids[:, 1:] != 0).all(), True),
    "an id below zero": (lambda ids, mask, pad, x: (ids < 0).any(), False),
    "ids among the special ones": (lambda ids, mask, pad, x: torch.isin(ids, ids.new_full((2,), 49)).any(), False),
    "all attended": (lambda ids, mask, pad, x: mask.all(), True),
    "all attended, as a number": (lambda ids, mask, pad, x: torch.all(mask) == 1, True),
    "any masked": (lambda ids, mask, pad, x: (mask == 0).any(), False),
    "all masked": (lambda ids, mask, pad, x: (mask == 0).all(), False),
    "any masked, inverted": (lambda ids, mask, pad, x: (1 - mask).bool().any(), False),
    "any padded": (lambda ids, mask, pad, x: pad.any(), False),
    "none padded": (lambda ids, mask, pad, x: (~pad).all() and not torch.any(pad & mask.bool()), True),
    "as many attended as there are": (lambda ids, mask, pad, x: mask.sum() == mask.numel(), True),
    "the longest": (lambda ids, mask, pad, x: mask.sum(-1).max().item() == ids.shape[1], True),
    "all ones": (lambda ids, mask, pad, x: torch.equal(mask, torch.ones_like(mask)), True),
    "NaN": (lambda ids, mask, pad, x: x.isnan().any(), False),
    "infinite": (infinite, False),
    "finite": (lambda ids, mask, pad, x: torch.isfinite(x).all(), True),
    "a constant": (lambda ids, mask, pad, x: torch.zeros(3, dtype=torch.bool).any(), False),
    "a view of a constant": (lambda ids, mask, pad, x: torch.ones(3, 3)[1:, 0].all(), True),
    "a check of its own": (checked, True),
}
IDS = torch.tensor([[7, 3, 12, 5, 31, 8]])
ORDINARY = (IDS, torch.ones_like(IDS), torch.zeros_like(IDS, dtype=torch.bool))


def on_ordinary_inputs(question, device: str, inputs=ORDINARY) -> tuple[Report, list[str]]:
    notes = []
    subject = Subject("model", "", lambda: Loaded(Asks(question)), example=Example(inputs, {}))
    return trace(subject, TraceOptions(batch_size=None, device=device), notes.append), notes


@pytest.mark.parametrize("asked", QUESTIONS)
def test_questions_are_answered_on_meta_as_ordinary_inputs_answer_them(asked):
    question, answer = QUESTIONS[asked]
    assert bool(question(*ORDINARY, torch.ones(1))) is answer
    report, notes = on_ordinary_inputs(question, "meta", tuple(each.to("meta") for each in ORDINARY))
    real, _ = on_ordinary_inputs(question, "cpu")
    assert (report.run.device, real.run.device) == ("meta", "cpu")
    assert said(report) == said(real)
    assert report.totals.macs == 6 * 8 * 8 + (6 * 8 * 4 if answer else 0)
    assert all("answered as for ordinary inputs" in note for note in notes)
    assert bool(notes) == ("constant" not in asked)


def test_the_note_names_the_line_that_asked():
    _, [note] = on_ordinary_inputs(infinite, "meta")
    assert note.endswith(
        f"{__file__}:{Asks.forward.__code__.co_firstlineno + 2} "
        "(if self.question(input_ids, attention_mask, padding_mask, x):)"
    )
    assert "False at" in note


PADDED = (
    torch.tensor([[7, 3, 12, 5, 0, 0]]),
    torch.tensor([[1, 1, 1, 1, 0, 0]]),
    torch.tensor([[False] * 4 + [True] * 2]),
)


@pytest.mark.parametrize("asked", QUESTIONS)
@pytest.mark.parametrize("inputs", [ORDINARY, PADDED], ids=["ordinary", "padded"])
def test_values_that_were_given_are_never_contradicted(asked, inputs):
    """Where they answer otherwise than ordinary inputs, or the answer is not clear, the model runs on the CPU."""
    question, _ = QUESTIONS[asked]
    report, _ = on_ordinary_inputs(question, "meta", inputs)
    real, _ = on_ordinary_inputs(question, "cpu", inputs)
    assert said(report) == said(real)
    if inputs is ORDINARY and "special" not in asked:
        assert report.run.device == "meta"


class LeavesOutPadding(nn.Module):
    """Works on those of several pictures that are not all zeros."""

    def __init__(self):
        super().__init__()
        self.see = nn.Conv2d(3, 4, 8)

    def forward(self, pixels):
        real = (pixels == 0).sum((1, 2, 3)) != pixels[0].numel()
        return self.see(pixels[real])


PICTURES = torch.rand(2, 3, 8, 8)


@pytest.mark.parametrize("pixels", [PICTURES, PICTURES * 0, PICTURES * torch.tensor([1.0, 0.0])[:, None, None, None]])
def test_pictures_are_no_padding_unless_they_are_given_as_such(pixels):
    subject = Subject("model", "", lambda: Loaded(LeavesOutPadding()), example=Example((pixels,), {}))
    report, real = (trace(subject, TraceOptions(batch_size=None, device=each), print) for each in ("meta", "cpu"))
    assert said(report) == said(real)
    assert report.totals.macs == int((pixels != 0).flatten(1).any(1).sum()) * 4 * 3 * 8 * 8
    found = traced(LeavesOutPadding, "3,8,8", notify=[].append)
    assert (found.run.device, found.totals.macs) == ("meta", 4 * 3 * 8 * 8)


@pytest.mark.parametrize("fill", [0, 1])
def test_a_mask_that_is_filled_has_that_value(fill):
    inputs = ("6:int64", f"attention_mask=6:int64={fill}", "padding_mask=6:bool")
    report = traced(lambda: Asks(lambda ids, mask, pad, x: mask.all()), *inputs)
    assert report.run.device == "meta"
    assert report.totals.macs == 6 * 8 * 8 + fill * 6 * 8 * 4


VALUES_DECIDE = {
    "a sum of floats": lambda ids, mask, pad, x: x.sum() < 1e9,
    "a list of counts": lambda ids, mask, pad, x: max(x.long().sum(0).flatten().tolist()) < 1e9,
    "the largest id": lambda ids, mask, pad, x: ids.max().item() < 1000,
    "the first id": lambda ids, mask, pad, x: ids[0, 0],
    "ids in order": lambda ids, mask, pad, x: (ids[:, 1:] > ids[:, :-1]).all(),
    "ids of the vocabulary": lambda ids, mask, pad, x: (ids < 50).all(),
    "a mask that was written to": lambda ids, mask, pad, x: (mask.clone().index_fill_(1, ids[0, :2] * 0, 0) > 0).all(),
    "a mask written to by a view": lambda ids, mask, pad, x: written(torch.ones(4, 4)),
    "ids with another in front": lambda ids, mask, pad, x: shifted_ids(ids, x[:, 0, 0].long()).eq(49).any(),
    "a mask filled where values say": lambda ids, mask, pad, x: mask.clone().masked_fill_(x[..., 0] > 9, 0).all(),
    "a float mask": lambda ids, mask, pad, x: (x.relu() > 0).all(),
}


def written(mask):
    mask[1:].mul_(torch.rand(3, 4))
    return (mask > 0.5).all()


@pytest.mark.parametrize("asked", VALUES_DECIDE)
def test_what_values_decide_runs_on_the_cpu(asked):
    notes = []
    inputs = ("6:int64", "attention_mask=6:int64=1", "padding_mask=6:bool")
    report = traced(lambda: Asks(VALUES_DECIDE[asked]), *inputs, notify=notes.append)
    assert report.run.device == "cpu"
    assert report.error is None
    assert len(notes) == 1
    assert "needs values to run" in notes[0]


OF_GIVEN_IDS = ["the largest id", "the first id", "ids in order", "ids of the vocabulary", "a mask that was written to"]


@pytest.mark.parametrize("asked", OF_GIVEN_IDS)
@pytest.mark.parametrize("inputs", [ORDINARY, PADDED], ids=["ordinary", "padded"])
def test_the_elements_of_given_ids_are_known_on_meta(asked, inputs):
    report, notes = on_ordinary_inputs(VALUES_DECIDE[asked], "meta", inputs)
    real, _ = on_ordinary_inputs(VALUES_DECIDE[asked], "cpu", inputs)
    assert (report.run.device, notes) == ("meta", [])
    assert said(report) == said(real)


def packed(_ids, mask, _pad, _x):
    """Tell whether several texts stand in a row, as transformers does: positions that go on by other than one."""
    positions = mask.cumsum(-1) - 1
    steps = torch.diff(positions, prepend=positions[:, :1] - 1)
    return ((steps != 1).cumsum(-1)[:, -1] != 0).any()


def shifted(mask):
    mask = mask.clone()
    mask[:, 0] = 0
    mask[:, 1:3] *= 2
    return mask


def enlarged(mask):
    return nn.functional.interpolate(mask[None].float(), size=9)[0].long()


OF_ELEMENTS = {
    "packed": (packed, False),
    "positions": (lambda ids, mask, pad, x: torch.arange(6)[2:].sum() == 2 + 3 + 4 + 5, True),
    "a column that was zeroed": (lambda ids, mask, pad, x: shifted(mask).sum() == 2 + 2 + 1 + 1 + 1, True),
    "a list": (lambda ids, mask, pad, x: torch.arange(3).tolist() == [0, 1, 2], True),
    "filled": (lambda ids, mask, pad, x: torch.empty(4, dtype=torch.int64).fill_(3).eq(3).all(), True),
    "copied": (lambda ids, mask, pad, x: torch.empty(3, dtype=torch.int64).copy_(torch.arange(3))[1] == 1, True),
    "places": (lambda ids, mask, pad, x: len(torch.nonzero(torch.arange(6) > 1)) == 4, True),
    "chosen": (lambda ids, mask, pad, x: x[:, torch.arange(6) > 1].shape[1] == 4, True),
    "chosen by a mask": (lambda ids, mask, pad, x: x[mask.bool()].shape[0] == 6, True),
    "selected": (lambda ids, mask, pad, x: len(x[0].masked_select(torch.arange(6)[:, None] > 3)) == 2 * 8, True),
    "some of a mask that was enlarged": (
        lambda ids, mask, pad, x: enlarged(mask)[:, (x[0, :3, 0] * 0).long()].all(),
        True,
    ),
    "repeated": (lambda ids, mask, pad, x: len(torch.arange(3).repeat_interleave(torch.arange(3))) == 1 + 2, True),
    "picked by a list": (lambda ids, mask, pad, x: torch.arange(6)[[5, 3]].max() == 5, True),
    "picked by lists": (lambda ids, mask, pad, x: torch.eye(3)[[0, 2], [2, 2]].sum() == 1, True),
    "the same order": (lambda ids, mask, pad, x: torch.equal(torch.arange(4).flip(0).sort()[0], torch.arange(4)), True),
}


@pytest.mark.parametrize("asked", OF_ELEMENTS)
def test_what_follows_from_constants_and_ordinary_masks_is_known_on_meta(asked):
    question, answer = OF_ELEMENTS[asked]
    report, _ = on_ordinary_inputs(question, "meta", tuple(each.to("meta") for each in ORDINARY))
    real, _ = on_ordinary_inputs(question, "cpu")
    assert (report.run.device, real.run.device) == ("meta", "cpu")
    assert said(report) == said(real)
    assert report.totals.macs == 6 * 8 * 8 + (6 * 8 * 4 if answer else 0)


def test_numbers_that_python_makes_a_tensor_of_are_known():
    """On meta torch runs no operator for `torch.tensor`, so that it has no row."""
    report, notes = on_ordinary_inputs(lambda ids, mask, pad, x: (torch.tensor([[3, 4]]) * 2).max() == 8, "meta")
    assert (report.run.device, notes) == ("meta", [])
    assert report.totals.macs == 6 * 8 * 8 + 6 * 8 * 4


UNKNOWN = {
    "random elements": lambda: torch.rand(3) < 2,
    "elements that were not set": lambda: torch.empty(3) < 1e9,
    "written to by what is not known": lambda: torch.arange(3).add_(torch.randint(3, (3,))) >= 0,
    "too many": lambda: torch.arange(2**18 + 1) % 2 >= 0,
    "a storage that something else holds now": lambda: torch.arange(3).set_(torch.randint(3, (3,))) >= 0,
}


@pytest.mark.parametrize("asked", UNKNOWN)
def test_elements_that_are_not_known_are_never_made_up(asked):
    report, _ = on_ordinary_inputs(lambda ids, mask, pad, x: UNKNOWN[asked]().all(), "meta")
    assert report.run.device == "cpu"


class Pads(nn.Module):
    """Pads a sequence by a number that it keeps in a buffer, as Encodec does."""

    def __init__(self, spoil=lambda buffer: buffer):
        super().__init__()
        self.register_buffer("stride", torch.tensor(2, dtype=torch.int64))
        self.register_buffer("places", torch.arange(5).expand(1, -1))
        self.register_buffer("padding", spoil(torch.tensor(5) - self.stride))
        self.conv = nn.Conv1d(2, 4, 3, stride=2)

    def forward(self, x):
        return self.conv(nn.functional.pad(x, (int(self.padding) + int(self.places.max()), 0)))


@pytest.mark.parametrize("shared", [False, True], ids=["built on meta", "copied from the CPU"])
def test_numbers_that_a_model_keeps_in_buffers_are_known(shared):
    def run(device):
        model = Pads() if shared else None
        subject = Subject("model", "", lambda: Loaded(model or Pads(), shared=shared))
        return trace(subject, TraceOptions(inputs=(parse_input("2,9"),), device=device), pytest.fail)

    report = run("meta")
    assert report.run.device == "meta"
    assert said(report) == said(run("cpu"))
    assert report.totals.macs == ((9 + 3 + 4 - 3) // 2 + 1) * 4 * 2 * 3


def through_data(buffer):
    buffer.data.add_(torch.randint(3, ()))
    return buffer


SPOILT = {
    "random": lambda buffer: torch.randint_like(buffer, 3),
    "filled at random": lambda buffer: buffer.random_(3),
    "written to by what is random": lambda buffer: buffer.add_(torch.randint(3, ())),
    "written to through its data": through_data,
    "a view of what is written to": lambda buffer: (buffer[...], buffer.random_(3))[0],
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_buffers_of_other_values_are_not_known(spoilt):
    assert traced(lambda: Pads(SPOILT[spoilt]), "2,9", notify=lambda note: None).run.device == "cpu"


def test_a_run_on_the_cpu_instead_runs_once_and_nothing_is_diagnosed(monkeypatch):
    runs = []

    class Counts(nn.Module):
        def forward(self, x):
            runs.append(x.device.type)
            return x if x.sum() < 1e9 else x + 1

    monkeypatch.setattr("alexnet_cli.tracing.doctor.diagnose", lambda *_: pytest.fail("nothing went wrong"))
    report = traced(Counts, "4", notify=lambda note: None)
    assert report.error is None
    assert runs == ["meta", "cpu"]


def test_an_input_is_found_where_a_model_asks_for_padding():
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(50, 8)

        def forward(self, ids):
            return self.table(ids) if 0 not in ids else None

    notes = []
    subject = Subject("model", "", lambda: Loaded(Padded()))
    report = trace(subject, TraceOptions(), notes.append)
    assert report.error is None
    assert report.run.device == "meta"
    assert len(notes) == 2
