"""Where the time of a run goes: what is derived from measured times, and what measuring leaves as it was."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from msgspec.structs import replace
from torch import nn

from alexnet_cli import AlexnetError, inspect
from alexnet_cli.analyses.cost import Roof
from alexnet_cli.analyses.hardware import Hardware, measured_hardware
from alexnet_cli.analyses.profile import CapturedTime, CompiledTime, Spread, profile, tied_slowest
from alexnet_cli.analyses.slices import chrome_trace, slices, speedscope
from alexnet_cli.analyses.turns import in_turns
from alexnet_cli.cli.schema import json_schema
from alexnet_cli.document import Facts, Note
from alexnet_cli.session.machine import better
from alexnet_cli.session.session import Named, Session
from alexnet_cli.tape import Operation, Tape
from alexnet_cli.timing import Allocated, Bandwidth, Calibration, Captured, Compiled, Pass, Passes
from alexnet_cli.tracing import calibrate, clock, compiling, events
from alexnet_cli.tracing.compiling import captured
from alexnet_cli.tracing.options import TrainingStep
from alexnet_cli.views.profile import profile_document

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
MODEL = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.second(torch.relu(self.first(x))) + x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return "net.py:Net"


def timed(net, step=None):
    from alexnet_cli.session.how import how_to_run

    return Session(Named(net), how_to_run(input_size=["4"])).timed(0.05, step)


def passes(steps, *, whole, seconds, rest=0.0):
    """Return runs of one operator each 1 s apart, with one event for each operator and one after the last."""
    count = len(steps)
    one = Pass(
        seconds=seconds,
        positions=tuple(range(count)),
        steps=steps,
        kernels=tuple(step / 2 for step in steps),
        events=(1,) * count,
        on_device=(0.0,) * count,
        launched=(0,) * count,
        rest=rest,
        rest_events=1,
    )
    return Passes("a machine", 1, whole, (one,), settled=True)


def test_the_profiler_is_taken_off_by_event():
    """Runs take 8 s and 10 s under the profiler, which notes three events: 2/3 s are taken off for each."""
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    report = inspect(model, torch.zeros(1, 4)).report
    assert [operation.op for operation in report.tape.operations] == ["relu", "tanh"]
    found = profile(replace(report, passes=passes((3.0, 6.0), whole=(7.0, 8.0, 9.0), seconds=10.0, rest=1.0)))
    one = 2 / 3
    relu, tanh = found.layers
    assert (relu.time.seconds, tanh.time.seconds) == pytest.approx((3 - one, 6 - one))
    assert found.outside.time.seconds == pytest.approx(1 - one)
    assert found.whole.layers_seconds == pytest.approx(8.0)
    assert (found.whole.time.seconds, found.whole.profiler_seconds, found.whole.runs) == (8.0, 2.0, 3)
    assert relu.in_kernels == pytest.approx(1.5 / (3 - one))
    assert found.whole.samples_per_s == 1 / 8


def test_floors_and_rates_follow_from_the_work():
    """A linear layer of 4 × 4 does 16 MACs; at 8 FLOP/s it takes 4 s at least, and reached 32 FLOP in 8 s."""
    report = inspect(nn.Sequential(nn.Linear(4, 4, bias=False)), torch.zeros(1, 4)).report
    roof = Roof(Hardware("slow", {"float32": 8.0}, 1e9, None, ""))
    count = len(report.tape.operations)
    steps = (*(0.0,) * (count - 1), 8.0)
    [layer] = profile(replace(report, passes=passes(steps, whole=(8.0, 8.0), seconds=8.0)), roof).layers
    assert (layer.floor_seconds, layer.of_floor, layer.flops_per_s) == (4.0, 2.0, 4.0)


def test_peaks_of_the_allocator_stand_beside_the_predicted():
    """Weights and the input are left out; the second layer was seen to hold 7 bytes more than on the tape."""
    report = inspect(nn.Sequential(nn.ReLU(), nn.Tanh()), torch.zeros(1, 4)).report
    timed = passes((1.0, 1.0), whole=(2.0, 2.0), seconds=2.0)
    seen = replace(timed, allocated=Allocated((0, 1), (16, 39)))
    found = profile(replace(report, passes=seen))
    assert [(layer.peak_bytes, layer.predicted_peak_bytes) for layer in found.layers] == [(16, 16), (39, 32)]
    assert (found.whole.peak_bytes, found.whole.predicted_peak_bytes) == (39, 32)
    unseen = profile(replace(report, passes=timed))
    assert (unseen.whole.peak_bytes, unseen.layers[0].peak_bytes, unseen.layers[0].predicted_peak_bytes) == (
        None,
        None,
        16,
    )


def test_the_peak_of_an_operator_is_that_within_it():
    """What is freed before an operator begins is not in its peak, and neither is what came before the run."""
    run = events.Event(10, 100, events.RUN)
    steps = [events.Interval(0, 10, 30, 10, ()), events.Interval(1, 30, 60, 10, ()), events.Interval(2, 60, 90, 30, ())]
    changes = [(5, 1_000), (21, 64), (22, -60), (29, 10), (45, -10), (52, 6), (55, -6), (95, 500)]
    assert events.highest(run, steps, changes) == (64, 10, 4)


def test_the_allocator_holds_what_the_tape_says():
    """Of 4 samples each layer makes 4 · 256 or 4 · 64 floats, and torch keeps its input until it has its output."""
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))
    found = inspect(model, torch.zeros(4, 64)).profile(seconds=0.05)
    expected = [4 * 256 * 4, 2 * 4 * 256 * 4, 4 * 256 * 4 + 4 * 64 * 4]
    assert [layer.predicted_peak_bytes for layer in found.layers] == expected
    assert [layer.peak_bytes for layer in found.layers] == expected


def test_compiled_times_stand_beside_the_plain():
    report = inspect(nn.Sequential(nn.ReLU()), torch.zeros(1, 4)).report
    timed = passes((1.0,), whole=(4.0, 4.0), seconds=4.0)
    found = profile(replace(report, passes=replace(timed, compiled=Compiled(9.0, (1.0, 2.0, 3.0), 2, 1))))
    assert found.compiled == CompiledTime(Spread(2.0, 1.5, 2.5), 0.5, 9.0, 2, 1)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_run_is_compiled(net, monkeypatch, backward):
    monkeypatch.setattr(compiling, "BACKEND", "aot_eager")  # graphs without kernels, which take long to be made
    found = inspect(net, input_size=4).profile(seconds=0.05, compile=True, backward=backward)
    assert (found.compiled.graphs, found.compiled.breaks) == (1, 0)
    assert found.compiled.time.seconds > 0
    jsonschema.validate(json.loads(found.json()), json_schema("profile"))
    assert "Compiled" in str(found)


def test_why_a_run_is_not_compiled(net, monkeypatch):
    def refuse(graph, inputs):
        raise RuntimeError("no such kernel\nand more")

    monkeypatch.setattr(compiling, "BACKEND", refuse)
    with pytest.raises(AlexnetError, match=r"torch.compile fails on this model: .*no such kernel") as caught:
        inspect(net, input_size=4).profile(seconds=0.05, compile=True)
    assert caught.value.exit_code == 4

    missing = type("InvalidCxxCompiler", (RuntimeError,), {})
    failure = RuntimeError("the backend failed")
    failure.__cause__ = missing("none")
    run = compiling.CompiledRun(None, None)
    with pytest.raises(AlexnetError, match=r"needs a C\+\+ compiler, and torch found none") as caught, run.explained():
        raise failure
    assert "install g++" in caught.value.hint


@pytest.mark.parametrize(
    ("runs", "tied"),
    [
        ([(9, 9, 9), (5, 6, 7), (4, 5, 6), (1, 1, 1)], [["1", "2"]]),  # 5.5 to 6.5 and 4.5 to 5.5 meet
        ([(9, 9, 9), (5, 6, 7), (4, 5, 5.9), (1, 1, 1)], []),  # 5.5 to 6.5, and 4.5 to 5.45
        ([(9, 9, 9), (8, 8, 8), (7, 7, 7), (6, 6, 6), (5, 5, 5), (5, 5, 5), (4, 4, 4), (4, 4, 4)], [["4", "5"]]),
        ([(1, 2, 3), (5, 6, 7), (2, 3, 4), (6, 7, 8)], [["3", "1"], ["2", "0"]]),
    ],
    ids=["meet", "apart", "beyond the fifth", "two groups"],
)
def test_which_of_the_slowest_are_tied(runs, tied):
    """What runs are tied with is their neighbour by time; of three runs the middle half is half of the way around."""
    report = inspect(nn.Sequential(*(nn.ReLU() for _ in runs)), torch.zeros(1, 4)).report
    whole = tuple(map(float, map(sum, zip(*runs, strict=True))))
    each = [passes(steps, whole=whole, seconds=sum(steps)).passes[0] for steps in zip(*runs, strict=True)]
    timed = replace(report, passes=replace(passes((), whole=whole, seconds=1.0), passes=tuple(each)))
    found = profile(timed)
    assert [[layer.path for layer in group] for group in tied_slowest(found)] == tied
    said = [block.text for block in profile_document(timed, [found], None).blocks if isinstance(block, Note)]
    expected = [f"no order among {', '.join(group)}: the middle halves of their runs overlap" for group in tied]
    assert [note for note in said if note.startswith("no order")] == expected


def test_layers_that_do_not_add_up_are_told():
    report = inspect(nn.Sequential(nn.ReLU()), torch.zeros(1, 4)).report
    for step, told in ((4.0, False), (1.0, True)):
        timed = replace(report, passes=passes((step,), whole=(4.0, 4.0), seconds=4.0))
        notes = [
            block.text for block in profile_document(timed, [profile(timed)], None).blocks if isinstance(block, Note)
        ]
        assert any("add up to 1.00 s of 4.00 s" in note for note in notes) is told


def test_no_layer_is_faster_than_its_floor(monkeypatch):
    """The machine is measured before and after; what it reached once, it can do. Three quarters of the runs are slower.

    What is measured and what runs is small, so that it is done before other work on the machine interrupts it.
    """
    monkeypatch.setattr(calibrate, "_DTYPES", (torch.float32,))
    monkeypatch.setitem(calibrate._ROUNDS, "cpu", 20)
    monkeypatch.setitem(calibrate._SIDES, "cpu", (256, 512))
    monkeypatch.setitem(calibrate._FOOTPRINTS, "cpu", tuple(2**power for power in range(14, 25, 2)))
    model = nn.Sequential(
        *(nn.Conv2d(16, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(64, 64, 3, padding=1)),
        *(nn.Flatten(), nn.Linear(64 * 15 * 15, 64), nn.LayerNorm(64), nn.Softmax(-1)),
    )
    before = calibrate.calibrate(torch.device("cpu"), lambda _: None)
    report = inspect(model, torch.zeros(2, 16, 32, 32)).session.timed(0.3, None)
    after = calibrate.calibrate(torch.device("cpu"), lambda _: None)
    layers = profile(report, Roof(measured_hardware(better(after, before)))).layers
    assert {layer.type for layer in layers if layer.floor_seconds} >= {"Conv2d", "BatchNorm2d", "ReLU", "Linear"}
    assert [layer.path for layer in layers if layer.time.high < (layer.floor_seconds or 0)] == []


def test_no_event_cost_more_than_the_shortest_operator():
    """Three events: runs took 6 s more under the profiler, but an operator with one of them took 0.5 s in all."""
    report = inspect(nn.Sequential(nn.ReLU(), nn.Tanh()), torch.zeros(1, 4)).report
    found = profile(replace(report, passes=passes((0.5, 9.5), whole=(4.0, 4.0), seconds=10.0)))
    assert found.whole.profiler_seconds == 1.5
    assert [layer.time.seconds for layer in found.layers] == [0.0, 9.0]


def test_of_runs_that_other_work_disturbs_little_is_taken_off():
    """The fastest run under the profiler took 1 s more, medians are 4 s apart: 1 s is the profiler's for sure."""
    report = inspect(nn.Sequential(nn.ReLU()), torch.zeros(1, 4)).report
    watched = [passes((seconds,), whole=(1.0,), seconds=seconds).passes[0] for seconds in (3.0, 9.0, 9.0)]
    timed = replace(passes((9.0,), whole=(2.0, 5.0, 5.0), seconds=9.0), passes=tuple(watched))
    assert profile(replace(report, passes=timed)).whole.profiler_seconds == 1.0


