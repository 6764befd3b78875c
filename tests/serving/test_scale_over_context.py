"""How the work of one token grows with its context, as a law, against what is derived by hand in `families`."""

from __future__ import annotations

from fractions import Fraction

import pytest
from families import FAMILIES

from alexnet_cli import inspect

pytest.importorskip("transformers")
CONTEXTS = (3, 7, 12, 14, 18, 27, 41, 64, 100, 333)


def macs_at(answer, context):
    law = next(law for law in answer.laws if law.quantity == "macs" and not law.type)
    pieces = law.pieces or [law]
    [terms] = [
        each.terms
        for each in pieces
        if (getattr(each, "least", 0) or 0) <= context <= (getattr(each, "most", None) or context)
    ]
    return sum(Fraction(term.coefficient) * context ** term.powers.get("context", 0) for term in terms)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_macs_of_a_token(folder, name):
    family = FAMILIES[name]
    answer = inspect(folder(family.config)).scale(over="context")
    assert {context: macs_at(answer, context) for context in CONTEXTS} == {
        context: family.macs(context) for context in CONTEXTS
    }
