"""A decoder as large language models are, with the sizes of Llama 3 8B; its cache comes back under its own name."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

Cached = tuple[Tensor, Tensor]
"""Keys and values of shape (batch, heads, tokens, size)."""


class Attention(nn.Module):
    """Attention in which several heads of queries share one of keys and values: Ainslie et al., arXiv:2305.13245."""

    def __init__(self, width: int, heads: int, shared: int) -> None:
        super().__init__()
        self.heads, self.shared, size = heads, shared, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key, self.value = (nn.Linear(width, shared * size, bias=False) for _ in range(2))
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, past: Cached | None) -> tuple[Tensor, Cached]:
        """Add the keys and values of these tokens to those of the tokens before."""
        parts = ((self.query, self.heads), (self.key, self.shared), (self.value, self.shared))
        query, key, value = (part(x).unflatten(-1, (heads, -1)).transpose(1, 2) for part, heads in parts)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        seen = scaled_dot_product_attention(query, key, value, is_causal=past is None, enable_gqa=True)
        return self.output(seen.transpose(1, 2).flatten(2)), (key, value)


class Block(nn.Module):
    """Attention and a gated MLP, each with a residual connection."""

    def __init__(self, width: int, heads: int, shared: int, hidden: int) -> None:
        super().__init__()
        self.before, self.after = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = Attention(width, heads, shared)
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, past: Cached | None) -> tuple[Tensor, Cached]:
        """Keep the shape."""
        attended, kept = self.attention(self.before(x), past)
        x = x + attended
        inner = self.after(x)
        return x + self.down(silu(self.gate(inner)) * self.up(inner)), kept


class Decoder(nn.Module):
    """Predicts the next token of a text; `past` is the cache of each block."""

    def __init__(self, width: int = 4096, hidden: int = 14336, depth: int = 32, vocabulary: int = 128256) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, 32, 8, hidden) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, input_ids: Tensor, past: list[Cached] | None = None) -> dict[str, Tensor | list[Cached]]:
        """Return scores of each word after each token, and the cache with these tokens."""
        x, kept = self.embedding(input_ids), []
        for place, block in enumerate(self.blocks):
            x, cached = block(x, past[place] if past else None)
            kept.append(cached)
        return {"logits": self.head(self.norm(x)), "past": kept}
