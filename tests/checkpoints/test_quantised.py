"""Quantised checkpoints: parameters as the model has them, beside the bytes that they are stored in."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from math import ceil

import pytest
from mutations import rounds
from quantised_files import (
    awq,
    awq_fast,
    awq_gemv,
    eetq,
    fp8,
    gptq,
    hqq,
    int8,
    mxfp4,
    nf4,
    nvfp4,
    quant_state,
    quanto,
    quanto_int8,
    size_of,
    sparse,
    store,
)

from alexnet_cli.errors import TargetError
from alexnet_cli.targets.checkpoint.contents import Contents, Stored
from alexnet_cli.targets.checkpoint.quantised import as_the_model_has_them, quantisation_of
from alexnet_cli.targets.checkpoint.read import read_contents, report_of

CHANGES = rounds(500)
OUTPUTS, INPUTS = 64, 256
NORM = {"norm.weight": ("F16", (256,))}
MADE = {
    "nf4": (nf4("fc", OUTPUTS, INPUTS), "bitsandbytes", "nf4"),
    "nf4, not nested": (nf4("fc", OUTPUTS, INPUTS, nested=False), "bitsandbytes", "nf4"),
    "int8": (int8("fc", OUTPUTS, INPUTS), "bitsandbytes", "int8"),
    **{f"gptq {bits}": (gptq("fc", OUTPUTS, INPUTS, bits), "gptq", f"int{bits}") for bits in (2, 3, 4, 8)},
    "gptq, no order": (gptq("fc", OUTPUTS, INPUTS, 4, ordered=False), "gptq", "int4"),
    "awq": (awq("fc", OUTPUTS, INPUTS), "awq", "int4"),
    "awq gemv": (awq_gemv("fc", OUTPUTS, INPUTS), "awq", "int4"),
    "fp8": (fp8("fc", OUTPUTS, INPUTS), "fp8", "float8_e4m3fn"),
    "nvfp4": (nvfp4("fc", OUTPUTS, INPUTS), "modelopt", "NVFP4"),
    **{f"hqq {bits}": (hqq("fc", OUTPUTS, INPUTS, bits), "hqq", f"int{bits}") for bits in (1, 2, 4, 8)},
    "quanto": (quanto_int8("fc", OUTPUTS, INPUTS), "quanto", "int8"),
    "eetq": (eetq("fc", OUTPUTS, INPUTS), "eetq", "int8"),
    "awq fast": (awq_fast("fc", OUTPUTS, INPUTS), "awq", "int4"),
    "sparse": (sparse("fc", OUTPUTS, INPUTS), "compressed-tensors", "bfloat16"),
}


@pytest.mark.parametrize("with_config", [True, False])
@pytest.mark.parametrize("made", MADE)
def test_a_layer_has_its_own_shape_and_the_bytes_that_it_is_stored_in(tmp_path, read, made, with_config):
    tensors, method, dtype = MADE[made]
    path = store(tmp_path / "model.safetensors", {**tensors, **NORM, "fc.bias": ("F16", (OUTPUTS,))})
    if with_config:
        (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": method}}))
    report = read(path)
    row = next(row for row in report.layers if row.path == "fc")
    assert (row.type, row.settings["in_features"], row.settings["out_features"]) == ("Linear", INPUTS, OUTPUTS)
    assert (row.params, row.buffers) == (OUTPUTS * INPUTS + OUTPUTS, 0)
    assert row.param_bytes == size_of(tensors) + 2 * OUTPUTS
    assert row.settings["dtype"] == [dtype, "float16"]
    assert report.totals.params == row.params + 256
    said = "as config.json says" if with_config else "inferred from names and shapes"
    assert said in report.model.description


def test_an_odd_number_of_values_in_bytes(tmp_path, read):
    report = read(store(tmp_path / "model.safetensors", nf4("fc", 3, 5)))
    assert report.totals.params == 15


@pytest.mark.parametrize("bits", [2, 4])
def test_groups_of_quanto_are_a_layer_of_unknown_features(tmp_path, read, bits):
    tensors = quanto("fc", OUTPUTS, INPUTS, bits)
    row = next(row for row in read(store(tmp_path / "model.safetensors", tensors)).layers if row.path == "fc")
    assert (row.type, row.params, row.buffers) == ("Linear", OUTPUTS * INPUTS, 0)
    assert (row.param_bytes, row.settings["dtype"]) == (size_of(tensors), f"int{bits}")


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_hqq_itself(tmp_path, read, bits):
    quantize = pytest.importorskip("hqq.core.quantize")
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    how = quantize.BaseQuantizeConfig(nbits=bits, group_size=32)
    layer = quantize.HQQLinear(torch.nn.Linear(64, 96), how, compute_dtype=torch.float32, device="cpu")
    state = {f"fc.{key}": value for key, value in layer.state_dict().items() if isinstance(value, torch.Tensor)}
    save_file(state, tmp_path / "model.safetensors")
    report = read(tmp_path / "model.safetensors")
    assert (report.totals.params, report.totals.buffers) == (64 * 96 + 96, 0)
    assert report.totals.param_bytes == sum(tensor.nbytes for tensor in state.values())


@pytest.mark.parametrize("kind", ["qint8", "qint4", "qint2", "qfloat8"])
def test_quanto_itself(tmp_path, read, kind):
    library = pytest.importorskip("optimum.quanto")
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    model = torch.nn.Sequential(torch.nn.Linear(256, 96))
    library.quantize(model, weights=getattr(library, kind))
    library.freeze(model)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "model.safetensors")
    assert read(tmp_path / "model.safetensors").totals.params == 256 * 96 + 96


def test_a_method_that_is_not_unpacked_is_told(tmp_path, read):
    store(tmp_path / "model.safetensors", {"fc.codes": ("I16", (8, 8)), **NORM})
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "aqlm"}}))
    said = read(tmp_path / "model.safetensors").model.description
    assert "says that it is quantised (aqlm)" in said
    assert "the model's parameters are not known" in said


def test_a_state_that_does_not_fit_is_not_believed(tmp_path, read):
    tensors = nf4("fc", 64, 64) | {"fc.weight.quant_state.bitsandbytes__nf4": quant_state((2**40, 2**40))}
    row = next(row for row in read(store(tmp_path / "model.safetensors", tensors)).layers if row.path == "fc")
    assert (row.type, row.params) == ("Linear", 64 * 64)
    assert "in_features" not in row.settings


def test_a_shape_that_is_not_at_hand_is_the_models():
    """Of a hub only the header is read, and the quant_state is not in it."""
    tensors = {key: Stored(tuple(shape), "uint8", shape[0]) for key, (_, shape, *_) in nf4("fc", 8, 64).items()}
    weight = as_the_model_has_them(Contents(tensors, ""), None).tensors["fc.weight"]
    assert weight.shape == (8 * 64,)
    assert weight.shape_beside((8, 64)) == (8, 64)
    assert weight.shape_beside((8, 63)) == weight.shape_beside(None) == (8 * 64,)


@pytest.mark.parametrize("dot", ["_", "."])
def test_experts_of_gpt_oss(tmp_path, read, dot):
    tensors = mxfp4("mlp.experts.up", 4, 96, 64, dot)
    report = read(store(tmp_path / "model.safetensors", {**tensors, "mlp.experts.up_bias": ("BF16", (4, 96))}))
    row = next(row for row in report.layers if row.path == "mlp.experts")
    assert row.settings["tensors"] == {"up": [4, 64, 96], "up_bias": [4, 96]}
    assert (row.params, row.param_bytes) == (4 * 64 * 96 + 4 * 96, 4 * 96 * (32 + 2) + 2 * 4 * 96)


def test_a_folder_of_gpt_oss_fits_its_model(alexnet, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_local_experts": 4}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100}
    config = transformers.GptOssConfig(**sizes, **heads, layer_types=["full_attention"])
    config.quantization_config = {"quant_method": "mxfp4"}
    config.architectures = ["GptOssForCausalLM"]
    config.save_pretrained(tmp_path)
    del config.quantization_config
    model_class = transformers.GptOssForCausalLM  # imports the compiler, which torch 2.6 cannot do on meta
    with torch.device("meta"):
        model = model_class(config)
    tensors = {key: ("F32", tuple(value.shape)) for key, value in model.state_dict().items()}
    for name in ("gate_up_proj", "down_proj"):
        experts, inputs, outputs = tensors.pop(f"model.layers.0.mlp.experts.{name}")[1]
        tensors |= mxfp4(f"model.layers.0.mlp.experts.{name}", experts, outputs, inputs)
    store(tmp_path / "model.safetensors", tensors)
    answer = alexnet("summary", str(tmp_path), "-i", "8:int64")
    assert answer.code == 0
    assert f"all {len(model.state_dict())} tensors fit" in answer.out


def bits_of_int(bits):
    """`pack-quantized`: values in int32, a bfloat16 scale for 128 of them, the shape as two int64."""
    return lambda outputs, inputs: outputs * inputs * bits // 8 + 2 * outputs * ceil(inputs / 128) + 2 * 8


SCHEMES = {
    "W4A16": bits_of_int(4),
    "W8A16": bits_of_int(8),
    "W4A16_ASYM": lambda outputs, inputs: bits_of_int(4)(outputs, inputs) + outputs * ceil(inputs / 128) // 2,
    "W8A8": lambda outputs, inputs: outputs * inputs + 2 * outputs,
    "FP8": lambda outputs, inputs: outputs * inputs + 2 + 2,  # a scale of the weight, one of the inputs
    "FP8_BLOCK": lambda outputs, inputs: outputs * inputs + 2 * ceil(outputs / 128) * ceil(inputs / 128),
    "NVFP4": lambda outputs, inputs: outputs * inputs // 2 + outputs * inputs // 16 + 4 + 4,
    "MXFP4": lambda outputs, inputs: outputs * inputs // 2 + outputs * inputs // 32,
}
LAYERS = {"q": (128, 128), "k": (64, 128), "v": (64, 128), "o": (128, 128), "up": (256, 128), "gate": (256, 128)}
LINEAR = [*LAYERS.values(), (128, 256)]
LLAMA_PARAMS = sum(outputs * inputs for outputs, inputs in LINEAR) + 2 * 100 * 128 + 3 * 128
"""The layers of one block, the embedding and the head, which is not quantised, and three norms."""


def compress(scheme, folder):
    """Save a small Llama as the compressed-tensors package does, with scales of one."""
    import torch
    from compressed_tensors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config, preset_name_to_scheme
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1, "vocab_size": 100}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
    model = LlamaForCausalLM(LlamaConfig(**sizes, **heads)).to(torch.bfloat16)
    groups = {"group_0": preset_name_to_scheme(scheme, ["Linear"])}
    apply_quantization_config(model, QuantizationConfig(config_groups=groups, ignore=["lm_head"]))
    for name, value in model.named_parameters():
        if name.endswith(("_scale", "_zero_point")):
            value.data = torch.full(value.shape, not name.endswith("_zero_point")).to(value.dtype)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(folder)
    compressor.update_config(folder)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.filterwarnings("ignore")
def test_what_compressed_tensors_saves(alexnet, tmp_path, scheme):
    newer = "0.16" if scheme == "W8A16" else None  # before, that is a scale for each row
    pytest.importorskip("compressed_tensors", minversion=newer)
    compress(scheme, tmp_path)
    answer = alexnet("params", str(tmp_path), "--by-type", "--json")
    assert answer.code == 0
    linear = next(each for each in answer.json["by_type"] if each["type"] == "Linear")
    stored = sum(SCHEMES[scheme](*shape) for shape in LINEAR) + 2 * 100 * 128
    assert answer.json["totals"]["params"] == LLAMA_PARAMS
    assert linear["param_bytes"] == stored
    assert linear["bits_per_weight"] == pytest.approx(8 * stored / linear["params"])
    assert "as config.json says" in answer.json["model"]["description"]
    assert "all 12 tensors fit" in alexnet("summary", str(tmp_path), "-i", "8:int64").out


@pytest.mark.filterwarnings("ignore")
def test_what_torchao_saves(tmp_path, read):
    torchao = pytest.importorskip("torchao.quantization")
    support = pytest.importorskip("torchao.prototype.safetensors.safetensors_support")
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    model = torch.nn.Sequential(torch.nn.Linear(64, 32)).to(torch.bfloat16)
    torchao.quantize_(model, torchao.Int8WeightOnlyConfig())
    weight = model[0].weight
    stored = sum(getattr(weight, name).nbytes for name in weight.__tensor_flatten__()[0])
    state = {key: value if type(value) is type(weight) else value.detach() for key, value in model.state_dict().items()}
    tensors, metadata = support.flatten_tensor_state_dict(state)
    save_file(tensors, tmp_path / "model.safetensors", metadata)
    report = read(tmp_path / "model.safetensors")
    row = next(row for row in report.layers if row.path == "0")
    assert (row.type, row.settings["in_features"], row.settings["out_features"]) == ("Linear", 64, 32)
    assert (row.params, row.param_bytes) == (32 * 64 + 32, stored + 2 * 32)


def test_bits_per_weight_are_shown(alexnet, tmp_path):
    path = store(tmp_path / "model.safetensors", {**gptq("fc", OUTPUTS, INPUTS, 4), **NORM})
    shown = alexnet("params", str(path), "--by-type").out
    bits = 8 * size_of(gptq("fc", OUTPUTS, INPUTS, 4)) / (OUTPUTS * INPUTS)
    assert "Bits/weight" in shown
    assert f"{bits:.3g}" in shown
    assert "bits per weight, scales included" in shown


def test_weights_of_whole_numbers_of_bytes_need_no_such_column(alexnet, sparse):
    path = sparse({"fc.weight": ("F16", [4, 4])})
    assert "Bits/weight" not in alexnet("params", path, "--by-type").out
    assert alexnet("params", path, "--by-type", "--json").json["by_type"][0]["bits_per_weight"] == 16


def test_what_fits_no_format_is_told_and_counts_as_stored(tmp_path, read):
    tensors = {"fc.qweight": ("I32", (7, 5)), "fc.scales": ("F16", (3, 4))}
    report = read(store(tmp_path / "model.safetensors", tensors))
    assert report.totals.params == 7 * 5 + 3 * 4
    assert "counted as stored, as no known format fits: fc.qweight" in report.model.description


def test_the_tensors_of_a_weight_may_lie_in_several_files(tmp_path, read):
    tensors, places = gptq("fc", OUTPUTS, INPUTS, 4), {}
    for number, (key, value) in enumerate(tensors.items()):
        places[key] = f"{number}.safetensors"
        store(tmp_path / places[key], {key: value})
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert read(index).totals.params == OUTPUTS * INPUTS


def test_scales_of_a_quantised_cache_are_no_parameters(tmp_path, read):
    path = store(tmp_path / "model.safetensors", {**fp8("a.q_proj", 8, 8), "a.k_scale": ("F32", ())})
    report = read(path)
    assert (report.totals.params, report.totals.buffers) == (64, 1)


@pytest.mark.parametrize(
    ("config", "method", "bits"),
    [
        ({"quantization_config": {"quant_method": "GPTQ", "bits": 4}}, "gptq", set()),
        ({"compression_config": {"quant_method": "compressed-tensors", "config_groups": {"a": 1}}}, None, set()),
        ({"bits": 4, "group_size": 128}, "gptq", set()),
        ({"w_bit": 4, "q_group_size": 128}, "awq", set()),
        ({"producer": {}, "quantization": {"quant_algo": "NVFP4"}}, "nvfp4", set()),
    ],
)
def test_configs_of_several_libraries(config, method, bits):
    said = quantisation_of(config, "config.json")
    assert said is not None
    assert said.method == (method or "compressed-tensors")
    assert said.bits == bits


@pytest.mark.parametrize("config", [{}, {"quantization_config": 3}, {"quantization_config": {"quant_method": 1}}])
def test_configs_that_say_nothing(config):
    assert quantisation_of(config, "config.json") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"quantization_config": [1]}', "[" * 100_000])
def test_a_damaged_config_beside_a_checkpoint_is_left_aside(tmp_path, read, text):
    (tmp_path / "config.json").write_text(text)
    path = store(tmp_path / "model.safetensors", gptq("fc", OUTPUTS, INPUTS, 4))
    assert read(path).totals.params == OUTPUTS * INPUTS


def test_any_change_of_shapes_and_types_is_read_or_refused(tmp_path):
    """Each packed tensor in turn gets another shape or dtype: nothing but a refusal may be raised."""
    chance = random.Random(0)
    dtypes = ["U8", "I8", "I32", "F8_E4M3", "F16", "I64"]
    whole = {}
    for number, (tensors, _, _) in enumerate(MADE.values()):
        whole |= {f"{number}.{key}": value for key, value in tensors.items()}
    whole |= mxfp4("experts.up", 2, 32, 32)
    for _ in range(CHANGES):
        tensors = dict(whole)
        for key in chance.sample(list(whole), 20):
            dtype, shape, *value = tensors[key]
            sizes = [max(0, chance.choice([size, size + 1, size // 2, 0, 1])) for size in shape]
            sizes = sizes[: chance.choice([len(sizes), 1])] + chance.choice([[], [2]])
            junk = [bytes(chance.randrange(256) for _ in range(20))] if value else []
            tensors[key] = (chance.choice([dtype, *dtypes]), sizes, *junk)
        with suppress(TargetError):
            report = report_of(read_contents(store(tmp_path / "model.safetensors", tensors)), "model.safetensors")
            assert report.totals.params >= 0
