"""How a run is answered: its output once it has ended in time, else where it can be looked at."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from surefoot.errors import InvalidInput, RunBusy, SurefootError, UnknownRun
from surefoot.ledger import FINAL
from surefoot.server.api.problems import Problem, again_of, problem_of, status_of
from surefoot.server.api.shown import dumped, moment, output_of, run_json, totals_json

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.ledger import RunRecord, Totals
    from surefoot.server.api.asked import Asked
    from surefoot.server.working.job import Job

_LOOK_S, _LOOK_MOST_S = 0.05, 1.0


def told(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(
        dumped(value),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def accepted(run_id: str, flow: str, status: str = "pending", *, is_replay: bool = False) -> Response:
    """202: the run is recorded and gets made, whatever becomes of this server."""
    headers = {"location": f"/runs/{run_id}", "retry-after": "1"}
    if is_replay:
        headers["idempotency-replayed"] = "true"
    return told({"id": run_id, "flow": flow, "status": status}, 202, headers)


class Answers:
    """Answers for runs that were begun or gone on with."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def of_job(self, asked: Asked, job: Job, *, until: float) -> Response:
        """The answer for a run that is made here: for how long it is waited says `until` (`time.monotonic`)."""
        ended = await job.result(max(0.0, until - time.monotonic()))
        if ended is None:
            return await self._under_way(asked, job)
        match ended.how:
            case "completed" if job.completed is not None and _is_his(asked, job):
                completed = job.completed
                times = completed.created_ns, completed.ended_ns
                about = (completed.run_id, job.flow.name)
                return told(_ended(*about, ended.output, completed.totals, times))
            case "completed":
                record = await run_in_threadpool(self._found, job)
                return await self.of_record(asked, record, is_replay=job.completed is None)
            case "accepted":
                record = await run_in_threadpool(self._app.ledger.run, job.run_id)
                return await self.elsewhere(asked, record, until=until)
            case "waiting" | "handed over":
                return accepted(job.run_id, job.flow.name, "waiting" if ended.how == "waiting" else "running")
            case "refused":
                raise Problem(
                    503,
                    "the server is about to stop, and had not begun the run: nothing is recorded of it; ask again",
                    kind="server-draining",
                    headers={"retry-after": "1"},
                )
            case "failed":
                return await self._failed(asked, job, ended.error, until=until)

    async def of_record(
        self,
        asked: Asked,
        record: RunRecord,
        *,
        is_replay: bool = False,
        error: BaseException | None = None,
    ) -> Response:
        """The answer for a run as it is recorded."""
        headers = {"idempotency-replayed": "true"} if is_replay else {}
        if record.status == "completed":
            output = await run_in_threadpool(self._output, asked, record)
            times = record.created_ns, record.ended_ns
            return told(_ended(record.id, record.flow, output, record.totals, times), headers=headers)
        if record.status not in ("failed", "cancelled", "in_doubt"):
            return accepted(record.id, record.flow, record.status, is_replay=is_replay)
        status = 500 if error is None else status_of(error)
        if record.status in ("cancelled", "in_doubt"):
            status = 409
        where = f" in step {record.failed_step!r}" if record.failed_step else ""
        raise Problem(
            status,
            # As people may read it: what a flow raises may hold what is no business of whoever asks.
            f"the run is {record.status}{where}: {record.error}",
            kind=f"run-{record.status.replace('_', '-')}",
            headers={**again_of(error, status), **headers},
            run=run_json(record, time.time_ns()),
        )

    async def elsewhere(self, asked: Asked, record: RunRecord, *, until: float) -> Response:
        """The answer for a run that another process makes."""
        pause = _LOOK_S
        while record.status not in (*FINAL, "failed", "in_doubt") and time.monotonic() < until:
            await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(pause * 1.5, _LOOK_MOST_S)
            record = await run_in_threadpool(self._app.ledger.run, record.id)
        return await self.of_record(asked, record, is_replay=True)

    def _output(self, asked: Asked, record: RunRecord) -> object:
        return output_of(self._app.ledger, record, is_exact=asked.reads_exactly(record))

    async def _under_way(self, asked: Asked, job: Job) -> Response:
        """202 for a run that has begun: once its beginning is durable."""
        while not (job.is_recorded or job.feed.is_opened):
            if (await job.result(_LOOK_S)) is not None:
                return await self.of_job(asked, job, until=0.0)
        return accepted(job.run_id, job.flow.name, "running" if job.is_begun else "pending")

    async def _failed(self, asked: Asked, job: Job, error: BaseException | None, *, until: float) -> Response:
        if isinstance(error, RunBusy):
            record = await run_in_threadpool(self._found, job)
            return await self.elsewhere(asked, record, until=until)
        known: RunRecord | None = await run_in_threadpool(lambda: self._recorded(job))
        if isinstance(error, InvalidInput) and not job.feed.is_opened:
            # The key is that of a run with other inputs: how that one ended is no answer to this.
            raise error
        if known is not None and known.status in ("failed", "cancelled", "in_doubt"):
            return await self.of_record(asked, known, error=error)
        if error is None or not isinstance(error, SurefootError):
            raise Problem(
                500, "the flow ended its run in a way that is no outcome; the log of the server says how"
            )
        problem = problem_of(error)
        if known is not None:
            problem.more["run"] = run_json(known, time.time_ns())
        raise problem

    def _recorded(self, job: Job) -> RunRecord | None:
        """The run of a job; None where nothing of it was recorded."""
        try:
            return self._found(job)
        except UnknownRun:
            return None

    def _found(self, job: Job) -> RunRecord:
        """The run of a job; that of its key, where that was taken."""
        if job.key is not None:
            found = self._app.ledger.runs(flow=job.flow.name, tenant=job.tenant, run_key=job.key, limit=1)
            if found:
                return found[0]
        return self._app.ledger.run(job.run_id)


def _is_his(asked: Asked, job: Job) -> bool:
    """Whether a run was begun here for whoever asks, so that its output is his without a look at its record."""
    return not job.is_recorded and job.principal == asked.principal.who


def _ended(
    run_id: str, flow: str, output: object, totals: Totals, times: tuple[int, int | None]
) -> dict[str, object]:
    created_ns, ended_ns = times
    return {
        "id": run_id,
        "flow": flow,
        "status": "completed",
        "output": output,
        "totals": totals_json(totals),
        "created": moment(created_ns),
        "ended": moment(ended_ns),
    }
