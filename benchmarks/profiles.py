"""Measured times of ten networks on the CPU: what layers add up to, which are slowest, and whether it is so again.

The slowest layers are held against torch.profiler with a range around each module that has no parts, which is opened
by hooks of our own: it knows nothing of the program's rows. Both measure in turns, round by round, so that a machine
that becomes slower does so for both, and what one round's memory happens to be like is there in both.
"""

from __future__ import annotations

import ctypes
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations, pairwise
from statistics import median
from time import perf_counter
from typing import Any

import torch
from apart import apart
from effort import runs
from memory_models import Residual
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from alexnet_cli import inspect
from alexnet_cli.analyses.profile import are_tied, spread
from alexnet_cli.models.alexnet import AlexNet

ROUNDS = runs(9)
"""How often the program and torch.profiler measure in turns."""
SECONDS = 2.0
"""How long the program measures in one round."""
_RUNS = 5
"""How many runs torch.profiler watches in one round."""
_TRACES = runs(3)
_SLOWEST = 5
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of settings in glibc's `malloc.h`."""
Times = dict[str, list[float]]
"""Seconds by a module's path, one for each round."""


class Last(nn.Module):
    """The last output of a recurrent layer."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Take samples × steps × 128."""
        return self.head(self.recurrent(x)[0][:, -1])


class Decoder(nn.Module):
    """A decoder of layers as torch has them."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(1000, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True) for _ in range(depth)
        )
        self.head = nn.Linear(width, 1000)

    def forward(self, ids: Tensor) -> Tensor:
        """Take samples × tokens."""
        x = self.tokens(ids)
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.head(x)


def _convolutions(dimensions: int, *widths: int) -> nn.Sequential:
    convolution, pool = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1], (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [convolution(before, after, 3, padding=1), nn.ReLU(), pool[dimensions - 1](2)]
    return nn.Sequential(*layers)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "AlexNet": (AlexNet, lambda: torch.rand(1, 3, 227, 227)),
    "residual": (
        lambda: nn.Sequential(Residual(16, 32, 2), Residual(32, 64, 2), Residual(64, 128, 2)),
        lambda: torch.rand(8, 16, 64, 64),
    ),
    "VGG-like": (lambda: _convolutions(2, 3, 64, 128, 256), lambda: torch.rand(2, 3, 128, 128)),
    "1-D convolutions": (lambda: _convolutions(1, 64, 128, 256, 256), lambda: torch.rand(4, 64, 4096)),
    "3-D convolutions": (lambda: _convolutions(3, 1, 16, 32, 64), lambda: torch.rand(1, 1, 32, 64, 64)),
    "MLP": (
        lambda: nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 1024), nn.GELU(), nn.Linear(1024, 256)),
        lambda: torch.rand(64, 512),
    ),
    "decoder": (lambda: Decoder(256, 3), lambda: torch.randint(1000, (2, 128))),
    "LSTM": (lambda: Last(nn.LSTM(128, 256, batch_first=True)), lambda: torch.rand(8, 32, 128)),
    "GRU": (lambda: Last(nn.GRU(128, 256, batch_first=True)), lambda: torch.rand(8, 32, 128)),
    "separable": (
        lambda: nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.Conv2d(32, 128, 1), nn.BatchNorm2d(128), nn.ReLU6(),
            nn.Conv2d(128, 128, 3, padding=1, groups=128), nn.Conv2d(128, 64, 1), nn.BatchNorm2d(64),
        ),
        lambda: torch.rand(4, 32, 56, 56),
    ),
}  # fmt: skip


@contextmanager
def _ranges(model: nn.Module) -> Iterator[None]:
    """Open a range around each module without parts, and run them one by one, as the program does.

    `torch.profiler.record_function` does the same in Python. After a large layer, when no cache holds any of that, it
    took 0.1 ms to close, which is a tenth of some layers here; this takes less than half of that.
    """
    handles = []

    def begin(seen: Any) -> Callable[..., None]:
        return lambda *_: seen.__enter__()

    def end(seen: Any) -> Callable[..., None]:
        return lambda *_: seen.__exit__(None, None, None)

    for path, module in model.named_modules():
        if not any(module.children()):
            seen = torch._C._profiler._RecordFunctionFast(f"layer {path}")  # noqa: SLF001 - torch has no other
            handles += [module.register_forward_pre_hook(begin(seen)), module.register_forward_hook(end(seen))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _one_by_one() -> Iterator[None]:
    """Run the operators of encoder layers one by one, and without gradients, as the program does."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _once(model: nn.Module, given: Tensor) -> float:
    start = perf_counter()
    model(given)
    return perf_counter() - start


def by_torch(model: nn.Module, given: Tensor) -> dict[str, float]:
    """Return the seconds of each module without parts in a run, by ranges in torch's profiler; medians of some runs.

    What ranges and profiler add to the fastest run is taken off in equal parts for each event.
    """
    with _one_by_one():
        plain = [_once(model, given) for _ in range(_RUNS + 1)][1:]  # the first warms up
        with _ranges(model), profile(activities=[ProfilerActivity.CPU]) as seen:
            _once(model, given)  # what is first in a session takes longer
            watched = [_once(model, given) for _ in range(_RUNS)]
    events = sorted((event.time_range.start, event.time_range.end, event.name) for event in seen.events())
    added = max(0.0, min(watched) - min(plain)) * (_RUNS + 1) / len(events)
    calls: Times = defaultdict(list)
    for at, (_, end, name) in enumerate(events):
        if name.startswith("layer "):
            after = next((place for place in range(at, len(events)) if events[place][0] >= end), len(events))
            calls[name.removeprefix("layer ")].append((end - events[at][0]) * 1e-6 - added * (after - at))
    return {path: median(_by_run(times)[1:]) for path, times in calls.items()}


