"""Models whose sizes are published, by their configs: those that their makers publish beside the weights.

- Cache per token in bfloat16 of DeepSeek-V3 (70.272 KB) and Llama-3.1-405B (516.096 KB): DeepSeek-AI, "Insights into
  DeepSeek-V3", arXiv 2505.09343, table 1.
- DeepSeek-V3, 671B parameters of which 37B are activated: arXiv 2412.19437. Llama 3.1 405B: arXiv 2407.21783.
- Mixtral 8x22B, 141B of which 39B are active: mistral.ai/news/mixtral-8x22b; 56 layers with 8 heads of keys of 128.
- Qwen3, 235B of which 22B are activated, 94 layers with 4 heads of keys of 128: arXiv 2505.09388, table 2.
- GPT-OSS-120B, 116.83B of which 5.13B are active (the unembedding counts, the embedding does not), half of its 36
  layers with a window of 128: arXiv 2508.10925, table 1.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet_cli.analyses.serving.serving import serving
from alexnet_cli.session.session import Named, Session
from alexnet_cli.tracing.options import Serving, TraceOptions

pytest.importorskip("transformers")
CONFIGS = Path(__file__).parent / "configs"
BILLION = 1e9
PUBLISHED = {
    "llama-3.1-405b": (405, None, 516_096),
    "deepseek-v3": (671, 37, 70_272),
    "mixtral-8x22b": (141, 39, 2 * 56 * 8 * 128 * 2),
    "qwen3-235b-a22b": (235, 22, 2 * 94 * 4 * 128 * 2),
    "gpt-oss-120b": (116.83, 5.13, 2 * 18 * 8 * 64 * 2),
}
"""Parameters and active ones in billions, as published, and bytes of the cache per token."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_as_published(folder, name):
    params, active, per_token = PUBLISHED[name]
    config = json.loads((CONFIGS / f"{name}.json").read_text(encoding="utf-8"))
    session = Session(Named(folder(config)), TraceOptions(dtype="bfloat16"))
    found = serving(session.serving(Serving("decode", 4096)).report())
    assert found.params / BILLION == pytest.approx(params, abs=0.005 if isinstance(params, float) else 1)
    assert found.cache.bytes_per_token == per_token
    if active is not None:
        digits = 2 if isinstance(active, float) else None
        assert round(found.active_params / BILLION, digits) == active
