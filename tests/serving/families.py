"""Small configs of language models, with the bytes of their caches and the MACs of one token, derived by hand.

`n` is the context: the n-th token is decoded, and with it n tokens are cached. All numbers are float32, of one sample.
A matrix product takes as many MACs for a token as its weight has elements; attention with `pairs` keys takes twice
`pairs` times the width of all heads, for the scores and for their product with the values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

D, HEADS, HEAD, FF, VOCABULARY, WINDOW = 32, 4, 8, 48, 100, 16
WIDTH = HEADS * HEAD
EXPERTS, CHOSEN, EXPERT = 8, 2, 16
CONTEXTS = (5, 16, 40)
"""Below the window, as long as it, and beyond."""
FLOAT = 4

OfContext = Callable[[int], int]


@dataclass(frozen=True)
class Family:
    """A config, and from the context to the bytes of the cache and to the MACs of the last token."""

    config: dict[str, Any]
    cached: OfContext
    macs: OfContext


def _config(kind: str, name: str, heads_of_keys: int = 2, layers: int = 2, **others: Any) -> dict[str, Any]:
    sizes = {"hidden_size": D, "intermediate_size": FF, "num_hidden_layers": layers, "vocab_size": VOCABULARY}
    heads = {"num_attention_heads": HEADS, "num_key_value_heads": heads_of_keys}
    return {"architectures": [name], "model_type": kind, **sizes, **heads, **others}


def whole(n: int) -> int:
    """Return how many keys full attention sees."""
    return n


def windowed(n: int) -> int:
    """Return how many keys a sliding window sees: the token itself and those before it."""
    return min(n, WINDOW)


def kept(n: int) -> int:
    """Return how many tokens a sliding layer caches: the next token sees one less of them than the window holds."""
    return min(n, WINDOW - 1)


def _attention(keys: int) -> int:
    """Return the MACs of the four projections, with `keys` heads of keys and values."""
    return 2 * D * WIDTH + 2 * D * keys * HEAD


def _mlp(width: int = FF) -> int:
    return 3 * D * width  # gate, up and down


def _grouped(pairs: list[OfContext], cached: list[OfContext], keys: int, mlp: int) -> tuple[OfContext, OfContext]:
    """Return the cache and the MACs of layers that each see so many keys and keep so many tokens."""

    def bytes_at(n: int) -> int:
        return FLOAT * sum(2 * keys * HEAD * tokens(n) for tokens in cached)

    def macs_at(n: int) -> int:
        linear = len(pairs) * (_attention(keys) + mlp) + VOCABULARY * D
        return linear + sum(2 * WIDTH * seen(n) for seen in pairs)

    return bytes_at, macs_at


def _latent(n: int) -> int:
    """DeepSeek-V3 as transformers runs it: each token expands all cached latents to keys and values again.

    The first layer has a dense MLP, the second experts with one that is shared.
    """
    q_rank, kv_rank, plain, rotated, value = 16, 12, 8, 4, 8
    query = D * q_rank + q_rank * HEADS * (plain + rotated)
    latent = D * (kv_rank + rotated)
    expanded = n * kv_rank * HEADS * (plain + value)
    attended = n * HEADS * (plain + rotated) + n * HEADS * value
    layer = query + latent + expanded + attended + HEADS * value * D
    experts = D * EXPERTS + CHOSEN * _mlp(EXPERT) + _mlp(EXPERT)
    return 2 * layer + _mlp() + experts + VOCABULARY * D


def _encoded(layers: int, inner: int, ff: int, head: int, read: OfContext) -> tuple[OfContext, OfContext]:
    """A decoder that also attends to what an encoder read, whose keys and values are cached from the first token on."""

    def bytes_at(n: int) -> int:
        return FLOAT * layers * 2 * inner * (n + read(n))

    def macs_at(n: int) -> int:
        linear = 4 * D * inner + 2 * D * inner + 2 * D * ff  # four of the text, query and output of the other, the MLP
        return layers * (linear + 2 * inner * (n + read(n))) + head * D

    return bytes_at, macs_at


def _mamba2(n: int) -> int:
    """Each token does its convolution at two places, of the four that are kept and the new one, and reads the state."""
    del n
    inner, state, heads, kernel = 64, 16, 8, 4
    channels = inner + 2 * state
    layer = D * (inner + channels + heads) + 2 * kernel * channels + inner * state + inner * D
    return 2 * layer + VOCABULARY * D


def _gemma3n(n: int) -> int:
    """Five layers, of which the last two read the cache of the third (whole) and the second (a window).

    Beside attention and MLP, a layer predicts and corrects four copies of the text (AltUp), goes around attention at
    low rank (LAuReL), and is given eight numbers a token.
    """
    copies, rank, given, layers = 4, 4, 8, 5
    router, predicted = D * copies, copies * copies**2 + D * copies**2
    around, beside = 2 * D * rank, 2 * D * given
    layer = 2 * router + predicted + copies * copies + around + beside + 2 * D * WIDTH + _mlp()
    keys = 3 * 2 * D * 2 * HEAD  # the others share them
    ends = 2 * (copies - 1) * D * D + D * layers * given + VOCABULARY * D
    return layers * layer + keys + ends + 2 * WIDTH * (3 * windowed(n) + 2 * n)


def _qwen3_next(n: int) -> int:
    """Three layers with a state, whose convolution is done at two places, one of attention with a gate; experts each.

    The state itself takes no matrix product: for one token it is scaled and summed element by element.
    """
    keys, values, heads, kernel = 2 * 8, 4 * 8, 4, 4
    state = D * (2 * keys + 2 * values) + D * 2 * heads + 2 * kernel * (2 * keys + values) + values * D
    attention = D * 2 * WIDTH + 2 * D * 2 * HEAD + WIDTH * D + 2 * WIDTH * n
    experts = D * 4 + CHOSEN * _mlp(EXPERT) + _mlp(EXPERT) + D
    return 3 * state + attention + 4 * experts + VOCABULARY * D


_SLIDING = {"sliding_window": WINDOW, "head_dim": HEAD}
_MOE = {"num_experts_per_tok": CHOSEN}
_DEEPSEEK = {
    "q_lora_rank": 16,
    "kv_lora_rank": 12,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "n_routed_experts": EXPERTS,
    "n_group": 2,
    "topk_group": 1,
    "moe_intermediate_size": EXPERT,
    "first_k_dense_replace": 1,
}
_GPT2 = {"n_embd": D, "n_head": HEADS, "n_layer": 2, "vocab_size": VOCABULARY, "n_positions": 64}
_T5 = {"d_model": D, "d_kv": HEAD, "d_ff": 64, "num_layers": 2, "num_heads": HEADS, "vocab_size": VOCABULARY}
_WHISPER = {
    "d_model": D,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 200,
    "num_mel_bins": 8,
    "max_source_positions": 32,
    "max_target_positions": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
}
_MAMBA2 = {
    "hidden_size": D,
    "num_heads": 8,
    "head_dim": 8,
    "state_size": 16,
    "n_groups": 1,
    "expand": 2,
    "chunk_size": 8,
    "num_hidden_layers": 2,
    "vocab_size": VOCABULARY,
}
_GEMMA3N = {
    **_SLIDING,
    "num_kv_shared_layers": 2,
    "layer_types": [f"{kind}_attention" for kind in ("sliding", "sliding", "full", "sliding", "full")],
    "hidden_size_per_layer_input": 8,
    "laurel_rank": 4,
    "vocab_size_per_layer_input": VOCABULARY,
    "activation_sparsity_pattern": [0.0] * 5,
}
_QWEN3_NEXT = {
    "head_dim": HEAD,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "num_experts": 4,
    "moe_intermediate_size": EXPERT,
    "shared_expert_intermediate_size": EXPERT,
}
_BOTH = ([windowed, whole], [kept, whole])
_ALTERNATING = _grouped(*_BOTH, 2, _mlp())

FAMILIES: dict[str, Family] = {
    "MHA (GPT-2)": Family(
        {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", **_GPT2},
        *_grouped([whole] * 2, [whole] * 2, HEADS, 2 * D * 4 * D),
    ),
    "GQA (Llama)": Family(_config("llama", "LlamaForCausalLM"), *_grouped([whole] * 2, [whole] * 2, 2, _mlp())),
    "MQA (Llama)": Family(_config("llama", "LlamaForCausalLM", 1), *_grouped([whole] * 2, [whole] * 2, 1, _mlp())),
    "MLA (DeepSeek-V3)": Family(
        _config("deepseek_v3", "DeepseekV3ForCausalLM", 4, **_MOE, **_DEEPSEEK),
        lambda n: FLOAT * 2 * n * (12 + 4),
        _latent,
    ),
    "sliding window (Mistral)": Family(
        _config("mistral", "MistralForCausalLM", sliding_window=WINDOW),
        *_grouped([windowed] * 2, [kept] * 2, 2, _mlp()),
    ),
    "alternating (Gemma 2)": Family(_config("gemma2", "Gemma2ForCausalLM", **_SLIDING), *_ALTERNATING),
    "alternating (Gemma 3)": Family(
        _config("gemma3_text", "Gemma3ForCausalLM", layers=6, **_SLIDING),
        *_grouped([windowed] * 5 + [whole], [kept] * 5 + [whole], 2, _mlp()),
    ),
    "alternating with experts (GPT-OSS)": Family(
        _config("gpt_oss", "GptOssForCausalLM", num_local_experts=EXPERTS, **_SLIDING, **_MOE),
        *_grouped(*_BOTH, 2, D * EXPERTS + CHOSEN * _mlp()),
    ),
    "experts (Mixtral)": Family(
        _config("mixtral", "MixtralForCausalLM", num_local_experts=EXPERTS, **_MOE),
        *_grouped([whole] * 2, [whole] * 2, 2, D * EXPERTS + CHOSEN * _mlp()),
    ),
    "shared by layers (Gemma 3n)": Family(
        {**_config("gemma3n_text", "Gemma3nForCausalLM", layers=5, **_GEMMA3N), "intermediate_size": [FF] * 5},
        lambda n: FLOAT * 2 * 2 * HEAD * (2 * kept(n) + n),
        _gemma3n,
    ),
    "state and attention (Qwen3-Next)": Family(
        _config("qwen3_next", "Qwen3NextForCausalLM", layers=4, **_MOE, **_QWEN3_NEXT),
        lambda n: FLOAT * (3 * (64 * 4 + 4 * 8 * 8) + 2 * 2 * HEAD * n),
        _qwen3_next,
    ),
    "SSM (Mamba 2)": Family(
        {"architectures": ["Mamba2ForCausalLM"], "model_type": "mamba2", **_MAMBA2},
        lambda _: FLOAT * 2 * ((64 + 2 * 16) * 4 + 8 * 8 * 16),  # the convolution's last inputs, and the state
        _mamba2,
    ),
    "encoder and decoder (T5)": Family(
        {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "decoder_start_token_id": 0, **_T5},
        *_encoded(2, WIDTH, 64, VOCABULARY, whole),
    ),
    "encoder and decoder (Whisper)": Family(
        {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", **_WHISPER},
        *_encoded(2, D, 64, 200, lambda _: 32),
    ),
}
