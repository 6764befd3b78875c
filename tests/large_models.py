"""A Llama of 405 billion parameters, from plain torch layers, by the numbers of Llama 3.1's configuration."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

HIDDEN, INTERMEDIATE, BLOCKS, HEADS, KEY_VALUE_HEADS, VOCABULARY = 16_384, 53_248, 126, 128, 8, 128_256
HEAD = HIDDEN // HEADS


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(HIDDEN, HEADS * HEAD, bias=False)
        self.k_proj = nn.Linear(HIDDEN, KEY_VALUE_HEADS * HEAD, bias=False)
        self.v_proj = nn.Linear(HIDDEN, KEY_VALUE_HEADS * HEAD, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD, HIDDEN, bias=False)

    def forward(self, x):
        query = self.q_proj(x).unflatten(-1, (HEADS, HEAD)).transpose(1, 2)
        key = self.k_proj(x).unflatten(-1, (KEY_VALUE_HEADS, HEAD)).transpose(1, 2)
        value = self.v_proj(x).unflatten(-1, (KEY_VALUE_HEADS, HEAD)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        return self.o_proj(attended.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.up_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.down_proj = nn.Linear(INTERMEDIATE, HIDDEN, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.mlp = Mlp()
        self.input_layernorm = nn.RMSNorm(HIDDEN)
        self.post_attention_layernorm = nn.RMSNorm(HIDDEN)

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm = nn.RMSNorm(HIDDEN)
        self.lm_head = nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(self.norm(x))


class Residuals(nn.Module):
    """`count` residual blocks of two small linear layers."""

    def __init__(self, count=3000):
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(16, 16) for _ in range(count))
        self.second = nn.ModuleList(nn.Linear(16, 16) for _ in range(count))

    def forward(self, x):
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(torch.relu(first(x)))
        return x
