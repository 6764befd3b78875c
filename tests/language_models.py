"""Small language models for whose claims all numbers are derived by hand, and some that only attend.

Attention has `HEADS` heads of `HEAD`, so that scores and weighted sums of n tokens take n² WIDTH MACs each. There is no
causal mask: it would change no number.
"""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

HEADS, HEAD, FF, VOCABULARY = 4, 4, 32, 50
WIDTH = HEADS * HEAD
PLACES, WINDOW, LATENT, EXPERTS = 64, 8, 6, 4


def linear(into, out):
    return nn.Linear(into, out, bias=False)


def split(x):
    return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)


def attend(q, k, v):
    """Attend with groups of query heads that share a head of keys and values."""
    k, v = (each.repeat_interleave(HEADS // each.shape[1], 1) for each in (k, v))
    return (torch.softmax(q @ k.transpose(-1, -2), -1) @ v).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Caches keys and values, with a window only those that the next token sees."""

    def __init__(self, keys=HEADS, window=0):
        super().__init__()
        self.q, self.k, self.v = linear(WIDTH, WIDTH), linear(WIDTH, keys * HEAD), linear(WIDTH, keys * HEAD)
        self.out, self.window = linear(WIDTH, WIDTH), window

    def forward(self, x, past):
        k, v = split(self.k(x)), split(self.v(x))
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        kept = (k[:, :, 1 - self.window :], v[:, :, 1 - self.window :]) if self.window else (k, v)
        return self.out(attend(split(self.q(x)), k, v)), kept


class Latent(nn.Module):
    """Caches what keys and values are made of."""

    def __init__(self):
        super().__init__()
        self.q, self.down, self.out = linear(WIDTH, WIDTH), linear(WIDTH, LATENT), linear(WIDTH, WIDTH)
        self.k, self.v = linear(LATENT, WIDTH), linear(LATENT, WIDTH)

    def forward(self, x, past):
        c = self.down(x)
        if past is not None:
            c = torch.cat([past[0], c], 1)
        return self.out(attend(split(self.q(x)), split(self.k(c)), split(self.v(c)))), (c,)


class Local(nn.Module):
    """Each token attends to `WINDOW` places: itself and those before it."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH), linear(WIDTH, WIDTH)
        self.out = linear(WIDTH, WIDTH)

    def forward(self, x, past):
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        k, v = (F.pad(each, (0, 0, WINDOW - 1, 0)).unfold(2, WINDOW, 1) for each in (k, v))
        weights = torch.softmax(q.unsqueeze(-2) @ k, -1)
        return self.out((weights @ v.transpose(-1, -2)).squeeze(-2).transpose(1, 2).flatten(2)), past


class Linear(nn.Module):
    """Attention without a softmax: keys and values are multiplied first, and their sum is the state.

    What queries read of it is `summed` by elementwise operators or a product of matrices.
    """

    def __init__(self, *, summed=False):
        super().__init__()
        self.summed = summed
        self.q, self.k, self.v = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH), linear(WIDTH, WIDTH)
        self.out = linear(WIDTH, WIDTH)

    def forward(self, x, past):
        q, k, v = (split(each(x)) for each in (self.q, self.k, self.v))
        state = k.relu().transpose(-1, -2) @ v
        if past is not None:
            state = past[0] + state
        q = q.relu()
        y = (q.unsqueeze(-1) * state.unsqueeze(2)).sum(-2) if self.summed else q @ state
        return self.out(y.transpose(1, 2).flatten(2)), (state,)


class Nearby(nn.Module):
    """Attends to the last `most` tokens, or to a power of two; one token after the other if so said."""

    def __init__(self, most=None, *, one_by_one=False):
        super().__init__()
        self.q, self.k, self.v = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH), linear(WIDTH, WIDTH)
        self.out, self.most, self.one_by_one = linear(WIDTH, WIDTH), most, one_by_one

    def forward(self, x, past):
        q, k, v = (split(each(x)) for each in (self.q, self.k, self.v))
        if self.most is None:
            more = (1 << x.shape[1].bit_length()) - x.shape[1]
            k, v = (F.pad(each, (0, 0, 0, more)) for each in (k, v))
        else:
            k, v = (each[:, :, -self.most :] for each in (k, v))
        steps = q.split(1, 2) if self.one_by_one else [q]
        return self.out(torch.cat([attend(step, k, v) for step in steps], 1)), past


class Related(nn.Module):
    """Multiplies each token with a row for each place, three times: that grows as fast as attention, and is more."""

    def __init__(self):
        super().__init__()
        self.inside, self.rows = Attention(), nn.Parameter(torch.empty(3, 1000, WIDTH))

    def forward(self, x, past):
        each = [(x @ rows[: x.shape[1]].t()).sum(-1, keepdim=True) for rows in self.rows]
        return self.inside(x + sum(each), None)[0], past


