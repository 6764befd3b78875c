"""Settings without which the default config of a type of `transformers` makes no model.

Hybrids of attention and state spaces have no layer of attention left among two, without which their caches fail. The
towers of Qwen-VL have fewer heads, as the narrowed ones cannot be rotated, and make vectors as wide as the text's.
"""

from __future__ import annotations

from typing import Any

WHOLE = {
    "align",
    "clap",
    "depth_pro",
    "efficientnet",
    "fastspeech2_conformer_with_hifigan",
    "pvt",
    "zoedepth",
}
"""Types whose parts no longer fit together when they are made small, in torch itself: they keep their size."""

REFUSED = {
    "blip-2",
    "edgetam",
    "edgetam_video",
    "edgetam_vision_model",
    "glm4v_moe",
    "glm4v_moe_text",
    "llama4",
    "lw_detr",
    "pp_ocrv6_small_det",
    "uvdoc",
}
"""Types that torch itself runs on no input: their default config does not fit together, or Llama 4's own code fails.

They are of no use as a test.
"""

SETTINGS: dict[str, dict[str, Any]] = {
    "autoformer": {"prediction_length": 24},
    "bamba": {"attn_layer_indices": [1]},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"], "num_hidden_layers": 2},
    "hrm_text": {"H_cycles": 1, "L_cycles": 1, "L_bp_cycles": [1], "num_layers_per_stack": 1, "num_hidden_layers": 2},
    "idefics3": {"vision_config": {"image_size": 256}},
    "informer": {"prediction_length": 24},
    "instructblip": {"image_token_index": 1000},
    "instructblipvideo": {"video_token_index": 1000},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "mllama": {"vision_config": {"intermediate_layers_indices": [0, 1], "vision_output_dim": 3 * 1280}},
    "pp_doclayout_v2": {"class_thresholds": [0.5, 0.5], "class_order": [0, 1]},
    "qwen2_vl": {"vision_config": {"num_heads": 4, "hidden_size": 8192}},
    "qwen2_5_vl": {"vision_config": {"num_heads": 4, "out_hidden_size": 8192}},
    "qwen3_vl": {"vision_config": {"num_heads": 4, "out_hidden_size": 4096}},
    "qwen3_vl_moe": {"vision_config": {"num_heads": 4, "out_hidden_size": 2048}},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "smolvlm": {"vision_config": {"image_size": 256}},
    "step3p7": {"text_config": {"sliding_window": 512}},
    "time_series_transformer": {"prediction_length": 24},
}
