"""Values for the options of all commands: those that fit, those that nearly fit, and those that nobody types."""

from __future__ import annotations

ODD = (
    *("", " ", "-", "--", "---", "=", ",", ";", ":", "0", "-1", "1", "٣", "²", "½", "1e3", "1e400", "nan", "inf", "-0"),
    *("0x10", "1_000", "9" * 30, "9" * 5000, "1.5", "true", "null", "[]", "{}", '{"a": [', "é", "\u202eabc", "👩‍👩‍👧"),
    *("[/x]", "[bold]", "<b>&amp;", "%s%n", "$(id)", "`id`", "\x1b[31m", "a\nb", "\r", "\t", "x" * 5000, "\udcff"),
    *("a=b", "a=", "=b", "../..", "~", "*", "\\", "'", '"', "file.py:x", "None", "__import__('os')", "con", "ſ"),
)
SIZES_OF = {"tiny.py:Words": ("5:int64", "tokens=5:int64"), "llama": ("5:int64",), "net.onnx": ("3,8,8",)}
"""Input sizes that fit a target; others take the one of tiny.py."""
FITTING_TARGETS = (
    *("alexnet", "alexnet-paper", "alexnet-owt", "caffenet"),
    *("tiny.py:Tiny", "tiny.py:tiny", "tiny.py:Words") * 3,
    *("net.json", "words.json", "net.pt", "net.safetensors", "net.safetensors.index.json", "net.gguf"),
    *("net.pt2", "net.onnx", "llama"),
)
NEAR_TARGETS = (
    *("tiny.py", "tiny.py:Broken", "tiny.py:inputs", "tiny.py:nothing", "tiny:Tiny", "nowhere.py:Net", "torch.nn:ReLU"),
    *("whole.pth", "hf:org/name", "timm:resnet18", "torchvision:resnet18", "alexnett", "nowhere.pt", "snapshot.pickle"),
    *(".", "..", "/", "pyproject.toml", "diffusers:a/b", "hf:", "timm:", ":", "os:system", "tiny.py:Tiny.forward"),
)
SHAPES = (
    *("3,8", "3,,8", "0,0,0", "3,-8,8", "3,8,8:", "3,8,8:quaternion", "8,8,3", ":int64", "9999999,9999999,9999999"),
    *("227", "3,227,227", "3,8,8:float16", "x=3,8,8", "y=3,8,8", "1,1,1", "3x8x8"),
)
NUMBERS = (("1", "2", "3", "4", "8"), ("0", "-1", "100", "1000000000", "2.5", "x"))
SIZES = (("65M", "1GiB", "80GB", "1e9"), ("24 GiB", "900GB/s", "312T", "0", "-5", "x", "1Q", "10%", "0.1"))
FORMATS = ("png", "pdf", "dot", "mermaid", "tikz", "model-explorer", "junit", "github", "sarif", "yaml", "text", "JSON")
FILES = ("out.json", "out.csv", "out.md", "out.tex", "out.html", "out.svg")
VALUES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "--inputs": (("tiny.py:inputs",), ("tiny.py:nothing", "nowhere.py:x", "tiny.py", "tiny.py:Tiny")),
    "--batch-size": (("1", "2", "7"), ("0", "-1", "1,2,4", "1,0", "1000000000", "x")),
    "--device": (("meta", "cpu"), ("cuda", "cuda:7", "mps", "xpu", "tpu", "cpu:1")),
    "--dtype": (("float32", "float16", "bfloat16", "float64"), ("int8", "float")),
    "--amp": (("bfloat16", "float16"), ("float32", "none")),
    "--format": (("table", "json", "csv", "markdown", "latex", "html", "svg"), (*FORMATS, "torchsummary")),
    "--output": (
        FILES,
        ("out.png", "out.pdf", "out.pt2", "out.onnx", "out.txt", "out", "OUT.JSON", "no/out.md", "llama"),
    ),
    "--trace": (("trace.json",), ("no/t.json", "llama")),
    "--flame": (("flame.svg",), ("flame.txt", "llama")),
    "--arg": (("width=6", "classes=5"), ("width=-1", "width=x", "width=1e9", "nothing=1", "num_classes=10", "width")),
    "--columns": (("params", "params,macs", "saved_bytes,jump"), ("all", "params,,macs", "nothing")),
    "--sort": (("params", "macs"), ("-macs", "nothing")),
    "--width": (("20", "40", "80", "120"), ("1", "0", "-5", "9999", "column", "page", "100000000")),
    "--scale": (("1", "2"), ("0", "-1", "nan", "1e9")),
    "--seconds": (("0.01", "0.05"), ("0", "-1", "nan")),
    "--gpu": (("a100", "h100", "t4"), ("nothing", "A100-80GB")),
    "--optimizer": (("sgd", "adam", "adamw", "sgd-momentum", "none"), ("rmsprop", "nothing")),
    "--over": (("batch", "image", "x.2"), ("batch,image", "tokens", "nothing", "batch,batch")),
    "--formulas": (("formulas.py",), ("tiny.py", "nowhere.py", "net.json")),
    "--weights": (("net.pt", "net.safetensors"), ("net.gguf", "net.json", "whole.pth", "nowhere.pt", "net.pt2")),
    "--baseline": (("net.json", "words.json"), ("net.pt", "nowhere.json", "pyproject.toml")),
    "--tolerance": (("0.1", "10%", "0"), ("-1", "nan", "x")),
    "--theme": (("auto", "light", "dark"), ("nothing",)),
    "--style": (("auto", "blocks", "graph", "bars"), ("nothing",)),
    "--lang": (("en", "ko"), ("xx",)),
    "--select": (("grouping", "stack", "modes-agree", "nothing-grows"), ("nothing",)),
    "--ignore": (("grouping", "stack", "few-logits"), ("nothing",)),
    "--file": (("tiny.py",), ("nowhere.py", "net.json")),
    "--source": (("tiny",), ("Tiny", "nothing")),
    "--schedule": (("1f1b", "gpipe", "interleaved"), ("interleaved:0", "interleaved:99", "nothing")),
    "--reshard": (("yes", "no", "2"), ("0", "x")),
    "--checkpoint": (("none", "full", "selective"), ("nothing",)),
    "--plan": (("tiny.py:inputs",), ("nowhere.py:plan",)),
    "--wrap": (("Linear", "Conv2d", "TransformerEncoderLayer"), ("Nothing",)),
    "--kv-dtype": (("float16", "int8"), ("q8_0", "nothing")),
    "--weights-dtype": (("int8", "nf4"), ("q4_k", "nothing")),
}
ARGUMENTS = {
    "snapshot": (("snapshot.pickle",), ("nowhere.pickle", "net.pt", "net.json", ".")),
    "command": (("summary", "cost", "params", "models"), ("nothing", "")),
    "action": (("info", "clear"), ("nothing",)),
}
