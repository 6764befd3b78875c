"""Claims about language models that take more runs: at other lengths, of a prompt, of a token after a cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from alexnet_cli.analyses.findings.attended import Attended, attended
from alexnet_cli.analyses.findings.finding import Evidence, Judged, by_exceptions, by_share, fact, not_applicable
from alexnet_cli.analyses.findings.growth import Growth, length_of
from alexnet_cli.analyses.findings.products import products_of, with_softmax
from alexnet_cli.analyses.memory import tape_of
from alexnet_cli.analyses.serving.cached import cache
from alexnet_cli.analyses.serving.serving import serving
from alexnet_cli.analyses.serving.weights import weights
from alexnet_cli.analyses.shares import fraction
from alexnet_cli.report import Report

NEARLY_ALL, HALF = 0.99, 0.5
_MATRIX = 2


class Served(Struct, frozen=True):
    """A prompt of `context` tokens, and the token at that place after a cache, of one sequence."""

    context: int
    prompt: Report
    token: Report


class Runs(Struct, frozen=True):
    """What else was run of a language model: at other lengths, and with its cache.

    `served` is why not where that is a string, `growth` None where no law fits.
    """

    growth: Growth | None = None
    served: Served | str = ""


@dataclass(frozen=True)
class OfRuns:
    """A claim for which a model is run again, where it `applies` to the model as it was run."""

    applies: Callable[[Report], Judged | None]
    judge: Callable[[Report, Runs], Judged]

    def __call__(self, report: Report) -> Judged:
        """Judge without other runs: that it does not apply."""
        return self.judged(report, None)

    def judged(self, report: Report, runs: Runs | None) -> Judged:
        """Judge by other runs, None if the model cannot be run again."""
        return self.applies(report) or (not_applicable("not_run_again") if runs is None else self.judge(report, runs))


# Length


def _has_products(report: Report) -> Judged | None:
    if report.tape is None or not products_of(report).of_activations:
        return not_applicable("no_attention")
    return None if length_of(report) else not_applicable("no_length")


def _overtakes(report: Report, runs: Runs) -> Judged:
    growth, state = runs.growth, state_of(runs.served)
    if state:
        return Judged("fails", state)
    if growth is None:
        return not_applicable("no_law")
    evidence = [fact("laws", attention=growth.attention, weights=growth.weights)] if growth.attention else []
    now, length = products_of(report), length_of(report)
    share = fraction(now.attention, now.attention + now.of_weights)
    evidence.append(fact("now", length=length.size if length else None, share=share))
    if growth.overtakes is None:
        return Judged("fails", (*evidence, *(_linear(growth) or [fact("never")])))
    windows = _windows(runs)
    exceptions = [*_reached(growth), *_linear(growth), *windows]
    proved = bool(growth.traced) and not growth.linear and not windows
    return Judged("holds" if proved else "partly", (*evidence, *exceptions))


def _reached(growth: Growth) -> list[Evidence]:
    length = growth.overtakes
    if growth.traced:
        before, at = growth.traced
        values = {"attention": at.attention, "weights": at.weights}
        return [fact("overtakes", length=length, **values, before=before.length)]
    if growth.other is not None:
        other = growth.other
        return [fact("other_law", length=other.length, attention=other.attention, weights=other.weights)]
    if growth.places is not None and length is not None and growth.places < length:
        return [fact("too_few_places", length=length, places=growth.places)]
    return [fact("refused", length=length, why=growth.refused) if growth.refused else fact("loops", length=length)]


def _linear(growth: Growth) -> list[Evidence]:
    if not growth.linear:
        return []
    return [fact("linear", paths=list(growth.linear), count=len(growth.linear), layers=len(growth.layers))]


def state_of(served: Served | str) -> tuple[Evidence, ...]:
    """Return what the model keeps if that is no keys and values, and a token adds nothing to it."""
    if isinstance(served, str) or _attended(served):
        return ()
    kept = cache(served.token)
    return () if kept.bytes_per_token else (fact("state", context=served.context, bytes=kept.bytes),)


def _windows(runs: Runs) -> list[Evidence]:
    """Return the layers whose token multiplies with fewer keys than there are tokens, by how many."""
    if not isinstance(runs.served, Served):
        return []
    context, layers = runs.served.context, _attended(runs.served)
    widths = sorted({layer.keys for layer in layers if layer.grows and layer.keys < context})
    found = []
    for width in widths:
        paths = [layer.path for layer in layers if layer.grows and layer.keys == width]
        found.append(fact("window", paths=paths, count=len(paths), layers=len(layers), keys=width, context=context))
    return found


overtakes = OfRuns(_has_products, _overtakes)
"""Attention grows with the square of the length, and does more than all else from some length on."""


# Cache


def _takes_tokens(report: Report) -> Judged | None:
    inputs = report.run.inputs if report.run else ()
    takes = any(given.dtype.startswith("int") and len(given.shape) == _MATRIX for given in inputs)
    return None if takes and report.tape is not None else not_applicable("no_tokens")


def _attends(report: Report) -> Judged | None:
    if report.tape is None or not products_of(report).of_activations:
        return not_applicable("no_attention")
    if not with_softmax(report, report.tape):
        return not_applicable("no_softmax")
    return _takes_tokens(report)


def _attended(served: Served) -> tuple[Attended, ...]:
    return attended(served.token, tape_of(served.token))


def _shares(_: Report, runs: Runs) -> Judged:
    if isinstance(runs.served, str):
        return not_applicable("not_served", why=runs.served)
    layers = _attended(runs.served)
    if not layers:
        return not_applicable("no_keys")
    groups: dict[tuple[Any, ...], list[Attended]] = {}
    for layer in layers:
        groups.setdefault((layer.latent, layer.heads, layer.shared), []).append(layer)
    own = _first_readers(layers)
    alone = [layer for layer in own if layer.shared <= 1]
    evidence = [_group(group, len(layers)) for group in groups.values()]
    again = [layer.path for layer in layers if layer not in own]
    evidence += [fact("reused", paths=again, count=len(again), layers=len(layers))] if again else []
    cached = sum(layer.bytes for layer in own)
    instead = sum(layer.bytes * layer.macs // layer.elements for layer in layers)
    evidence.append(fact("cache", context=runs.served.context, bytes=cached, instead=instead))
    return Judged(by_exceptions(kept=len(layers) - len(alone), exceptions=len(alone)), tuple(evidence))


def _group(group: list[Attended], layers: int) -> Evidence:
    first = group[0]
    values = {"paths": [layer.path for layer in group], "count": len(group), "layers": layers}
    if first.latent:
        cached, whole = round(first.elements / first.keys), round(first.macs / first.keys)
        return fact("latent", **values, cached=cached, whole=whole, ratio=float(first.shared))
    if first.shared <= 1:
        return fact("own", **values, heads=first.heads)
    return fact(
        "shared", **values, heads=first.heads, of_keys=round(first.heads / first.shared), ratio=float(first.shared)
    )


def _first_readers(layers: tuple[Attended, ...]) -> list[Attended]:
    """Return the layers that read a cache before others do."""
    seen: set[int] = set()
    first = []
    for layer in layers:
        if seen.isdisjoint(layer.storages):
            first.append(layer)
        seen |= layer.storages
    return first


shares_keys = OfRuns(_attends, _shares)
"""The cache holds less than a key and a value for each query head of each layer."""


# A token


def _reads(report: Report, runs: Runs) -> Judged:
    if isinstance(runs.served, str):
        return not_applicable("not_served", why=runs.served)
    served = runs.served
    used = weights(served.token, tape_of(served.token), 1)
    everything, read = report.totals.param_bytes, round(used.read(1))
    if not everything or not read:
        return not_applicable("no_parameters")
    tables = [each for each in used.each if each.looked_up is not None and not each.experts]
    rest, rest_read = everything - _bytes(tables), read - round(sum(each.read(1) for each in tables))
    evidence = [fact("read", read=read, all=everything, share=fraction(read, everything))]
    if tables:
        evidence.append(fact("looked_up", bytes=_bytes(tables), read=read - rest_read))
    for experts in used.experts:
        values = {"count": experts.count, "per_token": experts.per_token, "layers": experts.layers}
        evidence.append(fact("experts", **values, share=fraction(experts.bytes, everything)))
    idle = everything - _bytes(used.each)
    if idle > 0:
        evidence.append(fact("idle", bytes=idle))
    token, prompt = (serving(each).floor.intensity for each in (served.token, served.prompt))
    evidence.append(fact("intensity", context=served.context, token=token, prompt=prompt))
    return Judged(by_share(fraction(rest_read, rest), holds=NEARLY_ALL, partly=HALF), tuple(evidence))


def _bytes(several: Any) -> int:
    return sum(each.bytes for each in several)


reads_all = OfRuns(_takes_tokens, _reads)
"""One token reads all weights."""
