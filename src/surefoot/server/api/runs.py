"""Runs that there are: listed, looked at, gone on with, ended, forked, sent to."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast, get_args

from starlette.concurrency import run_in_threadpool

from surefoot import traces
from surefoot.access import permission
from surefoot.errors import RunEnded
from surefoot.ledger import FINAL
from surefoot.server.api.answers import accepted, told
from surefoot.server.api.problems import Problem
from surefoot.server.api.reader import reader_of
from surefoot.server.api.reading import Fields, fields_of, query_of, tags_of, wait_of, whole
from surefoot.server.api.shown import moment, output_of, run_json, spans_json
from surefoot.server.entry import guard
from surefoot.server.working.cancelling import cancel
from surefoot.tracecontext import told_by
from surefoot.traces import parsed, plain
from surefoot.values import Done, RunStatus, RunTags

if TYPE_CHECKING:
    from starlette.responses import Response

    from surefoot.app import App
    from surefoot.config import ServeSettings
    from surefoot.flows import Decision, Request
    from surefoot.ledger import RunRecord
    from surefoot.server.api.answers import Answers
    from surefoot.server.api.asked import Asked
    from surefoot.server.api.following import Following
    from surefoot.server.working.job import Job
    from surefoot.server.working.recovery import Recovery
    from surefoot.server.working.runs import Runs
    from surefoot.traces import Span
    from surefoot.values import Json

_PAGE, _LONGEST_PAGE = 50, 500
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_RAW = {"0": False, "1": True, "false": False, "true": True}
_CANCEL_S = 2.0
RESUME_FIELDS = ("deadline", "decisions")
CANCEL_FIELDS = ("reason",)
FORK_FIELDS = ("from_step", "changes", "inputs", "tags", "deadline")
EVENT_FIELDS = ("value",)
APPROVAL_FIELDS = ("step", "deny", "reason")


class RunPages:
    """The endpoints of runs. The door has found the run, of the organisation of whoever asks."""

    def __init__(
        self,
        runs: Runs,
        answers: Answers,
        following: Following,
        recovery: Recovery,
    ) -> None:
        self._app: App = runs.executor.app
        self._runs = runs
        self._answers = answers
        self._following = following
        self._recovery = recovery
        self._settings: ServeSettings = runs.executor.settings

    async def listing(self, asked: Asked) -> Response:
        """GET /runs: `flow`, `status`, `principal`, `session`, `key`, `tag.NAME`; `before` is where a page ended."""
        query = query_of(asked.request)
        status = query.get("status")
        if status is not None and status not in get_args(RunStatus):
            raise Problem(400, f"there is no status {status[:40]!r}: {', '.join(get_args(RunStatus))}")
        most = whole(asked.request, "limit", least=1, most=_LONGEST_PAGE, default=_PAGE)
        before = query.get("before")
        if before is not None and _ID.fullmatch(before) is None:
            raise Problem(400, "before is no id of a run: give what the page before calls so")
        tags = tags_of(query)

        def found() -> list[RunRecord]:
            return self._app.ledger.runs(
                flow=query.get("flow"),
                status=cast("RunStatus | None", status),
                tenant=asked.organisation,
                principal=query.get("principal"),
                session=query.get("session"),
                run_key=query.get("key"),
                tags=tags,
                before=before,
                limit=most,
            )

        runs = await run_in_threadpool(found)
        now = time.time_ns()
        following = runs[-1].id if len(runs) == most else None
        # A grant may hold for some flows only.
        needed = permission("run:read")
        seen = {
            name: guard.may(asked.request, needed, replace(asked.resource, name=name))
            for name in {one.flow for one in runs}
        }
        return told({"runs": [run_json(one, now) for one in runs if seen[one.flow]], "before": following})

    async def show(self, asked: Asked) -> Response:
        """GET /runs/{run}."""
        run = asked.run

        def output_seen() -> object:
            return output_of(self._app.ledger, run, is_exact=asked.is_exact())

        output = await run_in_threadpool(output_seen)
        return told({**run_json(run, time.time_ns()), "output": output})

    async def steps(self, asked: Asked) -> Response:
        """GET /runs/{run}/steps; `raw=1` as it was, for whoever may read that."""
        raw = asked.request.query_params.get("raw", "0")
        if raw not in _RAW:
            raise Problem(400, f"raw is none of {', '.join(_RAW)}")
        is_raw = _RAW[raw]
        if is_raw:
            about = replace(asked.resource, kind="trace")
            await run_in_threadpool(guard.allowed, asked.request, permission("trace:read_raw"), about)
        trace = await run_in_threadpool(traces.trace, self._app.ledger, asked.run.id)
        spans = trace.spans
        inputs: object = dict(trace.inputs)
        if is_raw:
            spans, inputs = await run_in_threadpool(self._exact, asked.run, spans)
        value = {
            "id": asked.run.id,
            "inputs": inputs,
            "steps": spans_json(spans),
            "is_chain_whole": trace.chain_break is None,
        }
        return told(value)

    async def events(self, asked: Asked) -> Response:
        """GET /runs/{run}/events."""
        last = asked.request.headers.get("last-event-id", "")
        job = self._runs.executor.job(asked.run.id)
        return self._following.stream(asked.run.id, job, reader_of(asked), last=last)

    async def resume(self, asked: Asked) -> Response:
        """POST /runs/{run}/resume."""
        fields = fields_of(asked.request, RESUME_FIELDS)
        run = asked.run
        if run.status in FINAL:
            raise Problem(409, f"run {run.id} is {run.status}: it is over", kind="run-ended")
        decisions = _decisions(fields)
        job = self._runs.go_on(
            run, deadline=fields.seconds("deadline"), decisions=decisions, principal=asked.principal
        )
        return await self._waited(asked, job)

    async def cancel(self, asked: Asked) -> Response:
        """POST /runs/{run}/cancel: what it has done is undone by its compensations, wherever it is made."""
        fields = fields_of(asked.request, CANCEL_FIELDS)
        reason = fields.text("reason") or f"asked by {asked.principal.who}"

        def cancelled() -> RunRecord:
            return cancel(self._app, asked.run.id, reason=reason, wait=_CANCEL_S).record

        record = await run_in_threadpool(cancelled)
        self._recovery.nudge()
        is_over = record.status == "cancelled"
        return told(run_json(record, time.time_ns()), 200 if is_over else 202)

    async def fork(self, asked: Asked) -> Response:
        """POST /runs/{run}/fork: effects and transactions are not done in it."""
        fields = fields_of(asked.request, FORK_FIELDS)
        run, principal = asked.run, asked.principal
        own = {**fields.pairs("tags"), **told_by(asked.request.headers)}
        tags = RunTags(run.tenant, principal.who, run.session, own)
        changes = fields.texts("changes")
        inputs = fields.mapping("inputs") or None
        step, deadline = fields.text("from_step") or "", fields.seconds("deadline")

        def fork() -> Job:
            return self._runs.fork(
                run,
                from_step=step,
                changes=changes,
                inputs=inputs,
                tags=tags,
                deadline=deadline,
                principal=principal,
            )

        job = await run_in_threadpool(fork)
        return await self._waited(asked, job)

    async def send(self, asked: Asked) -> Response:
        """POST /runs/{run}/events/{event}: it waits in the run's inbox until the run takes it."""
        fields = fields_of(asked.request, EVENT_FIELDS)
        event = asked.request.path_params["event"]
        await self._app.send_async(asked.run.id, event, fields.get("value"))
        self._recovery.nudge()
        return told({"id": asked.run.id, "event": event}, 202)

    async def approvals(self, asked: Asked) -> Response:
        """GET /runs/{run}/approvals."""
        waiting = await run_in_threadpool(self._app.approvals, asked.run.id)
        return told({"approvals": [_request_json(one) for one in waiting]})

    async def approve(self, asked: Asked) -> Response:
        """POST /runs/{run}/approvals: these arguments of this step, once; or not."""
        fields = fields_of(asked.request, APPROVAL_FIELDS)
        step, deny, reason = fields.text("step"), fields.truth("deny"), fields.text("reason") or ""

        def approve() -> Request:
            return self._app.approve(
                asked.run.id, by=asked.principal.who, step=step, deny=deny, reason=reason
            )

        if asked.run.status in FINAL:
            raise RunEnded(
                f"run {asked.run.id} is {asked.run.status}: nothing in it waits for approval any more"
            )
        answered = await run_in_threadpool(approve)
        self._recovery.nudge()
        return told({**_request_json(answered), "is_answered": True, "is_approved": not deny}, 202)

    async def _waited(self, asked: Asked, job: Job) -> Response:
        seconds = wait_of(asked.request, self._settings.sync_seconds)
        if seconds == 0 or "wait" not in asked.request.query_params:
            return accepted(job.run_id, job.flow.name, "pending")
        return await self._answers.of_job(asked, job, until=time.monotonic() + seconds)

    def _exact(self, run: RunRecord, spans: tuple[Span, ...]) -> tuple[tuple[Span, ...], object]:
        """The steps with their values as they were, and the inputs of the run so."""
        ledger = self._app.ledger
        values: dict[str, tuple[Json, Json]] = {}
        given: Json = None
        for outcome in ledger.outcomes(run.id):
            inputs = plain(parsed(ledger.exact(run.id, outcome.inputs)))
            if outcome.kind == "start" and given is None:
                given = inputs
            # What failed has an error in the place of an output.
            output = (
                None if outcome.status == "failed" else plain(parsed(ledger.exact(run.id, outcome.output)))
            )
            values[f"{outcome.key.hex()}.{outcome.attempt}"] = inputs, output

        def exact(span: Span) -> Span:
            inputs, output = values.get(span.id, (span.inputs, span.output))
            return replace(span, inputs=inputs, output=output, children=tuple(map(exact, span.children)))

        own = given.get("inputs") if isinstance(given, dict) else given
        return tuple(map(exact, spans)), own


def _decisions(fields: Fields) -> dict[str, Decision]:
    """What became of effects in doubt: `"retry"`, or an object with its result under `done`."""
    found: dict[str, Decision] = {}
    for name, said in fields.mapping("decisions").items():
        if said == "retry":
            found[name] = "retry"
        elif isinstance(said, dict) and said.keys() == {"done"}:
            found[name] = Done(said["done"])
        else:
            raise Problem(400, f'decisions.{name[:60]} is neither "retry" nor an object with done')
    return found


def _request_json(request: Request) -> dict[str, Json]:
    return {
        "step": request.step,
        "key": request.key,
        "digest": request.digest,
        "arguments": parsed(request.arguments),
        "asked": moment(request.asked_ns),
        "is_answered": request.is_answered,
    }