def test_caches_bound_small_work_only():
    """A copy of 1 KB is slower than one of 4 KB, as its call takes longer than its bytes: caches do more."""
    bandwidths = (Bandwidth(1_000, 50.0), Bandwidth(4_000, 100.0), Bandwidth(100_000, 10.0))
    hardware = measured_hardware(Calibration("this", 2, {}, bandwidths))
    assert [hardware.bandwidth(moved) for moved in (10, 1_500, 7_000, 9_000, 10**9)] == [100, 100, 100, 10, 10]
    assert hardware.name == "this, 2 threads"


@pytest.mark.parametrize("step", [None, TrainingStep("none")], ids=["forward", "backward"])
def test_each_operator_of_the_tape_is_found(net, step):
    report = timed(net, step)
    expected = [at for at, operation in enumerate(report.tape.operations) if operation.nature != "view"]
    for each in report.passes.passes:
        assert set(expected) <= set(each.positions)
        assert sum(each.steps) + each.rest == pytest.approx(each.seconds)
        assert all(kernel <= step for kernel, step in zip(each.kernels, each.steps, strict=True))


def test_operators_that_only_the_tape_has_keep_their_own_time():
    """A plain `max_pool1d` runs where the tape has other operators; `conv1d` calls `convolution`, which unsqueezes."""
    run = events.Event(0, 100, events.RUN)
    seen = [
        events.Event(*event)
        for event in [
            *((1, 40, "aten::conv1d"), (2, 39, "aten::convolution"), (3, 4, "aten::unsqueeze")),
            (41, 60, "aten::max_pool1d"),
            *((61, 99, "aten::conv1d"), (62, 98, "aten::convolution"), (63, 64, "aten::unsqueeze")),
        ]
    ]
    natures = [
        *(("convolution", "compute"), ("unsqueeze", "view"), ("max_pool2d_with_indices", "compute")),
        *(("squeeze", "view"), ("convolution", "compute")),
    ]
    operations = tuple(Operation(op, at, nature=nature) for at, (op, nature) in enumerate(natures))
    found = events.pass_of(run, seen, Tape(operations, (), (), (), ()))
    assert found.positions == (0, 2, 4)
    assert found.steps == pytest.approx((39e-9, 22e-9, 37e-9))  # to 39, to where conv1d begins at 61, to 98
    assert found.kernels == pytest.approx((37e-9, 19e-9, 36e-9))  # of convolution, max_pool1d, convolution
    assert found.rest == pytest.approx(2e-9)


