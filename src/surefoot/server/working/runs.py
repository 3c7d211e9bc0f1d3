"""What a server does with runs: begins them, goes on with them, forks them; each becomes a job of its executor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from surefoot import flows
from surefoot.errors import UnknownFlow
from surefoot.server.working.feed import Feed
from surefoot.server.working.job import Ended, Job
from surefoot.server.working.switched import refuse_switched_off
from surefoot.values import RunTags, new_id

if TYPE_CHECKING:
    from surefoot.access import Principal
    from surefoot.flows import Completed, Decision, Logic, Options
    from surefoot.ledger import AuditRow, RunRecord
    from surefoot.server.served import Served, ServedFlow
    from surefoot.server.working.executor import Executor


_AT_ONCE = 50
"""Runs of a batch that are recorded side by side."""


@dataclass(frozen=True, slots=True)
class Order:
    """A run that somebody asks for. `deadline` is in seconds from when it is accepted."""

    principal: Principal
    flow: ServedFlow
    inputs: Mapping[str, object]
    tags: RunTags
    key: str | None = None
    deadline: float | None = None
    asked: bytes = b""
    """A digest of what was asked, by which the same is known again."""
    audit: AuditRow | None = None
    """The row on whoever asks, which is written in one commit with the start of the run."""
    admits: Callable[[RunRecord], object] | None = None
    """Raises where the run that the key has is none for whoever asks: it may be taken by the time that this is made."""


class Runs:
    """The runs of the flows that are served, as jobs of one executor."""

    def __init__(self, executor: Executor, served: Served) -> None:
        self.executor = executor
        self.served = served
        self._app = executor.app

    def begin(self, order: Order) -> Job:
        """Take in a run that is begun when a worker is free; until then nothing of it is recorded.

        Raises `Unavailable`.
        """
        run_id = new_id()

        def logic(job: Job) -> Logic[object]:
            refuse_switched_off(self._app.access, order.flow.name, order.tags.tenant, order.tags.principal)
            options = self._options(job, order, run_id=run_id)
            # Confined to what he and the approved version of the flow may use.
            try:
                with flows.acting(order.principal):
                    return (yield from flows.begin(self._target(order), options))
            finally:
                if not job.feed.is_opened and (known := self.of_key(order)) is not None:
                    job.feed.run_id = known.id

        job = Job(
            *(order.flow, logic, self._feed(run_id)),
            tenant=order.tags.tenant,
            principal=order.tags.principal,
            is_recorded=False,
            key=order.key,
            asked=order.asked,
            order=order,
        )
        self.executor.put(job)
        return job

    def check(self, order: Order) -> None:
        """Raise `InvalidInput` where the inputs do not fit, or are others than those of the run that the key has."""
        target, known = self._target(order), self.of_key(order)
        if known is not None:
            flows.check_known(target, known)

    def of_key(self, order: Order) -> RunRecord | None:
        """The run that the key of a run has; None where it is new. Blocks. Raises `LedgerError`."""
        if order.key is None:
            return None
        found = self._app.ledger.runs(
            flow=order.flow.name, tenant=order.tags.tenant, run_key=order.key, limit=1
        )
        return found[0] if found else None

    async def submit(self, order: Order) -> RunRecord:
        """Record a run, and have it made once a worker is free; it is durable when this returns.

        Where its key is taken, nothing is recorded and the run that has it is returned. Raises `Unavailable` before
        anything is recorded, and `InvalidInput`.
        """
        with self.executor.places():
            return await self._recorded(order, run_id=new_id())

    async def submit_all(self, orders: Sequence[Order]) -> list[RunRecord]:
        """Record several runs as `submit` does, of which all have a place, or none is recorded."""
        made: list[RunRecord] = []
        with self.executor.places(len(orders)):
            for start in range(0, len(orders), _AT_ONCE):
                some = orders[start : start + _AT_ONCE]
                made += await asyncio.gather(*(self._recorded(one, run_id=new_id()) for one in some))
        return made

    async def accept(self, job: Job) -> RunRecord | None:
        """Record a run that `begin` took in, and that no worker was free for; None where one was, or is it by now.

        It is the run of whoever asked for it first, whoever else does so under its key.
        Whoever else waits for this job is told that the run is accepted.
        """
        with self.executor.places(is_bounded=False):
            order = job.order
            if order is None or job.is_recorded or not self.executor.withdraw(job):
                return None
            try:
                record = await self._recorded(order, run_id=job.id)
            except BaseException as error:
                job.end(Ended("failed", error=error))
                raise
        job.feed.run_id, job.is_recorded = record.id, True
        job.end(Ended("accepted"))
        return record

    async def _recorded(self, order: Order, *, run_id: str) -> RunRecord:
        with self._app.entered(), flows.acting(order.principal):
            logic = flows.submit(self._target(order), self._options(None, order, run_id=run_id))
            record = await flows.drive_async(logic)
        if record.status == "pending":
            self._put(record, key=order.key, asked=order.asked)
        return record

    def go_on(
        self,
        record: RunRecord,
        *,
        deadline: float | None = None,
        decisions: Mapping[str, Decision] | None = None,
        principal: Principal | None = None,
        is_bounded: bool = True,
    ) -> Job:
        """Have a recorded run gone on with. Raises `Unavailable`, and `UnknownFlow` where its flow is not served.

        deadline: seconds from now that take the place of the run's own; decisions: what became of effects in doubt.
        principal: who asks for it. A run that is confined stays bound by whoever began it; another is bound by him.
        """
        known = self.executor.job(record.id)
        if known is not None:
            return known
        return self._put(
            record, deadline=deadline, decisions=decisions, principal=principal, is_bounded=is_bounded
        )

    def fork(
        self,
        record: RunRecord,
        *,
        from_step: str,
        changes: list[str],
        inputs: Mapping[str, object] | None,
        tags: RunTags,
        deadline: float | None,
        principal: Principal,
    ) -> Job:
        """Record a fork of a run, whose effects are suppressed, and have it made; blocks until it is durable.

        Raises what `surefoot.fork` raises before anything is run, and `Unavailable`.
        """
        served = self._served(record)
        options = flows.Options(
            tags=tags, deadline=deadline, suppresses_effects=True, explains=True, parks=self._parks
        )
        with self.executor.places(), self._app.entered(), flows.acting(principal):
            planned = flows.planned(
                *(self._app, record, served.flow, flows.Changes.of(changes)),
                options=options,
                from_step=from_step,
                inputs=inputs,
            )
            fork = flows.drive(flows.submit(planned.target(), planned.options))
            return self._put(fork)

    def _put(
        self,
        record: RunRecord,
        *,
        key: str | None = None,
        asked: bytes = b"",
        deadline: float | None = None,
        decisions: Mapping[str, Decision] | None = None,
        principal: Principal | None = None,
        is_bounded: bool = False,
    ) -> Job:
        served = self._served(record)

        def make(inputs: Mapping[str, object], init: Mapping[str, object]) -> flows.Target:
            return flows.target_of(served.flow, served.spec, inputs, init=init, make_client=self._app.client)

        def logic(job: Job) -> Logic[object]:
            refuse_switched_off(self._app.access, record.flow, record.tenant, record.principal)
            options = flows.Options(
                listener=job.feed.see,
                deadline=deadline,
                decisions=decisions or {},
                explains=True,
                parks=self._parks,
                on_completed=_noting(job),
            )
            with nullcontext() if principal is None else flows.acting(principal):
                return (yield from flows.resume(self._app.ledger.run(record.id), make, options))

        job = Job(
            *(served, logic, self._feed(record.id)),
            tenant=record.tenant,
            principal=record.principal,
            is_recorded=True,
            key=key,
            asked=asked,
        )
        self.executor.put(job, is_bounded=is_bounded)
        return job

    def _served(self, record: RunRecord) -> ServedFlow:
        served = self.served.get(record.flow)
        if served is None:
            raise UnknownFlow(f"run {record.id} is one of {record.flow!r}, which this server does not serve")
        return served

    def _target(self, order: Order) -> flows.Target:
        flow = order.flow
        values = flows.checked(flow.spec, order.inputs)
        return flows.target_of(flow.flow, flow.spec, values, init={}, make_client=self._app.client)

    def _options(self, job: Job | None, order: Order, *, run_id: str) -> Options:
        return flows.Options(
            tags=order.tags,
            listener=None if job is None else job.feed.see,
            run_key=order.key,
            deadline=order.deadline,
            explains=True,
            run_id=run_id,
            on_completed=None if job is None else _noting(job),
            parks=self._parks,
            audit=order.audit,
            admits=order.admits,
        )

    @property
    def _parks(self) -> float:
        return self.executor.settings.park

    def _feed(self, run_id: str) -> Feed:
        return Feed(run_id, kept=self.executor.settings.kept_events)


def _noting(job: Job) -> Callable[[Completed], None]:
    def note(completed: Completed) -> None:
        job.completed = completed

    return note
