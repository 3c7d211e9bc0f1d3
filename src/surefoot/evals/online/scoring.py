"""Scoring runs of production as they come: each run of the sample once, whoever does it and however often."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import cast

from surefoot import flows, scope
from surefoot.errors import (
    InvalidInput,
    LedgerError,
    NotRestored,
    RunBusy,
    RunPruned,
    ScorerUnavailable,
    SurefootError,
)
from surefoot.evals.experiments.recorded import Threads
from surefoot.evals.experiments.results import Row, summed
from surefoot.evals.online.jury import Jury, Read, read
from surefoot.evals.online.passing import Pass
from surefoot.evals.online.sample import Sample
from surefoot.evals.online.traffic import Seen, Traffic
from surefoot.flows import Host
from surefoot.ledger import RunRecord

log = scope.logger("surefoot.evals.online")

AT_ONCE = 4
_NEWEST = 100
_BATCH = 32
"""Runs that are read before their scorers are bound, and are in memory together."""

OnRow = Callable[[Row], object]


@dataclass(slots=True)
class _Tally:
    """A pass under way. `begun` are scored or being scored."""

    limit: int | None
    seen: Seen = field(default_factory=Seen)
    rows: list[Row] = field(default_factory=list[Row])
    begun: int = 0
    known: int = 0
    busy: int = 0
    stopped: str = ""


class Scoring:
    """Scores the runs of one sample, pass by pass, each from one thread. Others may score the same sample beside it."""

    def __init__(
        self,
        sample: Sample,
        *,
        concurrency: int = AT_ONCE,
        app: Host | None = None,
        on_row: OnRow | None = None,
    ) -> None:
        """Nothing is read yet. Raises `InvalidInput`."""
        if concurrency < 1:
            raise InvalidInput(f"the concurrency is {concurrency}: let at least 1 run be judged at a time")
        self.sample = sample
        self._app = app or flows.host()
        self._concurrency = concurrency
        self._on_row = on_row
        self._traffic = Traffic(self._app.ledger, sample)
        self._is_stopping = False

    def score(self, *, limit: int | None = None) -> Pass:
        """One pass, for sync code. See `score_async`."""
        return flows.run_in_background(self.score_async(limit=limit))

    async def score_async(self, *, limit: int | None = None) -> Pass:
        """One pass: score the runs of the sample that have completed and are not scored, the newest first.

        A run that has no score after it, as another process judges it or the day's money is spent, comes again in the
        next pass. A judgement that was killed goes on where its record ends: nothing is paid twice.

        limit: so many runs at most.

        Raises `InvalidInput` where a scorer takes what nothing fills or the experiment is one of another flow, and
        `LedgerError`.
        """
        tally, threads = _Tally(limit), Threads(self._concurrency + 1)
        jury = Jury(self._app, self.sample, threads)
        runs = self._traffic.runs(tally.seen)
        try:
            # It measures what the judge says of this run, and not what was said of another.
            with closing(runs), scope.caching("never"):
                while not tally.stopped and (batch := await threads.do(lambda: list(islice(runs, _BATCH)))):
                    await self._score_batch(batch, jury, threads, tally)
            await jury.settle()
            warnings = [*jury.warnings(), *await threads.do(partial(self._why_nothing, tally))]
        except BaseException:
            self._traffic.begin_anew()
            raise
        finally:
            threads.close()
        return Pass(
            self.sample.name,
            self.sample.experiment,
            self.sample.flow,
            runs=tally.seen.runs,
            sampled=tally.seen.sampled,
            known=tally.known,
            busy=tally.busy,
            rows=tuple(tally.rows),
            left_out=dict(tally.seen.left_out),
            judging=summed(row.judging for row in tally.rows),
            stopped=tally.stopped,
            warnings=tuple(warnings),
        )

    def stop(self) -> None:
        """Let what is under way end, and begin nothing more. Safe from any thread."""
        self._is_stopping = True

    def _why_nothing(self, tally: _Tally) -> Iterator[str]:
        """That the ledger has no run of the flow at all: its name may be another one."""
        flow = self.sample.flow
        if not tally.seen.runs and not self._app.ledger.runs(flow=flow, limit=1):
            known = {run.flow for run in self._app.ledger.runs(limit=_NEWEST)}
            near = difflib.get_close_matches(flow, known, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            yield f"no run of a flow {flow!r} is in the ledger {self._app.ledger.where}{hint}"

    async def _score_batch(
        self, batch: Sequence[RunRecord], jury: Jury, threads: Threads, tally: _Tally
    ) -> None:
        found = await threads.do(lambda: list(self._read(batch, jury, tally)))
        if not found:
            return
        jury.bind(found)
        left = iter(found)

        async def work() -> None:
            for given in left:
                why = tally.stopped or self._is_full(tally)
                # Before it is waited for anything: others look at the same count.
                tally.begun += 1
                why = why or await threads.do(jury.why_not)
                if why:
                    # Another may have ended the pass meanwhile: that does not concern what had its place before.
                    tally.stopped = tally.stopped or why
                    tally.begun -= 1
                    self._traffic.come_again(given.run.id)
                    return
                if await threads.do(partial(jury.known, [given.run.id])):
                    tally.begun -= 1
                    tally.known += 1
                    continue
                await self._score(given, jury, tally)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._concurrency, len(found))):
                    workers.create_task(work())
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        for given in left:
            self._traffic.come_again(given.run.id)

    def _is_full(self, tally: _Tally) -> str:
        """Why no further run may begin, whatever it costs."""
        if self._is_stopping:
            return "it was asked to end"
        if tally.limit is not None and tally.begun >= tally.limit:
            return f"there are more, and {tally.limit} were asked for"
        return ""

    def _read(self, batch: Sequence[RunRecord], jury: Jury, tally: _Tally) -> Iterator[Read]:
        known = jury.known([run.id for run in batch])
        tally.known += len(known)
        for run in batch:
            if run.id in known:
                continue
            try:
                yield read(self._app.ledger, run)
            except (NotRestored, RunPruned) as error:
                log.warning("run %s cannot be scored here: %s", run.id, error)
                self._leave(
                    run.id, "cannot be read here: name the file of their flow (flow, evaluation)", tally
                )

    async def _score(self, given: Read, jury: Jury, tally: _Tally) -> None:
        run_id = given.run.id
        try:
            row = await jury.score(given)
        except RunBusy:
            tally.begun -= 1
            tally.busy += 1
            self._traffic.come_again(run_id)
        except ScorerUnavailable as outage:
            # It will be so for the others too: they come again together, in a later pass.
            tally.begun -= 1
            tally.stopped = tally.stopped or str(outage)
            self._traffic.come_again(run_id)
        except LedgerError:
            raise
        except SurefootError as error:
            # A judgement that somebody has cancelled, for one: the others go on.
            log.warning("run %s could not be scored", run_id, exc_info=error)
            self._leave(run_id, f"could not be judged ({type(error).__name__})", tally)
        else:
            tally.rows.append(row)
            if self._on_row is not None:
                self._on_row(row)

    def _leave(self, run_id: str, reason: str, tally: _Tally) -> None:
        """Leave a run out, also of the passes to come."""
        tally.seen.left_out[reason] += 1
        self._traffic.leave(run_id)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: object = errors.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error))
    return errors.exceptions[0]