def test_a_pool_of_one_dimension_takes_none_of_the_time_of_convolutions():
    """Each convolution does 9 × 32 or 64 multiplications where the pool compares two numbers."""
    model = nn.Sequential(nn.Conv1d(32, 64, 9), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(64, 64, 9))
    found = inspect(model, torch.zeros(4, 32, 2048)).profile(seconds=0.2)
    by_path = {layer.path: layer.time.seconds for layer in found.layers}
    assert by_path["0"] > by_path["2"]
    assert by_path["3"] > by_path["2"]


def test_slices_are_nested_as_the_rows(net):
    found = slices(timed(net))
    assert [each.name for each in found if each.depth <= 2] == [
        *("forward", "Net", "blocks.0", "blocks.1"),  # a phase, the model, its blocks
    ]
    for outer in found:
        inside = [each for each in found if outer.start <= each.start < outer.end and each.depth > outer.depth]
        assert all(each.end <= outer.end + 1e-12 for each in inside)


def test_files_for_other_programs(net, tmp_path):
    report = timed(net)
    events = json.loads(chrome_trace(report))["traceEvents"]
    assert {"Net", "blocks.0.first", "addmm"} <= {event["name"] for event in events}
    assert all(event["dur"] >= 0 for event in events if event["ph"] == "X")
    told = json.loads(speedscope(report))
    opened = []
    last = 0.0
    for event in told["profiles"][0]["events"]:
        assert event["at"] >= last - 1e-6
        last = event["at"]
        if event["type"] == "O":
            opened.append(event["frame"])
        else:
            assert opened.pop() == event["frame"]
    assert opened == []


