"""Large models: ten times the layers take ten times the work, counted and not timed, and nothing is lost on the way."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import alexnet_cli
from alexnet_cli.__main__ import RARELY
from alexnet_cli.answers.summary import summary_result
from alexnet_cli.document import Column, Document, Row, Table
from alexnet_cli.errors import ForwardError
from alexnet_cli.graphics.text import Style
from alexnet_cli.renderers import FORMATS, render
from alexnet_cli.report import Report
from alexnet_cli.report_json import to_json
from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.recording.recorder import Recorder
from alexnet_cli.tracing.recording.rows import RowBuilder
from alexnet_cli.tracing.trace import trace
from alexnet_cli.views.summary import summary_document

HERE = Path(__file__)
OURS = str(Path(alexnet_cli.__file__).parent)


@pytest.fixture(scope="module", autouse=True)
def _what_other_tests_left_is_not_looked_at() -> None:
    """Collect once what is garbage by now: `steps` collects before it counts, which takes seconds with all of torch.

    What is frozen stays so: the libraries are among it, as `conftest` has it.
    """
    gc.collect()
    gc.freeze()


def traced(make: Callable[[], nn.Module], **options) -> Report:
    subject = Subject("large", "", lambda: Loaded(make()))
    return trace(subject, TraceOptions(inputs=(parse_input("2"),), **options), notify=pytest.fail)


# ── how work grows ───────────────────────────────────────────────────────────────────────────────────────────────────


def steps(run: Callable[[], object]) -> int:
    """Count the calls of Python functions, torch's too, and the lines that ran in our own, each turn of a loop anew.

    The collector rests meanwhile: when it runs, and what it finalizes of other tests, is chance.
    """
    count = 0

    def inside(frame, event, argument):
        nonlocal count
        count += 1
        return inside

    def called(frame, event, argument):
        nonlocal count
        count += 1
        return inside if frame.f_code.co_filename.startswith(OURS) else None

    gc.collect()
    gc.disable()
    before = sys.gettrace()
    sys.settrace(called)
    try:
        run()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def growth(work: Callable[[int], object], size: int) -> float:
    """Return by how much the work grows where the size grows twofold once more: 2 is linear, 4 quadratic."""
    work(size)  # what is looked up once is known by now
    first, second, third = (steps(lambda times=times: work(size * times)) for times in (1, 2, 4))
    return (third - second) / (second - first)


def test_the_count_tells_a_linear_loop_from_a_quadratic_one():
    assert growth(lambda size: [to_json(one) for one in range(size)], 50) == pytest.approx(2)
    assert growth(lambda size: [to_json(one) for one in range(size) for _ in range(size)], 50) == pytest.approx(4)


class Block(nn.Module):
    """A layer that is called, a function, and a parameter that is read but whose module is not called."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.spare = nn.Linear(2, 2)
        self.never = nn.Linear(2, 2)

    def forward(self, x):
        y = torch.relu(self.norm(self.linear(x)))
        return y * self.spare.bias + x


