"""A Llama of 405 billion parameters on `meta`: our trace against a bare forward, each in a process of its own.

The model is `tests/large_models.py:Llama`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
RUNS = 5
TIMED = """
import json, resource, sys, time
start = time.perf_counter()
{code}
print(json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""
IMPORT = "import torch"
BARE = f"""
sys.path.insert(0, {str(TESTS)!r})
import torch, large_models
with torch.device("meta"), torch.no_grad():
    large_models.Llama()(torch.zeros(1, 16, dtype=torch.int64))
"""
OURS = f"""
from alexnet_cli.cli.app import run
assert run(["summary", {f"{TESTS}/large_models.py:Llama"!r}, "-i", "16:int64", "--depth", "1", "-o", "/dev/null",
            "--format", "table"]) == 0
"""


def measure(code: str) -> tuple[float, float]:
    """Return the median seconds and the largest peak memory in MiB of several runs."""
    runs = [
        json.loads(
            subprocess.run([sys.executable, "-c", TIMED.format(code=code)], capture_output=True, check=True).stdout
        )
        for _ in range(RUNS)
    ]
    return statistics.median(seconds for seconds, _ in runs), max(peak for _, peak in runs) / 1024


def table() -> str:
    """Return the results as a Markdown table."""
    results = {
        name: measure(code) for name, code in (("import torch", IMPORT), ("bare forward", BARE), ("alexnet", OURS))
    }
    bare = results["bare forward"][0]
    lines = ["| whole process | seconds | against the bare forward | peak memory (MiB) |", "|---|---|---|---|"]
    lines += [f"| {name} | {took:.2f} | {took / bare:.2f} | {peak:.0f} |" for name, (took, peak) in results.items()]
    return "\n".join(lines)