def test_what_takes_no_nanosecond_is_not_in_a_trace(net):
    """Perfetto sorts slices that begin together by their lengths, and one of none is put into the next layer."""
    report = timed(net)
    run = report.passes.passes[0]
    none = replace(run, steps=(0.0,) * len(run.steps), kernels=(0.0,) * len(run.kernels))
    last = replace(none, steps=(*none.steps[:-1], 2e-6), kernels=(*none.kernels[:-1], 1e-6))
    told = chrome_trace(replace(report, passes=replace(report.passes, passes=(last,))))
    shown = [(event["name"], event["dur"]) for event in json.loads(told)["traceEvents"] if event["ph"] == "X"]
    assert shown == [("forward", 2), ("Net", 2), ("blocks.1", 2), ("blocks.1.add", 2), ("add", 1)]


TRACE_EVENTS = {
    "type": "object",
    "required": ["traceEvents"],
    "additionalProperties": False,
    "properties": {
        "displayTimeUnit": {"enum": ["ms", "ns"]},
        "traceEvents": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["ph", "name", "pid"],
                "properties": {"name": {"type": "string", "minLength": 1}, "pid": {"type": "integer"}},
                "oneOf": [
                    {
                        "properties": {
                            "ph": {"const": "M"},
                            "name": {"enum": ["process_name", "thread_name"]},
                            "args": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"name": {"type": "string"}},
                            },
                        },
                        "required": ["args"],
                        "not": {"anyOf": [{"required": ["ts"]}, {"required": ["dur"]}]},
                    },
                    {
                        "properties": {
                            "ph": {"const": "X"},
                            "tid": {"type": "integer"},
                            "cat": {"type": "string"},
                            "ts": {"type": "number", "minimum": 0},
                            "dur": {"type": "number", "minimum": 0},
                            "args": {"type": "object"},
                        },
                        "required": ["tid", "ts", "dur"],
                    },
                ],
            },
        },
    },
}
"""What the Trace Event Format says of an object with complete (X) and metadata (M) events."""


