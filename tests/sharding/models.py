"""Small models that are spread over ranks: an encoder, a residual network, a Llama; each with its blocks and inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH, TOKENS, WORDS = 64, 16, 96


class Encoder(nn.Module):
    """Embeds tokens and runs torch's own encoder layers."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True) for _ in range(depth)
        )
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class Residual(nn.Module):
    """Two convolutions with batch norm around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class ResNet(nn.Module):
    """A stem, four residual blocks and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(32) for _ in range(4)))
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class Feed(nn.Module):
    """What a transformer's block has after its attention: two linear layers around a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.relu(self.up(self.norm(x))))


_SIZES = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": WORDS,
    "max_position_embeddings": 64,
    "use_cache": False,
}


def llama(blocks: int = 2) -> nn.Module:
    """Build a Llama of some blocks."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**_SIZES, num_hidden_layers=blocks))


def qwen3() -> nn.Module:
    """Build a Qwen3 of two blocks, whose attention norms each head."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**_SIZES, num_hidden_layers=2, head_dim=WIDTH // 4))


def mixtral() -> nn.Module:
    """Build a Mixtral of two blocks."""
    from transformers import MixtralConfig, MixtralForCausalLM

    return MixtralForCausalLM(
        MixtralConfig(**_SIZES, num_hidden_layers=2, num_local_experts=EXPERTS, num_experts_per_tok=TOP_K)
    )


def deep() -> nn.Module:
    """Build an encoder of five layers."""
    return Encoder(5)


EXPERTS, TOP_K = 4, 2


class Expert(nn.Module):
    """Two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.relu(self.up(x)))


class Mixture(nn.Module):
    """A router and experts in a list, as Mixtral has them: each runs on the tokens that are routed to it."""

    def __init__(self) -> None:
        super().__init__()
        self.top_k = TOP_K
        self.gate = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList(Expert() for _ in range(EXPERTS))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, WIDTH)
        weights, index = torch.topk(torch.softmax(self.gate(rows), dim=-1), self.top_k)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            row, place = torch.where(index == number)
            out = out.index_add(0, row, expert(rows[row]) * weights[row, place].unsqueeze(-1))
        return out.reshape(x.shape)


class Stack(nn.Module):
    """Experts in stacked parameters; each computes all rows, and the routing weights keep those that are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.num_experts = EXPERTS
        self.up = nn.Parameter(torch.empty(EXPERTS, WIDTH, 2 * WIDTH).normal_())
        self.down = nn.Parameter(torch.empty(EXPERTS, 2 * WIDTH, WIDTH).normal_())

    def forward(self, rows: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        inputs = rows.unsqueeze(0).repeat(self.num_experts, 1, 1)
        made = torch.bmm(torch.relu(torch.bmm(inputs, self.up)), self.down)
        kept = rows.new_zeros(len(rows), self.num_experts).scatter_add(1, index, weights)
        return (made * kept.t().unsqueeze(-1)).sum(0)


class StackedMixture(nn.Module):
    """A router and experts that are called with its choice, as in transformers' mixtures."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = Stack()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, WIDTH)
        weights, index = torch.topk(torch.softmax(self.gate(rows), dim=-1), TOP_K)
        return self.experts(rows, index, weights).reshape(x.shape)


class SparseLayer(nn.Module):
    """A dense layer and a mixture of experts, each around a shortcut."""

    def __init__(self, mixture: type[nn.Module]) -> None:
        super().__init__()
        self.norm, self.mix, self.moe = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), mixture()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(x)
        return x + self.moe(self.norm(x))


class Sparse(nn.Module):
    """Embeds tokens and runs layers with mixtures of experts."""

    def __init__(self, mixture: type[nn.Module] = Mixture) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(SparseLayer(mixture) for _ in range(2))
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def stacked() -> nn.Module:
    """Build a model whose experts are in stacked parameters."""
    return Sparse(StackedMixture)


LANGUAGE = {"llama": llama, "qwen3": qwen3, "mixtral": mixtral}
MODELS = {"encoder": Encoder, "resnet": ResNet, "deep": deep, "sparse": Sparse, "stacked": stacked, **LANGUAGE}


def inputs_of(name: str) -> Tensor:
    """Return a batch for a model."""
    return torch.zeros(4, 3, 16, 16) if name == "resnet" else torch.zeros(4, TOKENS, dtype=torch.long)


def blocks(name: str, model: nn.Module) -> list[nn.Module]:
    """Return the modules that are sharded and checkpointed one by one."""
    found = {"resnet": "blocks", **dict.fromkeys(LANGUAGE, "model.layers")}.get(name, "layers")
    return list(model.get_submodule(found))


class Stage(nn.Module):
    """Some layers of an encoder, with the embedding or the head if it is given them."""

    def __init__(self, model: Encoder, span: range) -> None:
        super().__init__()
        self.embed = model.embed if span.start == 0 else None
        self.layers = nn.ModuleList(model.layers[at] for at in span)
        self.head = model.head if span.stop == len(model.layers) else None

    def forward(self, x: Tensor) -> Tensor:
        if self.embed is not None:
            x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return x if self.head is None else self.head(x)


class ResNetStage(nn.Module):
    """Some blocks of a residual network, with the stem or the classifier if it is given them."""

    def __init__(self, model: ResNet, span: range) -> None:
        super().__init__()
        self.stem = model.stem if span.start == 0 else None
        self.blocks = nn.Sequential(*(model.blocks[at] for at in span))
        self.head = model.head if span.stop == len(model.blocks) else None

    def forward(self, x: Tensor) -> Tensor:
        if self.stem is not None:
            x = self.stem(x)
        x = self.blocks(x)
        return x if self.head is None else self.head(x.mean((2, 3)))


class LlamaStage(nn.Module):
    """Some layers of a Llama; each stage computes the angles of the rotary positions itself."""

    def __init__(self, whole: nn.Module, span: range) -> None:
        super().__init__()
        first, last = span.start == 0, span.stop == len(whole.model.layers)
        self.model = nn.Module()
        self.model.embed_tokens = whole.model.embed_tokens if first else None
        self.model.layers = nn.ModuleList(whole.model.layers[at] for at in span)
        self.model.norm = whole.model.norm if last else None
        self.model.rotary_emb = whole.model.rotary_emb
        self.lm_head = whole.lm_head if last else None

    def forward(self, x: Tensor) -> Tensor:
        if self.model.embed_tokens is not None:
            x = self.model.embed_tokens(x)
        positions = torch.arange(TOKENS).unsqueeze(0)  # of whole sequences, of which a stage may be sent a part
        angles = self.model.rotary_emb(x, position_ids=positions)
        for layer in self.model.layers:
            x = layer(x, position_embeddings=angles, position_ids=positions)
        return x if self.lm_head is None else self.lm_head(self.model.norm(x))