class Reader(nn.Module):
    """Attends to what the layer before it has cached."""

    def __init__(self):
        super().__init__()
        self.q, self.out = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH)

    def forward(self, x, shared):
        return self.out(attend(split(self.q(x)), *shared)), shared


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = linear(WIDTH, FF), linear(FF, WIDTH)

    def forward(self, x):
        return self.down(self.up(x).relu())


class Experts(nn.Module):
    """Looks up the weights of those experts that a token chooses."""

    def __init__(self, chosen):
        super().__init__()
        self.router, self.chosen = linear(WIDTH, EXPERTS), chosen
        self.up = nn.Parameter(torch.empty(EXPERTS, WIDTH, FF))
        self.down = nn.Parameter(torch.empty(EXPERTS, FF, WIDTH))

    def forward(self, x):
        which = self.router(x).topk(self.chosen, -1).indices
        each = x[:, :, None, None] @ self.up[which]
        return (each.relu() @ self.down[which]).sum((2, 3))


class Decoder(nn.Module):
    def __init__(self, *layers, mlp=None, vocabulary=VOCABULARY, positions=None, tied=False):
        super().__init__()
        self.table, self.positions = nn.Embedding(vocabulary, WIDTH), positions
        self.layers = nn.ModuleList(layers)
        self.mlps = nn.ModuleList(mlp() if mlp else Mlp() for _ in layers)
        self.head = linear(WIDTH, vocabulary)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, ids, past=None):
        x, kept, before = self.table(ids), [], None
        if self.positions is not None:
            x = self.positions(x)
        for place, (layer, mlp) in enumerate(zip(self.layers, self.mlps, strict=True)):
            own = before if isinstance(layer, Reader) else past[place] if past else None
            y, before = layer(x, own)
            kept.append(before)
            x = x + y
            x = x + mlp(x)
        return {"logits": self.head(x), "past": tuple(kept)}


class Looked(nn.Module):
    """Looks up a row for each position, which may be counted."""

    def __init__(self, *, counted=False):
        super().__init__()
        self.table, self.counted = nn.Embedding(PLACES, WIDTH), counted

    def forward(self, x):
        if self.counted:
            return x + self.table(x[..., 0].ne(0).int().cumsum(1) - 1)
        return x + self.table(torch.arange(x.shape[1], device=x.device))


class Cut(nn.Module):
    """Adds as many rows as there are tokens, if it has as many."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Parameter(torch.empty(PLACES, WIDTH))

    def forward(self, x):
        return x + self.rows[: x.shape[1]]


class Forgets(nn.Module):
    """Returns nothing but its answer."""

    def __init__(self, *layers, **settings):
        super().__init__()
        self.inside = Decoder(*layers, **settings)

    def forward(self, ids):
        return self.inside(ids)["logits"]


class Patches(nn.Module):
    """Attends to the places of a picture."""

    def __init__(self):
        super().__init__()
        self.patches, self.layer = nn.Conv2d(3, WIDTH, 4, 4), Attention()

    def forward(self, image):
        return self.layer(self.patches(image).flatten(2).transpose(1, 2), None)[0]


def full():
    return Decoder(Attention())


def tied():
    return Decoder(Attention(), tied=True)


def few_words():
    return Decoder(Attention(), vocabulary=10)


def many_words():
    return Decoder(Attention(), vocabulary=100)


def shared_keys():
    return Decoder(Attention(keys=2))


def half_grouped():
    return Decoder(Attention(), Attention(keys=1))


def latent():
    return Decoder(Latent())


def reader():
    return Decoder(Attention(), Reader())


def sliding():
    return Decoder(Attention(window=WINDOW))


def half_local():
    return Forgets(Attention(), Local())


def local():
    return Forgets(Local())


def forgets():
    return Forgets(Attention())


def looks_up():
    return Decoder(Attention(), positions=Looked())


def counts():
    return Decoder(Attention(), positions=Looked(counted=True))


def cuts():
    return Decoder(Attention(), positions=Cut())


def nearby():
    """N would be 2565, by the law that holds up to 2000."""
    return Forgets(Nearby(2000), vocabulary=5000)


def related():
    return Forgets(Related())


def one_by_one():
    return Forgets(Nearby(1000, one_by_one=True))


def in_powers_of_two():
    return Forgets(Nearby())


def linear_attention():
    return Forgets(Linear())


def state():
    return Decoder(Linear())


def hybrid():
    return Decoder(Linear(summed=True), Attention(keys=2))


def one_expert():
    return Decoder(Attention(), mlp=lambda: Experts(1))


def two_experts():
    return Decoder(Attention(), mlp=lambda: Experts(2))


def image():
    return Patches()
