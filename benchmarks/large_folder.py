"""A folder like that of DeepSeek-V3: its config and 163 sparse shards with the headers that its weights have.

`python benchmarks/large_folder.py` makes it in a temporary folder (holes, not bytes) and measures the program on it:
by the headers alone, and as a summary whose weights are held against the model. It needs `transformers`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from math import ceil, prod
from pathlib import Path
from typing import Any

SHARDS = 163
BLOCK = 128
CONFIG: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "n_shared_experts": 1,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "n_group": 8,
    "topk_group": 4,
    "first_k_dense_replace": 3,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
}
"""As https://huggingface.co/deepseek-ai/DeepSeek-V3/blob/main/config.json has it."""
Tensor = tuple[str, str, tuple[int, ...]]


def tensors() -> Iterator[Tensor]:
    """Yield the name, dtype and shape of each weight; matrices of layers are in float8, with a scale for each block."""
    yield "model.embed_tokens.weight", "BF16", (129280, 7168)
    for layer in range(61):
        at = f"model.layers.{layer}"
        yield f"{at}.input_layernorm.weight", "BF16", (7168,)
        yield f"{at}.post_attention_layernorm.weight", "BF16", (7168,)
        yield f"{at}.self_attn.q_a_layernorm.weight", "BF16", (1536,)
        yield f"{at}.self_attn.kv_a_layernorm.weight", "BF16", (512,)
        yield from matrix(f"{at}.self_attn.q_a_proj", 1536, 7168)
        yield from matrix(f"{at}.self_attn.q_b_proj", 128 * 192, 1536)
        yield from matrix(f"{at}.self_attn.kv_a_proj_with_mqa", 576, 7168)
        yield from matrix(f"{at}.self_attn.kv_b_proj", 128 * 256, 512)
        yield from matrix(f"{at}.self_attn.o_proj", 7168, 128 * 128)
        if layer < CONFIG["first_k_dense_replace"]:
            yield from expert(f"{at}.mlp", 18432)
            continue
        yield f"{at}.mlp.gate.weight", "BF16", (256, 7168)
        yield f"{at}.mlp.gate.e_score_correction_bias", "F32", (256,)
        yield from expert(f"{at}.mlp.shared_experts", 2048)
        for number in range(256):
            yield from expert(f"{at}.mlp.experts.{number}", 2048)
    yield "model.norm.weight", "BF16", (7168,)
    yield "lm_head.weight", "BF16", (129280, 7168)


def expert(at: str, width: int) -> Iterator[Tensor]:
    """Yield the three matrices of a feed-forward block."""
    yield from matrix(f"{at}.gate_proj", width, 7168)
    yield from matrix(f"{at}.up_proj", width, 7168)
    yield from matrix(f"{at}.down_proj", 7168, width)


def matrix(at: str, outputs: int, inputs: int) -> Iterator[Tensor]:
    """Yield a quantised matrix and its scales."""
    yield f"{at}.weight", "F8_E4M3", (outputs, inputs)
    yield f"{at}.weight_scale_inv", "F32", (ceil(outputs / BLOCK), ceil(inputs / BLOCK))


def write(folder: Path) -> None:
    """Write the config, the index and the shards, each a header and a hole."""
    sizes = {"BF16": 2, "F32": 4, "F8_E4M3": 1}
    all_tensors = list(tensors())
    each = ceil(len(all_tensors) / SHARDS)
    places = {}
    for shard in range(SHARDS):
        name, header, end = f"model-{shard + 1:05}-of-{SHARDS:06}.safetensors", {}, 0
        for key, dtype, shape in all_tensors[shard * each : (shard + 1) * each]:
            begin, end = end, end + prod(shape) * sizes[dtype]
            header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
            places[key] = name
        text = json.dumps(header).encode()
        (folder / name).write_bytes(len(text).to_bytes(8, "little") + text)
        os.truncate(folder / name, 8 + len(text) + end)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def measure(*words: str) -> None:
    """Run the program and print what it took."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "alexnet_cli", *words, "--json"], stdout=subprocess.PIPE, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    params = json.loads(done.stdout)["totals"]["params"]
    command = " ".join(("alexnet", words[0]))
    print(f"{command}: {params:,} parameters, {wall:.1f} s, {cpu:.1f} s of CPU, peak {after.ru_maxrss / 1024:.0f} MiB")


def main() -> None:
    """Measure by headers first: the peak of memory is that of all runs so far."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        measure("params", str(folder / "model.safetensors.index.json"))
        measure("params", str(folder))
        measure("summary", str(folder), "-i", "16:int64")


if __name__ == "__main__":
    main()
