"""Runs of an experiment: made, gone on with, or taken from the record."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from surefoot import flows
from surefoot.errors import (
    BreakerOpen,
    BudgetExceeded,
    CredentialRefused,
    MalformedResponse,
    ModelTimeout,
    ModelUnavailable,
    QuotaExceeded,
    RateLimited,
    Throttled,
    UnknownRun,
)
from surefoot.evals.run_tags import CASE, EXPERIMENT, REPEAT, SCORER, SCORER_DIGEST
from surefoot.flows import AnyFlow, Change, Completed, FlowSpec, Host, Options, RunEvent, StepClosed, Target
from surefoot.flows.building import construct
from surefoot.flows.sources import digest_of
from surefoot.ledger import RunRecord, Totals, decode
from surefoot.values import RunTags

T = TypeVar("T")

_PASSING = frozenset(
    kind.__name__
    for kind in (
        *(ModelUnavailable, ModelTimeout, RateLimited, Throttled, QuotaExceeded, CredentialRefused),
        *(BreakerOpen, BudgetExceeded),
    )
)

Place = tuple[str, int]
"""A case by its id, and which of its repeats it is, from 1."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that completed or failed, with its output if it completed.

    `latency_ns` is from start to end; None where the run was interrupted in between. `paid` is what it has used of
    `totals` itself, where that is not all.
    """

    run_id: str
    status: Literal["completed", "failed"]
    output: object
    is_reused: bool
    error: str = ""
    totals: Totals = Totals()
    latency_ns: int | None = None
    paid: Totals | None = None

    @classmethod
    def of(cls, record: RunRecord, output: object, *, is_reused: bool) -> Ended:
        """What a record says of a run that is over."""
        is_whole = record.ended_ns is not None and record.epoch == 1
        return cls(
            record.id,
            "completed" if record.status == "completed" else "failed",
            output,
            is_reused,
            error=record.error or "",
            totals=record.totals,
            latency_ns=record.ended_ns - record.created_ns if is_whole and record.ended_ns else None,
        )

    @property
    def is_outage(self) -> bool:
        """Whether it failed as its model could not be asked, or not for this price: later it may be."""
        return self.status == "failed" and is_outage(self.error)


def is_outage(error: str) -> bool:
    """Whether the recorded error of a run says that what it needs was not to be had then."""
    return error.partition(":")[0] in _PASSING


def is_cancelled() -> bool:
    """Whether somebody cancels the task that runs now: else it was its own code that raised `CancelledError`."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Threads:
    """Worker threads for sync code, in the caller's context. They are made when they are first needed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ThreadPoolExecutor | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """Do the work in a thread. If this is cancelled, what has begun is ended first: a thread cannot be stopped."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="surefoot-eval")
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, contextvars.copy_context().run, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            with suppress(BaseException):
                future.result()
            raise

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class Making:
    """How the runs of an experiment are made: their tags, and what is different in them.

    `is_new` says that none can be recorded yet. `is_retrying` goes on with runs that failed, too.
    """

    tags: Mapping[str, str]
    init: Mapping[str, object]
    changes: Sequence[Change] = ()
    is_new: bool = False
    is_retrying: bool = False
    allows_effects: bool = False