@pytest.mark.parametrize("step", [None, TrainingStep("none")], ids=["forward", "backward"])
def test_a_trace_keeps_to_its_format(net, step):
    """Events are as the format says, and nested in whole nanoseconds, as Perfetto keeps them."""
    trace = json.loads(chrome_trace(timed(net, step)), parse_constant=pytest.fail)
    jsonschema.validate(trace, TRACE_EVENTS)
    open_until = []
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
        begin, took = (event[key] * 1000 for key in ("ts", "dur"))
        assert (begin, took) == pytest.approx((round(begin), round(took)), abs=1e-3)
        while open_until and open_until[-1] <= round(begin):
            open_until.pop()
        assert not open_until or round(begin) + round(took) <= open_until[-1]
        open_until.append(round(begin) + round(took))
    first_to_last = [event["ts"] for event in events]
    assert first_to_last == sorted(first_to_last)


@contextmanager
def perfetto(trace: Path) -> Iterator[Any]:
    """Load a trace by Perfetto's processor: that which `PERFETTO_TRACE_PROCESSOR` names, or what its package gets."""
    processors = pytest.importorskip("perfetto.trace_processor", reason="the package perfetto is not installed")
    named = os.environ.get("PERFETTO_TRACE_PROCESSOR")
    try:
        config = processors.TraceProcessorConfig(bin_path=named)
        processor = processors.TraceProcessor(trace=str(trace), config=config)
    except (OSError, subprocess.CalledProcessError) as error:
        if named:
            raise
        pytest.skip(f"Perfetto's package downloads its processor when it is first used, and that failed: {error}")
    with processor:
        yield processor


