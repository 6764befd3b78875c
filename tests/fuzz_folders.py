"""Model folders changed at random, read in a process of its own: `python fuzz_folders.py WHERE ROUNDS SEED`.

Prints how many were read; ends with an error where one is neither read nor refused, where something runs or is opened
outside, or where the memory grows beyond bounds.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import time
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from random import Random

from mutations import CODE, changed_bytes, changed_json

from alexnet_cli.targets.pretrained import CONFIGS, harmless

MOST_MEMORY = 500_000_000
harmless.MOST_MODULES = 10_000  # a twentieth, as the time and the memory that modules take are in proportion
RUN_EACH = 8
MORE = {
    "_attn_implementation": ("org/evil", "flash_attention_2", "kernels-community/flash-attn", "eager", 7),
    "attn_implementation": ("org/evil", {"": "org/evil"}),
    "experts_implementation": ("org/evil", "grouped_mm"),
    "auto_map": (
        {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},
        {"AutoModelForCausalLM": "org/evil--evil.M"},
    ),
    "architectures": (["GPT2Model"], ["evil.Model"], [CODE], ["AutoModel"], ["PreTrainedModel"]),
    "model_type": ("gpt2", "bert", "timm_wrapper", "timm_backbone", "resnet", "rag", "t5", "evil"),
    "quantization_config": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "gptq", "bits": 4},
    ),
    "backbone": ("hf-hub:org/evil", "org/evil", "resnet18"),
    "use_pretrained_backbone": (True,),
    "dtype": ("bfloat16", "os", CODE),
    "rope_scaling": ({"rope_type": "yarn", "factor": 1e9}, {"rope_type": "evil"}),
    "_class_name": ("AutoModel", "UNet2DConditionModel", "DDPMPipeline", "ModelMixin", "evil"),
    "block_out_channels": ([8] * 4, [2**20, 2**20], [3, 5]),
    "peft_type": ("LORA", "IA3", "PREFIX_TUNING", "VERA", "LOHA", "evil"),
    "target_modules": ("all-linear", ["q_proj"], "(a|b", ".*", []),
    "init_lora_weights": ("pissa", "loftq", "eva", "gaussian", "corda"),
    "megatron_core": ("evil",),
    "megatron_config": ({"tensor_model_parallel_size": 1},),
    "base_model_name_or_path": ("..", "/etc", ".", "org/evil", "\0"),
    "r": (0, -1, 2**20, 2**40),
    "architecture": ("hf-hub:org/evil", "local-dir:..", "resnet18", "evil"),
    "model_args": ({"checkpoint_path": "evil.pt"}, {"pretrained": True}, {"depth": 99_999}, {"img_size": 2**20}, [1]),
    "num_hidden_layers": (10_000,),
}
HACKED = "from pathlib import Path\nPath('hacked').touch()\n"


class Watch:
    """Notes what a process does besides reading; it cannot be taken off again, only switched off."""

    def __init__(self, *folders: Path) -> None:
        self.folders = tuple(str(folder) for folder in folders)
        self.on = False
        self.ports: set[int] = set()
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event in ("socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.fork"):
            if event == "socket.connect" and isinstance(args[1], tuple) and args[1][1] in self.ports:
                return
            self.seen.append(f"{event} {args!r}"[:300])
        elif event == "open" and isinstance(args[0], str) and isinstance(args[2], int) and args[2] & 3:
            if not str(Path(args[0]).absolute()).startswith(self.folders) and args[0] != os.devnull:
                self.seen.append(f"write {args[0]}")
        elif event in ("exec", "import") and "evil" in str(args[0]):
            self.seen.append(f"{event} {args[0]!r}")


def read(watch: Watch, words: list[str]) -> int:
    """Run a command line in this process; return its exit code."""
    from alexnet_cli.cli.app import run

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    watch.on = True
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words)
    watch.on = False
    said = "".join(each.buffer.getvalue().decode() for each in (out, err) if each.flush() is None)
    assert code in (0, 2, 3, 4), said
    assert "Traceback" not in said, said
    assert not watch.seen, watch.seen
    assert not Path("hacked").exists()
    return code


def built(target: str) -> int:
    """Read a folder and build its model on meta; return the exit code that this would be."""
    import torch

    from alexnet_cli.errors import AlexnetError
    from alexnet_cli.targets.resolve import resolve

    try:
        subject = resolve(target)
        with torch.device("meta"), subject.within():
            subject.load()
    except AlexnetError as error:
        return int(error.exit_code)
    return 0


def main() -> None:
    root, many, seed = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    os.chdir(root)
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
    files = sorted(file for name in CONFIGS for file in root.rglob(name))
    for folder in {root, *(file.parent for file in files)}:
        (folder / "evil.py").write_text(HACKED)
    for module in filter(find_spec, ("torch", "transformers", "diffusers", "peft", "timm")):
        __import__(module)
    watch, chance, codes = Watch(root, Path(os.environ["ALEXNET_CACHE_DIR"])), Random(seed), Counter()
    for folder in folders:  # what libraries import when they are first used is imported now
        read(Watch(root), ["params", str(folder) + (":unet" if (folder / "model_index.json").exists() else "")])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    slowest = (0.0, 0, "")
    for number in range(many):
        file = chance.choice(files)
        whole = file.read_bytes()
        started = time.process_time()
        if chance.random() < 0.2:
            data = changed_bytes(whole, chance)
        else:
            data = json.dumps(changed_json(json.loads(whole), chance, MORE)).encode()
        file.write_bytes(data)
        top = root / file.relative_to(root).parts[0]
        target = str(top) + (":unet" if (top / "model_index.json").exists() and chance.random() < 0.9 else "")
        try:
            if number % RUN_EACH:
                watch.on = True
                code = built(target)
                watch.on = False
                assert code in (0, 2, 3, 4), code
                assert not watch.seen, watch.seen
                assert not any(folder.joinpath("hacked").exists() for folder in (root, *folders))
            else:
                code = read(watch, ["summary", target])
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            assert used < before + MOST_MEMORY, f"{used:,} bytes"
        except BaseException:
            print(f"change {number} of {file}: {data.decode(errors='replace')[:3_000]}", file=sys.stderr)
            raise
        codes[code] += 1
        slowest = max(slowest, (round(time.process_time() - started, 1), number, data.decode(errors="replace")[:600]))
        file.write_bytes(whole)
    print(
        json.dumps(
            {"codes": codes, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "slowest": slowest}
        )
    )


if __name__ == "__main__":
    main()