class Reuse(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.count = count
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        for _ in range(self.count):
            x = torch.relu(self.layer(x))
        return x


class Uncalled(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.others = nn.ModuleList(nn.Linear(2, 2) for _ in range(count))

    def forward(self, x):
        return self.layer(x)


class InPlace(nn.Module):
    """Writes to one storage again and again, through itself and through a view, and reads what was written."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def forward(self, x):
        x = x + 1
        view = x[:, :1]
        for _ in range(self.count):
            view.add_(1)
            x.mul_(2)
        return x


MODELS: dict[str, Callable[[int], nn.Module]] = {
    "blocks": lambda count: nn.Sequential(*[Block() for _ in range(count)]),
    "one layer again and again": Reuse,
    "layers never called": Uncalled,
    "in place": InPlace,
    "svd": lambda count: nn.Sequential(*[Svd() for _ in range(count)]),
}


class Svd(nn.Module):
    """Work without a formula."""

    def forward(self, x):
        return torch.linalg.svd(x).U * x


@pytest.mark.parametrize("name", MODELS)
def test_a_trace_grows_with_the_operators(name):
    assert growth(lambda size: traced(lambda: MODELS[name](size)), 20) == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("name", MODELS)
def test_a_trace_on_the_cpu_grows_with_the_operators(name):
    def run(size):
        model, device = MODELS[name](size).eval(), torch.device("cpu")
        recorder = Recorder(device, model)
        with torch.no_grad(), recorder.recording():
            model(torch.zeros(2, 2))
        RowBuilder(model, recorder.touched, recorder.purposes).build(recorder.root)

    assert growth(run, 20) == pytest.approx(2, rel=0.02)


@pytest.fixture(scope="module")
def reports():
    return {size: traced(lambda size=size: MODELS["blocks"](size)) for size in (40, 80, 160)}


def test_what_is_made_of_a_report_grows_with_its_rows(reports):
    def made(size):
        to_json(summary_result(reports[size]))
        summary_document(reports[size], None, None)

    assert growth(made, 40) == pytest.approx(2, rel=0.02)


def table(rows: int, columns: int = 5) -> Document:
    """Numbers of as many digits each, and a path."""
    heads = Column("path", "Path", tree=True), *(Column(f"c{at}", f"Column {at}", "count") for at in range(columns))
    cells = (
        Row((f"layer.{row:05}", *(10**6 + row * at for at in range(columns))), level=row % 3) for row in range(rows)
    )
    return Document("large", (Table("large", heads, tuple(cells)),))


@pytest.mark.parametrize("width", [None, 60])
@pytest.mark.parametrize("name", FORMATS)
def test_a_table_grows_with_its_rows(name, width):
    style = Style(width, unicode=True)
    assert growth(lambda rows: render(table(rows), name, style), 40) == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "svg"])  # a picture leaves out what is too wide
def test_a_table_grows_with_its_columns(name):
    style = Style(None, unicode=True)
    assert growth(lambda columns: render(table(5, columns), name, style), 5) < 2.3


# ── at full size ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def collector_as_in_the_program():
    before = gc.get_threshold()
    gc.set_threshold(*RARELY)
    yield
    gc.set_threshold(*before)


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 2))

    def forward(self, x):
        return x * self.weight


@pytest.mark.usefixtures("collector_as_in_the_program")
def test_thirty_thousand_modules_ten_thousand_one_after_the_other():
    count = 10_000
    report = traced(lambda: nn.Sequential(*[nn.Sequential(Scale(), nn.ReLU()) for _ in range(count)]))
    assert len(report.layers) == 1 + 3 * count
    assert report.totals.layers == 2 * count
    assert report.totals.params == report.layers[0].params_total == 2 * count
    last = report.layers[-3:]
    assert [(row.path, row.type, row.depth, row.index) for row in last] == [
        ("9999", "Sequential", 1, None),
        ("9999.0", "Scale", 2, 2 * count - 1),
        ("9999.1", "ReLU", 2, 2 * count),
    ]
    assert [row.params_total for row in last] == [2, 2, 0]
    assert report.tape is not None
    assert len(report.tape.operations) == 2 * count
    lines = render(summary_document(report, None, None), "csv", Style()).splitlines()
    assert sum(line.count("Scale") for line in lines) == count


def test_one_layer_two_thousand_times():
    count = 2000
    report = traced(lambda: Reuse(count))
    calls = [row for row in report.layers if row.type == "Linear"]
    assert [row.call for row in calls] == list(range(1, count + 1))
    assert [row.reuses for row in calls] == [None, *["layer"] * (count - 1)]
    assert report.totals.params == 2 * 2 + 2
    assert report.totals.macs == count * 2 * 2
    assert len(report.layers) == 1 + 2 * count


def test_a_block_shared_at_every_level_has_one_path():
    """Two to the thirtieth ways lead to the innermost layer."""

    def shared():
        model = nn.Linear(2, 2)
        for _ in range(30):
            model = nn.ModuleList([model, model])
        holder = Uncalled(0)
        holder.others.append(model)
        return holder

    report = traced(shared)
    assert [unused.path for unused in report.totals.unused_modules] == [f"others.{'.'.join('0' * 31)}"]


# ── one inside the other ─────────────────────────────────────────────────────────────────────────────────────────────


class Nest(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def nested(depth: int) -> nn.Module:
    model: nn.Module = nn.Linear(2, 2)
    for _ in range(depth):
        model = Nest(model)
    return model


def deepest() -> int:
    """Return how deep modules may be nested where torch alone runs them."""
    low, high = 1, sys.getrecursionlimit()
    while high - low > 1:
        middle = (low + high) // 2
        try:
            nested(middle)(torch.zeros(1, 2))
            low = middle
        except RecursionError:
            high = middle
    return low


def test_what_torch_alone_can_nest_can_be_traced():
    depth = deepest() - 10  # the trace has some calls of its own around the forward
    limit = sys.getrecursionlimit()
    report = traced(lambda: nested(depth))
    assert [row.depth for row in report.layers] == list(range(depth + 1))
    assert report.layers[0].macs_total == 4
    assert sys.getrecursionlimit() == limit


def too_deep():
    return nested(5000)


class Endless(nn.Module):
    def forward(self, x):
        return self(x)


@pytest.mark.parametrize("name", ["too_deep", "Endless"])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_deeper_than_python_calls_is_told_as_such(alexnet, name, device):
    limit = sys.getrecursionlimit()
    answer = alexnet("summary", f"{HERE}:{name}", "-i", "2", "--device", device)
    assert answer.code == ForwardError.exit_code == 4
    assert answer.out == ""
    lines = answer.err.splitlines()
    assert lines[0].startswith(f"error: the model nests calls deeper than Python's recursion limit of {limit}: ")
    assert lines[1].startswith("hint: it would fail without this program too: ")
    assert len(lines) == 2
    assert sys.getrecursionlimit() == limit
    told = alexnet("summary", f"{HERE}:{name}", "-i", "2", "--device", device, "--json")
    assert (told.code, told.json["error"]["code"]) == (4, "forward_failed")


def test_a_limit_that_the_target_raises_is_left_to_it(alexnet, tmp_path):
    target = tmp_path / "raised.py"
    target.write_text(
        "import sys\nfrom test_scale import nested\n"
        "def make():\n    sys.setrecursionlimit(3000)\n    return nested(400)\n"
    )
    limit = sys.getrecursionlimit()
    try:
        answer = alexnet("summary", f"{target}:make", "-i", "2", "--json")
        assert sys.getrecursionlimit() == 3000
    finally:
        sys.setrecursionlimit(limit)
    assert answer.code == 0, answer.err
    assert answer.json["layers"][-1]["depth"] == 400