class Runs:
    """The runs of one flow in one experiment, each found again by its tags."""

    def __init__(self, app: Host, flow: AnyFlow, making: Making, threads: Threads) -> None:
        self.flow, self.spec = flows.find_spec(flow)
        self.served: set[str] = set()
        """The models that answered the calls of runs that were made here."""
        self._app = app
        self._making = making
        self._threads = threads
        self._known = {} if making.is_new else _newest(app, self.spec, making.tags)
        # Of the code as it is when the experiment begins: that is what is loaded, whatever is written meanwhile.
        self._code_digest = digest_of(self.spec.entry)
        # Objects that are free: a workflow may keep state, so that each serves one run at a time.
        self._free: list[AnyFlow] = []

    @property
    def known(self) -> Mapping[Place, RunRecord]:
        """What is recorded of the experiment."""
        return self._known

    def forget(self, place: Place) -> None:
        """It is over and done with: what is known of it is not needed any more."""
        self._known.pop(place, None)

    async def run(self, place: Place, inputs: Mapping[str, object]) -> Ended:
        """The run of a case, which is made unless it has ended already.

        Raises `RunBusy` where another process is at it, and whatever keeps its end from being recorded.
        """
        known = self._known.get(place)
        if known is not None and self._making.is_retrying and _is_unfit(known):
            known = None
        if known is not None and self._is_over(known):
            output = self._output(known.id) if known.status == "completed" else None
            return Ended.of(known, output, is_reused=True)
        flow = self._free.pop() if self._free else self._built()
        watch = _Watch(known.id if known is not None else "", self.served)
        try:
            logic = self._logic(flow, known, place, inputs, watch)
            if self.spec.is_async:
                output = await flows.drive_async(logic)
            else:
                output = await self._threads.do(lambda: flows.drive(logic))
        except asyncio.CancelledError as error:
            record = self._recorded(watch.run_id)
            if record is None or is_cancelled():
                raise
            # The flow's own: as the end of a worker it would take the cases with it that come behind.
            failed = replace(Ended.of(record, None, is_reused=False), status="failed")
            return replace(failed, error=f"the flow raised {type(error).__name__}")
        except Exception:
            record = self._recorded(watch.run_id)
            if record is None or record.status != "failed":
                raise
            return Ended.of(record, None, is_reused=False)
        finally:
            self._free.append(flow)
        if watch.completed is None:
            # It had been completed by somebody else meanwhile.
            return Ended.of(self._app.ledger.run(watch.run_id), output, is_reused=False)
        return watch.ended(output)

    def ended(self, run_id: str) -> Ended:
        """A run that is known to have completed, with its output out of the record. Raises `UnknownRun`."""
        return Ended.of(self._app.ledger.run(run_id), self._output(run_id), is_reused=True)

    def of_other_code(self) -> int:
        """How many of the runs that were recorded before have begun with other code."""
        return sum(record.code_digest != self._code_digest for record in self._known.values())

    def _logic(
        self,
        flow: AnyFlow,
        known: RunRecord | None,
        place: Place,
        inputs: Mapping[str, object],
        watch: _Watch,
    ) -> flows.Logic[object]:
        making = self._making
        options = Options(
            listener=watch,
            suppresses_effects=not making.allows_effects,
            on_completed=watch.note_end,
            code_digest=self._code_digest,
        )

        def target(given: Mapping[str, object], _init: Mapping[str, object] = making.init) -> Target:
            own: Mapping[str, object] = _init if isinstance(flow, type) else {}
            return flows.target_of(flow, self.spec, given, init=own, make_client=self._app.client)

        if known is not None:
            # Its changes are recorded with it.
            return flows.resume(known, target, options)
        return self.fresh(flow, place, lambda: target(inputs), options)

    def fresh(
        self,
        flow: AnyFlow,  # noqa: ARG002  (forks are made of it)
        place: Place,
        target: Callable[[], Target],
        options: Options,
    ) -> flows.Logic[object]:
        """The run of a case from its beginning."""
        case, repeat = place
        tags = {**self._making.tags, CASE: case, **({REPEAT: str(repeat)} if repeat > 1 else {})}
        return flows.begin(target(), replace(options, tags=RunTags(tags=tags), changes=self._making.changes))

    def _is_over(self, known: RunRecord) -> bool:
        return known.status == "completed" or (known.status == "failed" and not self._making.is_retrying)

    def _built(self) -> AnyFlow:
        if isinstance(self.flow, type):
            return construct(self.flow, self._making.init, self._app.client)
        return self.flow

    def _output(self, run_id: str) -> object:
        end = self._app.ledger.end(run_id)
        if end is None:
            raise UnknownRun(
                f"run {run_id} has no end in the ledger {self._app.ledger.where}: restore a backup"
            )
        output: object = decode(self._app.ledger.exact(run_id, end.output))
        return output

    def _recorded(self, run_id: str) -> RunRecord | None:
        with suppress(UnknownRun):
            # The empty id of a run that never began is the beginning of none.
            return self._app.ledger.run(run_id)
        return None


class _Watch:
    """A listener of their own, so that runs by the hundred are not shown one by one where a single one would be."""

    __slots__ = ("_served", "completed", "run_id")

    def __init__(self, run_id: str, served: set[str]) -> None:
        self.run_id = run_id
        self.completed: Completed | None = None
        self._served = served

    def __call__(self, event: RunEvent) -> None:
        if not self.run_id:
            self.run_id = event.run_id
        if isinstance(event, StepClosed) and event.call is not None:
            self._served.add(event.call.served_model)

    def note_end(self, completed: Completed) -> None:
        self.completed = completed

    def ended(self, output: object) -> Ended:
        """What the run that has just completed came to, without asking the ledger for what it was given."""
        assert self.completed is not None  # noqa: S101  (told by the caller)
        end = self.completed
        return Ended(
            end.run_id,
            "completed",
            output,
            is_reused=False,
            totals=end.totals,
            latency_ns=end.ended_ns - end.created_ns if end.epoch == 1 else None,
        )


def _is_unfit(known: RunRecord) -> bool:
    """Whether it failed over an answer that is recorded: whoever goes on with it would be given the same one again."""
    return known.status == "failed" and (known.error or "").startswith(MalformedResponse.__name__)


def _newest(app: Host, spec: FlowSpec, tags: Mapping[str, str]) -> dict[Place, RunRecord]:
    """The run of each case: the completed one if there are several, else the newest.

    Runs of a judge that was another one then are none of these.
    """
    identifying = {name: tags[name] for name in (EXPERIMENT, SCORER) if name in tags}
    digest = tags.get(SCORER_DIGEST, "")
    found: dict[Place, RunRecord] = {}
    for run in app.ledger.runs(flow=spec.name, tags=identifying, limit=None):
        case = run.tags.get(CASE)
        if case is None or (SCORER in run.tags) != (SCORER in tags):
            continue
        if run.parent_run is not None:
            # A flow that runs itself: its child runs have the tags of the run of the case, and are none.
            continue
        if digest and run.tags.get(SCORER_DIGEST, digest) != digest:
            continue
        place = (case, _repeat(run.tags))
        if place not in found or (run.status == "completed" and found[place].status != "completed"):
            found[place] = run
    return found


def _repeat(tags: Mapping[str, str]) -> int:
    said = tags.get(REPEAT, "1")
    return int(said) if said.isdecimal() else 1
