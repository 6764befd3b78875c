"""The runs that claims about language models ask for: at other lengths, of a prompt, of a token after a cache."""

from __future__ import annotations

from collections.abc import Collection

from alexnet_cli.analyses.findings.growth import Growth, growth, length_of, runs_by_token
from alexnet_cli.analyses.findings.language import Runs, Served, state_of
from alexnet_cli.analyses.findings.products import places_of
from alexnet_cli.analyses.findings.rules import AT_OTHER_LENGTHS, WITH_A_CACHE
from alexnet_cli.errors import AlexnetError, UsageError
from alexnet_cli.report import Report
from alexnet_cli.session.session import Session, Variation
from alexnet_cli.tracing.options import Serving

CONTEXT = 8192
"""How many tokens are cached, if the model takes as many and does not run token by token."""
FARTHER = 64
"""How many tokens more tell whether a model runs token by token: as many as the laws ask for first."""


def trace_runs(session: Session, codes: Collection[str]) -> Runs:
    """Run a model on `meta` as claims of these codes ask for."""
    lengths = _Lengths(session)
    served = "" if set(WITH_A_CACHE).isdisjoint(codes) else _served(session, lengths.contexts())
    wanted = AT_OTHER_LENGTHS in codes and not state_of(served)
    return Runs(lengths.growth() if wanted else None, served)


class _Lengths:
    """A model at other lengths of its input, and how many operators ran there; the first run is kept for the laws."""

    def __init__(self, session: Session) -> None:
        self.session, self.report = session, session.report()
        self.own = length_of(self.report)
        self.first = dict[int, Report]()
        self.operators = {self.own.size if self.own else 0: _operators(self.report)}

    def run(self, length: int) -> Report:
        return self.first.pop(length, None) or self._run(length)

    def _run(self, length: int) -> Report:
        axes = self.own.axes if self.own is not None else ()
        report = self.session.once(Variation(sizes=tuple((at, axis, length) for at, axis in axes)))
        self.operators[length] = _operators(report)
        return report

    def growth(self) -> Growth | None:
        try:
            return growth(self.report, self.run)
        except AlexnetError:
            return None

    def contexts(self) -> tuple[int, ...]:
        """Return the contexts to try: a usual one, unless operators run token by token, and that of the own run."""
        if self.own is None:
            return (CONTEXT,)
        size = self.own.size
        try:
            self.first[size + FARTHER] = self._run(size + FARTHER)
        except AlexnetError:
            return (size,)
        if runs_by_token(self.operators):
            return (size,)
        return (min(CONTEXT, places_of(self.report, size) or CONTEXT), size)


def _operators(report: Report) -> int:
    return len(report.tape.operations) if report.tape is not None else 0


def _served(session: Session, contexts: tuple[int, ...]) -> Served | str:
    """Return a prompt and a token of one sequence at the first of these contexts that runs, or why none does."""
    one = session if session.how.batch_size is None else session.with_batch(1)
    why = ""
    for context in dict.fromkeys(contexts):
        try:
            token = one.serving(Serving("decode", context)).report()
            if token.error is None:
                return Served(context, one.serving(Serving("prefill", context)).report(), token)
            why = token.error.message
        except UsageError as error:  # noqa: PERF203 - it keeps nothing from one token to the next, at any length
            return error.message
        except AlexnetError as error:
            why = error.message
    return why
