"""A Llama of 405 billion parameters on `meta`: our trace and other tools against a bare forward, each in a process.

The model is `tests/large_models.py:Llama`.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

from effort import runs

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
RUNS = runs(3)
SLOW, LIMIT = 10.0, 120.0
"""Seconds from which a tool is run once, and after which it is stopped."""
_RAISED = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception))\b", re.MULTILINE)
TIMED = """
import json, resource, sys, time
sys.path.insert(0, {tests!r})
start = time.perf_counter()
{code}
print()
print(json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""
MODEL = """
import torch, large_models
with torch.device("meta"), torch.no_grad():
    model, tokens = large_models.Llama(), torch.zeros(1, 16, dtype=torch.int64)
"""
BARE = f"{MODEL}\nwith torch.device('meta'), torch.no_grad(): model(tokens)"
OURS = f"""
from alexnet_cli.cli.app import run
assert run(["summary", {f"{TESTS}/large_models.py:Llama"!r}, "-i", "16:int64", "--depth", "1", "-o", "/dev/null",
            "--format", "table"]) == 0
"""
PROCESSES = {
    "import torch": "import torch",
    "bare forward": BARE,
    "alexnet": OURS,
    "FlopCounterMode": f"""{MODEL}
from torch.utils.flop_counter import FlopCounterMode
with torch.device('meta'), torch.no_grad(), FlopCounterMode(display=False): model(tokens)
""",
    "torchinfo": f"""{MODEL}
import torchinfo
torchinfo.summary(model, input_data=tokens, device='meta', verbose=0)
""",
    "MemTracker": """
import torch, large_models
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
tracker = MemTracker()
with FakeTensorMode(), torch.no_grad():
    model, tokens = large_models.Llama(), torch.zeros(1, 16, dtype=torch.int64)
    tracker.track_external(model, tokens)
    with tracker: model(tokens)
""",
    "kitsune": f"""{MODEL}
from kitsune.predict import predict_memory
predict_memory(model, (16,), 1, 'bfloat16', training=False)
""",
    "vram-check": f"""{MODEL}
import vram_check
vram_check.analyze(model, training=False)
""",
    "TorchLens": f"""{MODEL}
import torchlens
torchlens.trace(model, tokens)
""",
}


def measure(code: str) -> tuple[float, float] | str:
    """Return the median seconds and the largest peak memory in MiB of several runs, or how it fails."""
    program = TIMED.format(code=code, tests=str(TESTS))
    found = []
    for _ in range(RUNS):
        try:
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return f"stopped after {LIMIT:.0f} s"
        if done.returncode:
            return f"fails: {raised(done.stderr)}"
        found.append(json.loads(done.stdout.splitlines()[-1]))
        if found[-1][0] > SLOW:
            break
    return statistics.median(seconds for seconds, _ in found), max(peak for _, peak in found) / 1024


def raised(stderr: str) -> str:
    """Return the name of the error that ended a program."""
    _, _, last = stderr.rpartition("Traceback (most recent call last)")
    names = _RAISED.findall(last)
    return names[0] if names else "an error"


def table() -> str:
    """Return the results as a Markdown table."""
    results = {name: measure(code) for name, code in PROCESSES.items()}
    bare = results["bare forward"]
    assert isinstance(bare, tuple)  # noqa: S101 - without it there is nothing to compare with
    lines = ["| whole process | seconds | against the bare forward | peak memory (MiB) |", "|---|---|---|---|"]
    for name, found in results.items():
        if isinstance(found, str):
            lines.append(f"| {name} | {found} | | |")
        else:
            lines.append(f"| {name} | {found[0]:.2f} | {found[0] / bare[0]:.2f} | {found[1]:.0f} |")
    return "\n".join(lines)
