"""What exact laws cost: CPU time of `scale` as a multiple of one forward and one training step, in one warm process."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from effort import runs
from torch import Tensor, nn

from alexnet_cli import Inspection, inspect
from alexnet_cli.__main__ import RARELY

RUNS = runs(7)
Case = tuple[str, Callable[[], Inspection], str]


class Recurrent(nn.Module):
    """Two layers of an LSTM and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.LSTM(32, 48, 2, batch_first=True), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return a value for each place."""
        scores: Tensor = self.out(self.rnn(x)[0])
        return scores


def cases() -> list[Case]:
    """Return models with the dimensions that they are scaled over."""
    layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
    encoder, recurrent = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), Recurrent()
    found = [
        *(("AlexNet", _named("alexnet"), over) for over in ("batch", "image")),
        ("alexnet-owt", _named("alexnet-owt"), "batch,image"),
        ("encoder of 2 layers, 32 places", _live(encoder, torch.zeros(2, 32, 64)), "batch,sequence"),
        *(
            (f"LSTM, {places} places", _live(recurrent, torch.zeros(2, places, 32)), over)
            for places, over in ((8, "sequence"), (8, "batch,sequence"), (32, "batch,sequence"))
        ),
    ]
    return found + (_language_models() if find_spec("transformers") is not None else [])


def _language_models() -> list[Case]:
    import transformers

    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "vocab_size": 100}
    heads = {"num_attention_heads": 4}
    tokens = torch.zeros(2, 128, dtype=torch.int64)
    bert = transformers.BertModel(transformers.BertConfig(**sizes, **heads)).eval()
    grouped = {**sizes, **heads, "num_key_value_heads": 2}
    llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(**grouped)).eval()
    config = transformers.MistralConfig(**grouped, sliding_window=48)
    mistral = transformers.MistralForCausalLM(config).eval()
    return [
        ("BERT of 4 layers, 128 tokens", _live(bert, tokens), "batch,sequence"),
        ("Llama of 4 layers, 128 tokens", _live(llama, tokens), "batch,sequence"),
        ("Llama of 4 layers", _live(llama, tokens), "context"),
        ("Mistral of 4 layers, window of 48", _live(mistral, tokens), "context"),
    ]


def _named(target: str) -> Callable[[], Inspection]:
    return lambda: inspect(target, cache=False)


def _live(model: nn.Module, *inputs: Tensor) -> Callable[[], Inspection]:
    return lambda: inspect(model, *inputs)


def multiple(look: Callable[[], Inspection], over: str) -> float:
    """Return the median of how often the time of one forward and one step goes into that of `scale`, in turns."""

    def once() -> None:
        seen = look()
        seen.cost()
        seen.memory()

    def laws() -> None:
        look().scale(over=over)

    once(), laws()
    return statistics.median(_seconds(laws) / _seconds(once) for _ in range(RUNS))


def _seconds(run: Callable[[], None]) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


def table() -> str:
    """Measure all cases and return them as a table."""
    gc.set_threshold(*RARELY)
    rows = [f"| {name} | {over} | {multiple(look, over):.1f} |" for name, look, over in cases()]
    head = "| model | over | one forward and one step, times |\n|---|---|---|"
    said = "CPU time of `look.scale(over=…)` over that of `look.cost()` and `look.memory()`, in turns; medians.\n"
    said += "No peer has such laws."
    return "\n".join([f"{said}\n", head, *rows])


if __name__ == "__main__":
    print(table())