@pytest.mark.parametrize("step", [None, TrainingStep("none")], ids=["forward", "backward"])
def test_perfetto_loads_a_trace(net, step, tmp_path):
    report = timed(net, step)
    (tmp_path / "trace.json").write_bytes(chrome_trace(report))
    with perfetto(tmp_path / "trace.json") as processor:
        shown = [(row.name, row.dur, row.depth) for row in processor.query("select name, dur, depth from slice")]
        lost = {
            row.name: row.value
            for row in processor.query("select name, value from stats where severity != 'info' and value > 0")
        }
    assert shown[0][::2] == ("forward", 0)
    layers = [name for name, _, depth in shown if depth == 3]
    assert layers[:3] == ["blocks.0.first", "blocks.0.relu", "blocks.0.second"]
    expected = [each for each in slices(report) if round(each.end * 1e9) > round(each.start * 1e9)]
    assert shown == [(each.name, pytest.approx((each.end - each.start) * 1e9, abs=1), each.depth) for each in expected]
    assert lost == {}


def test_the_command_measures_and_keeps_what_a_machine_can_do(alexnet, net, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setitem(calibrate._SIDES, "cpu", (32,))
    monkeypatch.setitem(calibrate._FOOTPRINTS, "cpu", (2**12, 2**16))
    unknown = alexnet("profile", net, "-i", "4", "--seconds", "0.05", "--json")
    assert unknown.code == 0, unknown.err
    assert unknown.json["hardware"] is None
    assert all(layer["floor_seconds"] is None for layer in unknown.json["layers"])
    first = alexnet("profile", net, "-i", "4", "--seconds", "0.05", "--calibrate", "--json").json
    again = alexnet("profile", net, "-i", "4", "--seconds", "0.05", "--json").json
    assert again["hardware"] == first["hardware"]
    better = alexnet("profile", net, "-i", "4", "--seconds", "0.05", "--calibrate", "--json").json["hardware"]
    assert better["peak_flops_per_s"]["float32"] >= first["hardware"]["peak_flops_per_s"]["float32"] > 0
    jsonschema.validate(again, json_schema("profile"))
    summed = sum(layer["time"]["seconds"] for layer in again["layers"]) + again["outside"]["time"]["seconds"]
    assert again["whole"]["layers_seconds"] == pytest.approx(summed)


def test_batches_side_by_side(alexnet, net):
    answer = alexnet("profile", net, "-i", "4", "-b", "1,3", "--seconds", "0.05", "--json")
    assert [each["batch_size"] for each in answer.json["sweep"]] == [1, 3]
    for each in answer.json["sweep"]:
        assert each["whole"]["samples_per_s"] == pytest.approx(each["batch_size"] / each["whole"]["time"]["seconds"])
    table = alexnet("profile", net, "-i", "4", "-b", "1,3", "--seconds", "0.05").out
    assert "Throughput against latency" in table


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = inspect(model, torch.zeros(3, 4)).profile(seconds=0.05, backward=True)
    assert found.whole.time.seconds > 0
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seconds": 0}, "--seconds 0 is no time"),
        ({"amp": "bf16"}, "--amp goes with --backward"),
        ({"trace": "missing/trace.json"}, "the folder missing is not there"),
    ],
)
def test_what_cannot_be_asked(net, given, says):
    from pathlib import Path

    given = {name: Path(value) if name == "trace" else value for name, value in given.items()}
    with pytest.raises(AlexnetError, match=says):
        inspect(net, input_size=4).profile(**given)


def test_a_saved_report_cannot_be_timed(alexnet, net):
    alexnet("summary", net, "-i", "4", "-o", "report.json")
    answer = alexnet("profile", "report.json")
    assert answer.code == 2
    assert "profile needs a model to run" in answer.err


