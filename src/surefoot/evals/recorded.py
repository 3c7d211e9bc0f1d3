"""Runs of an experiment: made, gone on with, or taken from the record."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from surefoot import flows
from surefoot.errors import UnknownRun
from surefoot.flows import AnyFlow, FlowSpec, Host, Options, RunEvent, Target
from surefoot.flows.building import construct
from surefoot.ledger import RunRecord, decode
from surefoot.values import RunTags

T = TypeVar("T")

EXPERIMENT, CASE, SCORER, DATASET, SETTINGS, NAME = (
    "experiment",
    "case",
    "scorer",
    "dataset",
    "settings",
    "evaluation",
)
"""The tags of runs that evaluations make."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that completed or failed, with its output if it completed."""

    record: RunRecord
    output: object
    is_reused: bool

    @property
    def latency_ns(self) -> int | None:
        """From start to end; None where the run was interrupted in between."""
        record = self.record
        return None if record.ended_ns is None or record.epoch > 1 else record.ended_ns - record.created_ns


class Threads:
    """Worker threads for sync code, in the caller's context."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="surefoot-eval")

    async def do(self, work: Callable[[], T]) -> T:
        """Do the work in a thread. If this is cancelled, what has begun is ended first: a thread cannot be stopped."""
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
        self._pool.shutdown(wait=False)


class Runs:
    """The runs of one flow in one experiment, each found again by its tags."""

    def __init__(
        self,
        app: Host,
        flow: AnyFlow,
        *,
        init: Mapping[str, object],
        tags: Mapping[str, str],
        threads: Threads,
        is_retrying: bool,
        allows_effects: bool,
    ) -> None:
        self.flow, self.spec = flows.find_spec(flow)
        self._app = app
        self._init = init
        self._tags = tags
        self._threads = threads
        self._is_retrying = is_retrying
        self._allows_effects = allows_effects
        self._known = _newest(app, self.spec, tags)
        # Objects that are free: a workflow may keep state, so that each serves one run at a time.
        self._free: list[AnyFlow] = []

    @property
    def known(self) -> Mapping[str, RunRecord]:
        """What is recorded of the experiment, by case."""
        return self._known

    def ended(self, case: str) -> bool:
        """Whether the case need not be run."""
        known = self._known.get(case)
        return known is not None and (
            known.status == "completed" or (known.status == "failed" and not self._is_retrying)
        )

    async def run(self, case: str, inputs: Mapping[str, object]) -> Ended:
        """The run of a case, which is made unless it has ended already.

        Raises `RunBusy` where another process is at it, and whatever keeps its end from being recorded.
        """
        known = self._known.get(case)
        if known is not None and self.ended(case):
            output = self._output(known) if known.status == "completed" else None
            return Ended(known, output, is_reused=True)
        flow = self._free.pop() if self._free else self._built()
        watch = _Watch(known.id if known is not None else "")
        options = Options(listener=watch, suppresses_effects=not self._allows_effects)

        def target(given: Mapping[str, object], _init: Mapping[str, object] = self._init) -> Target:
            return flows.target_of(flow, self.spec, given, init={}, make_client=self._app.client)

        if known is not None:
            logic = flows.resume(known, target, options)
        else:
            tags = RunTags(tags={**self._tags, CASE: case})
            logic = flows.begin(target(inputs), replace(options, tags=tags))
        try:
            if self.spec.is_async:
                output = await flows.drive_async(logic)
            else:
                output = await self._threads.do(lambda: flows.drive(logic))
        except Exception:
            record = self._recorded(watch.run_id)
            if record is None or record.status != "failed":
                raise
            return Ended(record, None, is_reused=False)
        finally:
            self._free.append(flow)
        return Ended(self._app.ledger.run(watch.run_id), output, is_reused=False)

    def _built(self) -> AnyFlow:
        if isinstance(self.flow, type):
            return construct(self.flow, self._init, self._app.client)
        return self.flow

    def _output(self, record: RunRecord) -> object:
        ends = [link.outcome for link in self._app.ledger.history(record.id) if link.outcome.kind == "end"]
        output: object = decode(self._app.ledger.exact(record.id, ends[-1].output))
        return output

    def _recorded(self, run_id: str) -> RunRecord | None:
        with suppress(UnknownRun):
            # The empty id of a run that never began is the beginning of none.
            return self._app.ledger.run(run_id)
        return None


class _Watch:
    """A listener of their own, so that runs by the hundred are not shown one by one where a single one would be."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id

    def __call__(self, event: RunEvent) -> None:
        if not self.run_id:
            self.run_id = event.run_id


def _newest(app: Host, spec: FlowSpec, tags: Mapping[str, str]) -> dict[str, RunRecord]:
    """The run of each case: the completed one if there are several, else the newest."""
    identifying = {name: tags[name] for name in (EXPERIMENT, SCORER) if name in tags}
    found: dict[str, RunRecord] = {}
    for run in app.ledger.runs(flow=spec.name, tags=identifying, limit=None):
        case = run.tags.get(CASE)
        if case is None or (SCORER in run.tags) != (SCORER in tags):
            continue
        if case not in found or (run.status == "completed" and found[case].status != "completed"):
            found[case] = run
    return found
