"""Whole processes, in turns: seconds until the answer, compared with `import torch` in the same round."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from effort import runs

ROUNDS = runs(7)
PEER_ROUNDS = runs(3)
"""How often this program and `import torch` are measured, and how often the others, of which each takes seconds."""
NOTEBOOK = Path(__file__).parent.parent / "tests"
ALEXNET = str(Path(sys.executable).parent / "alexnet")
IMPORT_TORCH = "import torch"
NET = (
    f"import sys, warnings; sys.path.insert(0, {str(NOTEBOOK)!r}); warnings.simplefilter('ignore'); "
    "from notebook import Net"
)
PEERS = {
    "torchsummary, CPU": f"{NET}; import torchsummary; torchsummary.summary(Net(), (3, 227, 227), device='cpu')",
    "torchinfo, CPU": f"{NET}; import torchinfo; print(torchinfo.summary(Net(), (1, 3, 227, 227), device='cpu'))",
    "torchinfo, meta": f"{NET}; import torch, torchinfo\n"
    "with torch.device('meta'): net = Net()\nprint(torchinfo.summary(net, (1, 3, 227, 227), device='meta'))",
    "fvcore, CPU": f"{NET}; import torch; from fvcore.nn import FlopCountAnalysis, flop_count_table\n"
    "print(flop_count_table(FlopCountAnalysis(Net(), torch.rand(1, 3, 227, 227))))",
    "ptflops, CPU": f"{NET}; import ptflops; print(ptflops.get_model_complexity_info(Net(), (3, 227, 227)))",
    "thop, CPU": f"{NET}; import torch, thop; print(thop.profile(Net(), (torch.rand(1, 3, 227, 227),)))",
    "FlopCounterMode, meta": f"{NET}; import torch; from torch.utils.flop_counter import FlopCounterMode\n"
    "with torch.device('meta'), torch.no_grad(), FlopCounterMode(): Net()(torch.rand(1, 3, 227, 227))",
    "MemTracker, fake tensors": f"{NET}; import torch; from torch._subclasses.fake_tensor import FakeTensorMode\n"
    "from torch.distributed._tools.mem_tracker import MemTracker; tracker = MemTracker()\n"
    "with FakeTensorMode():\n"
    "    net, images = Net(), torch.rand(1, 3, 227, 227); tracker.track_external(net, images)\n"
    "    with tracker: net(images).sum().backward()\n"
    "tracker.display_snapshot('peak')",
    "kitsune, memory": f"{NET}; from kitsune.predict import predict_memory\n"
    "print(predict_memory(Net(), (3, 227, 227)))",
    "vram-check, memory": f"{NET}; import vram_check; print(vram_check.analyze(Net())['summary'])",
    "TorchLens, CPU": f"{NET}; import torch, torchlens\nprint(torchlens.trace(Net(), torch.rand(1, 3, 227, 227)))",
}


def commands() -> dict[str, list[str]]:
    """Return what is timed, by name; the others are compared with the first."""
    return {
        IMPORT_TORCH: [sys.executable, "-c", IMPORT_TORCH],
        "alexnet --help": [ALEXNET, "--help"],
        "alexnet --version": [ALEXNET, "--version"],
        "alexnet summary --device tpu (usage error)": [ALEXNET, "summary", "--device", "tpu"],
        "alexnet summary, warm": [ALEXNET, "summary"],
        "alexnet params --by-type, warm": [ALEXNET, "params", "--by-type"],
        "alexnet summary, cold": [ALEXNET, "summary", "--no-cache"],
        **{name: [sys.executable, "-c", code] for name, code in PEERS.items()},
    }


def run_once(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Return seconds, peak memory in MiB and the exit code of one process."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - start, usage.ru_maxrss / 1024, process.returncode


def measure() -> list[tuple[str, float, float, float, bool]]:
    """Return name, median seconds, median ratio, median peak memory and whether it ran, for each command."""
    folder = tempfile.mkdtemp()
    environment = {**os.environ, "ALEXNET_CACHE_DIR": folder, "PYTHONPYCACHEPREFIX": folder + "/bytecode"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pip compiles what it installs; so is what is timed here
    timed = commands()
    done: dict[str, list[tuple[float, float, int]]] = {name: [] for name in timed}
    try:
        for number in range(ROUNDS + 1):  # the first round warms up
            for name, command in timed.items():
                if name in PEERS and number > PEER_ROUNDS:
                    continue
                once = run_once(command, environment)
                done[name] += [once] if number else []
    finally:
        shutil.rmtree(folder)
    rows = []
    for name, found in done.items():
        ratios = [mine[0] / base[0] for mine, base in zip(found, done[IMPORT_TORCH], strict=False)]
        ran = all(code == 0 for *_, code in found) or "usage error" in name
        medians = [statistics.median(values) for values in ([s for s, *_ in found], ratios, [m for _, m, _ in found])]
        rows.append((name, *medians, ran))
    return rows


def table() -> str:
    """Return the results as a Markdown table."""
    lines = [f"Medians of {ROUNDS} rounds, of {PEER_ROUNDS} for other tools; ratios are within a round.", ""]
    lines += ["| whole process | seconds | against `import torch` | peak memory (MiB) |", "|---|---|---|---|"]
    for name, seconds, ratio, peak, ran in measure():
        shown = f"{seconds:.2f} | {ratio:.2f} | {peak:.0f}" if ran else "failed | | "
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)