def _by_run(calls: Sequence[float]) -> list[float]:
    """Add up the calls of a module in each run."""
    each = len(calls) // (_RUNS + 1)
    return [sum(calls[at : at + each]) for at in range(0, len(calls), each)]


def by_torchlens(name: str) -> Times:
    """Return the seconds of each module without parts in some traces, by the times that TorchLens has of functions."""
    import torchlens  # changes torch for all that comes after it

    torch.set_num_threads(1)
    build, make = NETWORKS[name]
    model, given = build().eval(), make()
    parts = {path for path, module in model.named_modules() if not any(module.children())}
    seen: Times = {path: [0.0] * _TRACES for path in parts}
    with _one_by_one():
        for trace in range(_TRACES):
            for function in torchlens.trace(model, given).layer_list:
                path = str(function.module or "").rpartition(":")[0]
                if path in parts:
                    seen[path][trace] += float(function.func_duration)
    return seen


def slowest(times: Times) -> list[str]:
    """Return the paths of the modules that take longest in the median."""
    return sorted(times, key=lambda path: -median(times[path]))[:_SLOWEST]


def tied(pair: tuple[str, str], *measured: Times) -> bool:
    """Tell whether two modules are tied by any of these: the middle halves of its rounds overlap."""
    return any(are_tied(*(spread(times[path]) for path in pair)) for times in measured)


def compared(own: Times, other: Times) -> str:
    """Say whether the slowest modules are in the same order, but for pairs that are tied."""
    pairs = combinations(dict.fromkeys((*slowest(own), *slowest(other))), 2)
    swapped = [pair for pair in pairs if len({_first(pair, times) for times in (own, other)}) > 1]
    wrong = [pair for pair in swapped if not tied(pair, own, other)]
    if wrong:
        return f"no: {'; '.join(' and '.join(pair) for pair in wrong)}"
    return f"yes, but for {len(swapped)} tied pair{'s' * (len(swapped) > 1)}" if swapped else "yes"


def _first(pair: tuple[str, str], times: Times) -> str:
    return max(pair, key=lambda path: median(times[path]))


def _in_turns(model: nn.Module, given: Tensor) -> tuple[list[Any], Times, Times]:
    """Return the program's answers, and the seconds of modules without parts by them and by torch.profiler."""
    look = inspect(model, given)
    answers, ours, theirs = [], defaultdict(list), defaultdict(list)
    for _ in range(ROUNDS):
        answers.append(look.profile(seconds=SECONDS))
        for path, seconds in by_torch(model, given).items():
            theirs[path].append(seconds)
            ours[path].append(sum(layer.time.seconds for layer in answers[-1].layers if layer.path == path))
    return answers, ours, theirs


def keep_memory() -> None:
    """Let glibc keep what is freed: else the pages of large tensors may be mapped anew in each run, or in none.

    The VGG-like network takes 53 ms where it has 5,000 page faults in each run, and 42 ms where it has none.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for number in (_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD):
            libc.mallopt(number, 2**28 if number == _TOP_PAD else 2**30)


def table() -> str:
    """Return the section of RESULTS.md."""
    torch.manual_seed(0)
    keep_memory()
    traced = {name: apart(by_torchlens, name) for name in NETWORKS}  # before this process has threads
    torch.set_num_threads(1)
    lines = [
        f"`alexnet profile` on the CPU, one thread, {ROUNDS} times in turns with torch.profiler with a range around",
        "each module. The first columns are medians of the rounds: the whole run, the layers' times together, the part",
        "of a run that the profiler added and that was taken off, and the width of the middle half of the runs of one",
        "round. `again` is how far the whole runs of two rounds in a row are apart, in the median, and how often they",
        "are by less than that width. glibc keeps the memory that is freed, so that no run maps its pages anew.",
        "",
        f"The {_SLOWEST} slowest layers are compared by their medians. Two are tied if the middle halves of their",
        "rounds overlap, by the program or by torch.profiler: layers alike in all but their place have no order.",
        f"`tied` is how many pairs of the {_SLOWEST} slowest are. The last column: {_TRACES} traces of TorchLens",
        "against torch.profiler by the same rule.",
        "",
        "| network | whole run | layers together | profiler added | spread | again | same order | tied | TorchLens |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, (build, make) in NETWORKS.items():
        answers, ours, theirs = _in_turns(build().eval(), make())
        pairs = list(combinations(slowest(ours), 2))
        cells = [
            name,
            *_whole([answer.whole for answer in answers]),
            compared(ours, theirs),
            f"{sum(tied(pair, ours, theirs) for pair in pairs)} of {len(pairs)}",
            compared(traced[name], theirs),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _whole(rounds: Sequence[Any]) -> list[str]:
    """Return what is said of whole runs."""
    taken = [each.time.seconds for each in rounds]
    widths = [(each.time.high - each.time.low) / each.time.seconds for each in rounds]
    apart_by = [abs(after - before) / before for before, after in pairwise(taken)]
    within = sum(far <= width for far, width in zip(apart_by, widths, strict=False))
    return [
        f"{1e3 * median(taken):.2f} ms",
        f"{median(each.layers_seconds / each.time.seconds for each in rounds):.1%}",
        f"{median(each.profiler_seconds / each.time.seconds for each in rounds):.1%}",
        f"{median(widths):.1%}",
        f"{median(apart_by):.1%} ({within} of {len(apart_by)})" if apart_by else "",
    ]


if __name__ == "__main__":
    print(table())