def test_models_in_turns():
    """Ratios of 2 in each round, whatever slowed the round down; of two alike nothing is said."""
    slow = [1.0, 1.5, 3.0, 1.0, 2.0, 1.0, 1.1]
    first, second, third = in_turns([(one, 2 * one, one * (1 + (-1) ** at / 100)) for at, one in enumerate(slow)])
    assert (first.seconds, first.ratio) == (1.1, None)
    assert (second.ratio, second.low, second.high) == pytest.approx((2, 2, 2))
    assert second.differs
    assert third.low < 1 < third.high
    assert third.differs is False


def test_compare_times_models(alexnet, net):
    answer = alexnet("compare", net, net, "-i", "4", "--profile", "--seconds", "0.2", "--json")
    assert answer.code == 0, answer.err
    first, second = answer.json["timed"]
    assert (first["rounds"], first["ratio"]) == (7, None)
    assert second["low"] < second["ratio"] < second["high"]
    jsonschema.validate(answer.json, json_schema("compare"))
    assert "Measured in turns" in alexnet("compare", net, net, "-i", "4", "--profile", "--seconds", "0.2").out


def test_times_of_a_cuda_graph_stand_beside_the_plain():
    report = inspect(nn.Sequential(nn.ReLU()), torch.zeros(1, 4)).report
    timed = passes((1.0,), whole=(4.0, 4.0), seconds=4.0)
    report = replace(report, passes=replace(timed, cuda_graph=Captured(9.0, (1.0, 2.0, 3.0))))
    found = profile(report)
    assert found.cuda_graph == CapturedTime(Spread(2.0, 1.5, 2.5), 0.5, 9.0)
    [facts] = [block for block in profile_document(report, [found], None).blocks if isinstance(block, Facts)]
    [graph] = [fact for fact in facts.facts if fact.label == "CUDA graph"]
    assert (graph.value, graph.note.partition(";")[0]) == (2.0, "0.5 × the run as it is")


def test_a_cuda_graph_needs_a_cuda_device(alexnet, net):
    answer = alexnet("profile", net, "-i", "4", "--cuda-graph")
    assert answer.code == 2
    assert "--cuda-graph needs a CUDA device, not cpu" in answer.err
    assert "--device cuda" in answer.err


class Asking(nn.Module):
    """Asks for a value, for which a run has to wait."""

    def forward(self, x):
        return x * x.sum().item()


@needs_cuda
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_run_by_a_cuda_graph(net, backward):
    found = inspect(net, input_size=4, device="cuda").profile(seconds=0.2, cuda_graph=True, backward=backward)
    assert found.cuda_graph.time.seconds > 0
    assert found.cuda_graph.of_plain == pytest.approx(found.cuda_graph.time.seconds / found.whole.time.seconds)


@needs_cuda
def test_why_a_run_is_not_recorded():
    with pytest.raises(AlexnetError, match="cannot be recorded into a CUDA graph"):
        inspect(Asking(), input_size=4, device="cuda").profile(seconds=0.05, cuda_graph=True)


@needs_cuda
def test_a_graph_does_the_work_again():
    """What `captured` returns runs on the same memory: new values of the input give new results."""
    model, given = nn.Linear(4, 4).cuda(), torch.zeros(1, 4, device="cuda")
    out = torch.empty(1, 4, device="cuda")

    def work():
        with torch.no_grad():
            out.copy_(model(given))

    replay = captured(work, model, torch.device("cuda"))
    given.fill_(1.0)
    replay()
    torch.testing.assert_close(out, model(torch.ones(1, 4, device="cuda")).detach())


@needs_cuda
def test_on_a_gpu(net):
    found = inspect(net, input_size=4, device="cuda").profile(seconds=0.2)
    assert found.threads is None
    assert all(layer.launched for layer in found.layers if layer.type == "Linear")


@pytest.mark.parametrize(
    ("runs", "seconds", "enough"),
    [(4, 6.0, False), (5, 5.0, True), (20, 0.1, False), (20, 1.0, True), (19, 1.0, False), (200, 0.1, True)],
)
def test_runs_that_are_alike_are_steady_after_a_second(runs, seconds, enough):
    assert clock._is_enough([0.001] * runs, seconds, 5.0) is enough
