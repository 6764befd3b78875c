"""What a rule finds: a verdict and its evidence, in numbers and names and in no language."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from msgspec import Struct

Verdict = Literal["holds", "partly", "fails", "not_applicable"]


class Evidence(Struct, frozen=True):
    """One fact: `key` says what it is about, `values` are its numbers and the layers that it names."""

    key: str
    values: dict[str, Any]


class Finding(Struct, frozen=True):
    """What a rule says of a model; `code` does not change from release to release."""

    code: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]


class Judged(NamedTuple):
    """A rule's answer."""

    verdict: Verdict
    evidence: tuple[Evidence, ...]


def fact(key: str, **values: Any) -> Evidence:
    """Return one piece of evidence."""
    return Evidence(key, values)


def not_applicable(key: str, **values: Any) -> Judged:
    """Return that nothing can be said, and why."""
    return Judged("not_applicable", (fact(key, **values),))


def by_exceptions(*, kept: int, exceptions: int) -> Verdict:
    """Judge a claim about every one of several things: all, some or none keep to it."""
    if not exceptions:
        return "holds"
    return "partly" if kept else "fails"


def by_share(share: float, *, holds: float, partly: float) -> Verdict:
    """Judge a claim about how much of a whole something is, a fraction of 1, by two limits."""
    if share >= holds:
        return "holds"
    return "partly" if share >= partly else "fails"
