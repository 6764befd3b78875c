"""Caches of one's own: what a model keeps is told by what happens to it."""

from __future__ import annotations

import pytest

from alexnet_cli.errors import UsageError
from alexnet_cli.session.session import Named, Session
from alexnet_cli.tracing.options import Serving, TraceOptions

MODELS = """
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention as attention

LENGTH, PLACE = 32, 7
TOKEN = torch.zeros(1, 1, dtype=torch.long)

class Base(nn.Module):
    def __init__(self, d=16, heads=4):
        super().__init__()
        self.heads = heads
        self.embedding, self.qkv, self.head = nn.Embedding(50, d), nn.Linear(d, 3 * d), nn.Linear(d, 50)
        self.register_buffer("mask", torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril())
        for name in ("keys", "values"):
            self.hold(name, torch.zeros(1, heads, LENGTH, d // heads))

    def hold(self, name, tensor):
        pass

    def split(self, ids):
        parts = self.qkv(self.embedding(ids)).chunk(3, -1)
        return [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts]

    def end(self, attended):
        return self.head(attended.transpose(1, 2).flatten(2))

class Buffers(Base):
    def hold(self, name, tensor):
        self.register_buffer(name, tensor)

    def forward(self, ids, at):
        q, k, v = self.split(ids)
        self.keys[:, :, at] = k
        self.values[:, :, at] = v
        return self.end(attention(q, self.keys, self.values, attn_mask=self.mask[at][None, None]))

class Attributes(Base):
    def hold(self, name, tensor):
        setattr(self, name, tensor)

    def forward(self, ids, at: int):
        q, k, v = self.split(ids)
        end = at + ids.shape[1]
        self.keys[:, :, at:end] = k
        self.values[:, :, at:end] = v
        return self.end(attention(q, self.keys[:, :, :end], self.values[:, :, :end]))

class Longer(Base):
    def forward(self, ids, past=None):
        q, k, v = self.split(ids)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        return self.end(attention(q, k, v)), (k, v)

class Nothing(Base):
    def forward(self, ids):
        return self.end(attention(*self.split(ids)))

def buffers():
    return TOKEN, torch.tensor([PLACE])

def attributes():
    return TOKEN, PLACE

def longer():
    return {"ids": TOKEN, "past": tuple(torch.zeros(1, 4, PLACE, 4) for _ in range(2))}

def nothing():
    return TOKEN
"""
ALL, PAST = (1, 4, 32, 4), (1, 4, 7, 4)


@pytest.fixture
def models(tmp_path):
    (tmp_path / "own.py").write_text(MODELS, encoding="utf-8")
    return tmp_path / "own.py"


def one_token(file, name):
    how = TraceOptions(inputs_from=f"{file}:{name.lower()}", batch_size=None)
    return Session(Named(f"{file}:{name}"), how).serving(Serving("decode")).report()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("Buffers", ALL, ALL), ("Attributes", ALL, ALL), ("Longer", PAST, (1, 4, 8, 4))],
)
def test_what_is_written_in_place_or_comes_back_longer_is_the_state(models, name, before, after):
    report = one_token(models, name)
    assert report.error is None
    tape = report.tape
    assert [tape.values[value].shape for value in tape.state.before] == [before] * 2
    assert [tape.values[value].shape for value in tape.state.after] == [after] * 2
    held = {tape.values[value].storage for value in (*tape.state.before, *tape.state.after)}
    assert {number for number, storage in enumerate(tape.storages) if storage.role == "cache"} == held
    assert [tape.values[value].shape for value in tape.outputs] == [(1, 1, 50)]


def test_a_model_that_keeps_nothing(models):
    with pytest.raises(UsageError, match="keeps nothing from one token to the next") as told:
        one_token(models, "Nothing")
    assert "--inputs file.py:NAME" in told.value.hint


def test_a_cache_that_a_prompt_does_not_return(models):
    with pytest.raises(UsageError, match="keeps nothing from one token to the next"):
        Session(Named(f"{models}:Longer")).serving(Serving("decode", 8)).report()
