"""Models larger than the machine, and models of very many rows."""

import json
import re
import subprocess
import sys
from pathlib import Path

import large_models as big
import pytest

from alexnet_cli.targets.inputs import parse_input
from alexnet_cli.targets.subject import Loaded, Subject
from alexnet_cli.tracing.options import TraceOptions
from alexnet_cli.tracing.trace import trace

HERE = Path(__file__).parent
ATTENTION = 2 * big.HIDDEN * big.HEADS * big.HEAD + 2 * big.HIDDEN * big.KEY_VALUE_HEADS * big.HEAD
BLOCK = ATTENTION + 3 * big.HIDDEN * big.INTERMEDIATE + 2 * big.HIDDEN
LLAMA = 2 * big.VOCABULARY * big.HIDDEN + big.BLOCKS * BLOCK + big.HIDDEN


def traced(make, *shapes):
    subject = Subject("large", "", lambda: Loaded(make()))
    return trace(subject, TraceOptions(inputs=tuple(map(parse_input, shapes))), notify=pytest.fail)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_405_billion_parameters_in_a_few_hundred_megabytes(tmp_path):
    """In a process of its own, by the kernel's peak of that process: `ru_maxrss` would count the one it came from."""
    tokens, saved = 16, tmp_path / "llama.json"
    words = ["summary", f"{HERE}/large_models.py:Llama", "-i", f"{tokens}:int64", "-o", str(saved)]
    code = f"from alexnet_cli.cli.app import run; assert run({words}) == 0; print(open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    totals = json.loads(saved.read_text())["totals"]
    assert totals["params"] == LLAMA == 405_853_388_800  # as published for Llama 3.1 405B
    weights = big.BLOCKS * (BLOCK - 2 * big.HIDDEN) + big.VOCABULARY * big.HIDDEN
    scores = big.BLOCKS * 2 * tokens * tokens * big.HIDDEN  # every query head with its keys, then with its values
    assert totals["macs"] == tokens * weights + scores
    [peak_kib] = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak_kib) * 1024 < totals["param_bytes"] / 500


def test_depth_folds_its_blocks_into_one_row(alexnet):
    answer = alexnet("summary", f"{HERE}/large_models.py:Llama", "--depth", "1")
    assert answer.code == 0, answer.err
    rows = [line for line in answer.out.splitlines() if "Block" in line]
    assert len(rows) == 1
    assert "Block ×126 identical" in rows[0]
    assert "layers.0–125" in rows[0]
    assert f"{big.BLOCKS * BLOCK:,}" in rows[0]
    unfolded = alexnet("summary", f"{HERE}/large_models.py:Llama", "--depth", "1", "--json").json["layers"]
    assert sum(row["type"] == "Block" for row in unfolded) == big.BLOCKS


def test_thousands_of_blocks_add_up():
    report = traced(lambda: big.Residuals(1000), "16")
    assert report.totals.layers == 2000
    assert report.totals.params == 2000 * (16 * 16 + 16)
    assert report.totals.macs == 2000 * 16 * 16
    assert len(report.layers) == 1 + 4 * 1000
