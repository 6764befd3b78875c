"""The part of `memory` about a language model at work: what a context takes, and which fits."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from alexnet_cli.analyses.capacity import Room
from alexnet_cli.analyses.serving.assumed import Assumed, Assumptions, format_named, linear_weights
from alexnet_cli.analyses.serving.held import Keeps, ServingMemory, cache_memory, kinds_of, run_memory
from alexnet_cli.analyses.serving.room import Part, Peaks, ServingFit, fit
from alexnet_cli.errors import UsageError
from alexnet_cli.report import Report
from alexnet_cli.session.how import Serving
from alexnet_cli.session.session import Session, Variation


@dataclass(frozen=True)
class Asked:
    """What is asked about a context, as options say it."""

    context: int
    kv_dtype: str | None = None
    weights_dtype: str | None = None
    last_logits: bool = False


@dataclass(frozen=True)
class Found:
    """The runs, as is assumed, and what they hold; `memory` is None where a run failed."""

    runs: dict[Part, Report]
    memory: ServingMemory | None


def context_memory(session: Session, asked: Asked, room: Room | None) -> Found:
    """Return what a prompt and a token hold, and with a memory size what fits.

    Raises:
        UsageError: an option does not parse, or the model keeps nothing from one token to the next.
        AlexnetError: the model cannot be loaded or run.
    """
    formats = format_named(asked.kv_dtype, "--kv-dtype"), format_named(asked.weights_dtype, "--weights-dtype")
    report = session.report()
    if report.error is not None:
        return Found({"prefill": report}, None)
    runs = _runs(session, asked) if session.can_run else _saved(report, asked)
    failed: dict[Part, Report] = {part: run for part, run in runs.items() if run.error is not None}
    if failed:
        return Found(failed, None)
    kinds = _kinds(session, runs["decode"], asked) if session.can_run else {}
    states = frozenset(path for path, kind in kinds.items() if kind == "state")
    cached, weights = formats
    assumed = Assumed(cached, states, linear_weights(next(iter(runs.values())), weights) if weights else {})
    runs = {part: assumed.of(run) for part, run in runs.items()}
    memory = ServingMemory(
        context=asked.context,
        batch_size=None if report.run is None else report.run.batch_size,
        cache=cache_memory(runs.get("decode") or runs["prefill"], kinds),
        prefill=run_memory(runs["prefill"]) if "prefill" in runs else None,
        decode=run_memory(runs["decode"]) if "decode" in runs else None,
        assumptions=Assumptions(*formats, asked.last_logits),
        fit=UNSET if room is None else _fit(session, asked, room, assumed, runs),
    )
    return Found(runs, memory)


def _runs(session: Session, asked: Asked) -> dict[Part, Report]:
    """Run the prompt, and the token at its end.

    Raises:
        UsageError: the arguments of forward were given, and are no prompt.
        AlexnetError: the model cannot be run.
    """
    parts: tuple[Part, ...] = ("prefill", "decode")
    if session.how.inputs_from is not None:
        raise UsageError("--context asks for prompts of other lengths than --inputs gives", "leave out one of them")
    asks = {part: Variation(serving=Serving(part, asked.context, asked.last_logits)) for part in parts}
    runs = {part: session.vary(variation).report() for part, variation in asks.items()}
    told = runs["prefill"].run
    if told is not None and not any(asked.context in given.shape for given in told.inputs):
        raise UsageError("the arguments that were given are no prompt, whose length could be changed", "leave them out")
    return runs


def _saved(report: Report, asked: Asked) -> dict[Part, Report]:
    """Return the run that a saved report holds.

    Raises:
        UsageError: it is not one of this context, or options ask for other runs.
    """
    served = report.run.serving if report.run is not None else UNSET
    if served is UNSET or served.context != asked.context:
        held = "" if served is UNSET else f", but a {served.part} of {served.context:,} tokens"
        raise UsageError(
            f"{report.model.target} holds no run of a context of {asked.context:,} tokens{held}",
            "--context needs a model to run, such as a folder with its config.json",
        )
    if asked.kv_dtype is not None or asked.last_logits:
        option = "--kv-dtype" if asked.kv_dtype is not None else "--last-logits"
        raise UsageError(f"{option} needs a model to run, not a saved report")
    return {served.part: report}


def _kinds(session: Session, token: Report, asked: Asked) -> dict[str, Keeps]:
    """Tell what each layer keeps, beside a token with a short cache."""
    short = Serving("decode", 1 if asked.context > 1 else 2, asked.last_logits)
    return kinds_of(token, session.once(Variation(serving=short)))


def _fit(
    session: Session, asked: Asked, room: Room, assumed: Assumed, runs: dict[Part, Report]
) -> ServingFit | UnsetType:
    if not session.can_run:
        return UNSET
    report = session.report()
    batch = None if report.run is None else report.run.batch_size
    least, most = session.batches

    def run(part: Part, batch: int | None, context: int) -> Report:
        asks = Serving(part, context, asked.last_logits)
        return assumed.of(session.once(Variation(batch_size=batch, serving=asks)))

    peaks = Peaks(run)
    for part, done in runs.items():
        peaks.note(part, batch, asked.context, done)
    with session.listener.tracing("looking for the longest context"):
        return fit(room, peaks, batch if least == 1 else None, asked.context, most)
