"""What the scorers of an experiment say of a case that has ended."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from surefoot import flows, traces
from surefoot.evals.datasets import Case
from surefoot.evals.experiments.recorded import Ended, Place, Runs, Threads, is_cancelled
from surefoot.evals.experiments.results import summed
from surefoot.evals.scores import Score
from surefoot.evals.scoring.binding import Bound, Sample, settle
from surefoot.evals.scoring.readings import Reader
from surefoot.evals.scoring.stepping import RecordedSteps
from surefoot.flows import Host
from surefoot.ledger import ScoreRecord, Totals

_QUICK_NS = 1_000_000
"""Scorers that have taken no longer than this are asked on the loop, where a hop to a thread would cost more."""


@dataclass(slots=True)
class Marks:
    """What was said of one case, by metric, and what judges have used for it.

    `outage` says which judge could not be asked, and why, where that may be otherwise later.
    """

    scores: dict[str, ScoreRecord] = field(default_factory=dict[str, ScoreRecord])
    judging: Totals = Totals()
    outage: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is recorded of a case already, and need not be asked for again."""

    scores: Mapping[str, ScoreRecord]
    judging: Totals = Totals()


NOTHING_KNOWN = Known({})


class Marker:
    """Asks the scorers of one experiment. Those of the experiment as a whole are not its business."""

    def __init__(
        self,
        app: Host,
        scorers: Sequence[Bound],
        *,
        reads: Mapping[str, Reader],
        digests: Mapping[str, str],
        judges: Mapping[str, Runs],
        threads: Threads,
    ) -> None:
        self.judgements: dict[str, int] = dict.fromkeys(judges, 0)
        """How many verdicts each judge has given in this part of the experiment or before."""
        self._app = app
        self._scorers = [bound for bound in scorers if not bound.is_of_experiment]
        self._reads = reads
        self._digests = digests
        self._judges = judges
        self._plain = _Plain(threads)

    def missing(self, case: Case, known: Known) -> list[Bound]:
        """The scorers that apply to a case and have not said anything of it, or were others when they did."""
        return [
            bound
            for bound in self._scorers
            if bound.can_apply(case)
            and ((said := known.scores.get(bound.name)) is None or said.scorer != self._digests[bound.name])
        ]

    def taken(self, case: Case, known: Known) -> dict[str, ScoreRecord]:
        """What is known of those that apply and are what they were then."""
        missing = {bound.name for bound in self.missing(case, known)}
        found = {
            bound.name: known.scores[bound.name]
            for bound in self._scorers
            if bound.name not in missing and bound.name in known.scores and bound.can_apply(case)
        }
        for name in found.keys() & self.judgements.keys():
            self.judgements[name] += 1
        return found

    async def marks(self, place: Place, case: Case, ended: Ended, *, known: Known = NOTHING_KNOWN) -> Marks:
        """All that the scorers say, of which what is known is taken."""
        marks = Marks(self.taken(case, known), known.judging)
        asking = self.missing(case, known)
        if ended.status != "completed":
            for bound in asking:
                self._note(marks, bound, f"the run failed: {ended.error}")
            return marks
        ledger, run_id = self._app.ledger, ended.run_id
        sample = Sample(
            case,
            ended.output,
            self._reads,
            trace=lambda: traces.trace(ledger, run_id),
            steps=RecordedSteps(ledger, run_id),
        )
        plain = [bound for bound in asking if bound.flow is None and not bound.is_async]
        if plain:
            for bound, said in zip(plain, await self._plain.ask(plain, sample), strict=True):
                self._note(marks, bound, await settled(said))
        for bound in asking:
            if bound.flow is not None:
                await self._judge(bound, place, sample, marks, known)
            elif bound.is_async:
                self._note(marks, bound, await settled(_asked(bound, sample)))
        return marks

    async def _judge(self, bound: Bound, place: Place, sample: Sample, marks: Marks, known: Known) -> None:
        """What a judge says, in a run of its own."""
        judge = self._judges[bound.name]
        try:
            subject = bound.subject(sample)
            if subject is None or not bound.is_wanted(subject):
                return
            inputs = flows.checked(judge.spec, bound.arguments(subject))
        except Exception as error:  # noqa: BLE001  (whatever a reading raises is a failed row)
            self._note(marks, bound, said_of(error))
            return
        ended = await judge.run(place, inputs)
        self.judgements[bound.name] += 1
        if not ended.is_reused or known is NOTHING_KNOWN:
            marks.judging = summed((marks.judging, ended.totals))
        said: Score | str | None
        if ended.status != "completed":
            said = f"the judge failed in run {ended.run_id}: {ended.error}"
            if ended.is_outage:
                marks.outage = f"{bound.name} cannot be asked now: {said}"
        else:
            said = settle(ended.output)
        self._note(marks, bound, said, judge_run=ended.run_id)

    def _note(self, marks: Marks, bound: Bound, said: Score | str | None, *, judge_run: str = "") -> None:
        digest = self._digests[bound.name]
        if isinstance(said, str):
            marks.scores[bound.name] = ScoreRecord(
                bound.name, None, failure=said, scorer=digest, judge_run=judge_run
            )
        elif said is not None:
            marks.scores[bound.name] = ScoreRecord(
                bound.name, said.value, reason=said.reason, scorer=digest, judge_run=judge_run
            )


class _Plain:
    """Sync scorers: in a thread, until they are known to be so quick that the hop there costs more than they do."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._slowest: dict[str, int] = {}
        self._in_threads: set[str] = set()
        """Those that do not work on a loop."""

    async def ask(self, scorers: Sequence[Bound], sample: Sample) -> list[object]:
        """What each returned or raised."""
        if all(map(self._is_quick, scorers)):
            said = [self._timed(bound, sample) for bound in scorers]
            return [
                await self._again(bound, sample) if isinstance(each, Exception) else each
                for bound, each in zip(scorers, said, strict=True)
            ]
        return await self._threads.do(lambda: [self._timed(bound, sample) for bound in scorers])

    async def _again(self, bound: Bound, sample: Sample) -> object:
        """What it says in a thread, where the reason that it failed may be the loop."""
        said = await self._threads.do(lambda: _asked(bound, sample))
        if not isinstance(said, Exception):
            self._in_threads.add(bound.name)
        return said

    def _is_quick(self, bound: Bound) -> bool:
        took = self._slowest.get(bound.name)
        return took is not None and took <= _QUICK_NS and bound.name not in self._in_threads

    def _timed(self, bound: Bound, sample: Sample) -> object:
        began = time.perf_counter_ns()
        said = _asked(bound, sample)
        took = time.perf_counter_ns() - began
        # The first call may import things, and another thread may have had its turn: what follows makes up for it.
        known = self._slowest.get(bound.name)
        self._slowest[bound.name] = took if known is None else max(took, known // 2)
        return said


def _asked(bound: Bound, sample: Sample) -> object:
    """What a scorer returned, or the exception that it raised."""
    try:
        subject = bound.subject(sample)
        return None if subject is None else bound.ask(subject)
    except asyncio.CancelledError as error:
        # Nothing is awaited here, so that nobody but the scorer has raised it.
        return RuntimeError(f"the scorer raised {type(error).__name__}")
    except Exception as error:  # noqa: BLE001  (whatever a scorer raises is a failed row)
        return error


def asked_of_all(function: Callable[..., object], rows: Sequence[object]) -> object:
    """What a scorer of the experiment returned, or the exception that it raised."""
    try:
        return function(rows=rows)
    except asyncio.CancelledError as error:
        return RuntimeError(f"the scorer raised {type(error).__name__}")
    except Exception as error:  # noqa: BLE001  (whatever a scorer raises is its failure)
        return error


async def settled(said: object) -> Score | str | None:
    """A score, or why there is none, from what was returned, is awaited, or was raised."""
    try:
        if inspect.isawaitable(said):
            said = await cast("Awaitable[object]", said)
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        said = RuntimeError(f"the scorer raised {type(error).__name__}")
    except Exception as error:  # noqa: BLE001  (whatever a scorer raises is a failed row)
        said = error
    return said_of(said) if isinstance(said, Exception) else settle(said)


def said_of(error: Exception) -> str:
    """An error as the reason why there is no score."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  (one that cannot say what it is)
        return type(error).__name__
