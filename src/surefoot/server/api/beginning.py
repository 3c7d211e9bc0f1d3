"""Beginning runs: one, streamed or not, or a batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, cast

import orjson
from starlette.concurrency import run_in_threadpool

from surefoot import flows
from surefoot.errors import InvalidInput
from surefoot.server.api import keys
from surefoot.server.api.answers import accepted, told
from surefoot.server.api.following import is_streamed
from surefoot.server.api.problems import Problem
from surefoot.server.api.reader import reader_of
from surefoot.server.api.reading import Fields, fields_of, wait_of
from surefoot.server.working.runs import Order
from surefoot.tracecontext import told_by
from surefoot.values import RunTags

if TYPE_CHECKING:
    from starlette.responses import Response

    from surefoot.config import ServeSettings
    from surefoot.server.api.answers import Answers
    from surefoot.server.api.asked import Asked
    from surefoot.server.api.following import Following
    from surefoot.server.working.job import Job
    from surefoot.server.working.runs import Runs
    from surefoot.values import Json

RUN_FIELDS = ("inputs", "key", "tags", "session", "deadline")
BATCH_FIELDS = ("runs", "tags", "session", "deadline")


class Beginning:
    """The endpoints that begin runs. A run belongs to the organisation of whoever asks, and names him."""

    def __init__(self, runs: Runs, answers: Answers, following: Following, settings: ServeSettings) -> None:
        self._runs = runs
        self._answers = answers
        self._following = following
        self._settings = settings

    async def run(self, asked: Asked) -> Response:
        """POST /flows/{flow}/runs."""
        request, told = asked.request, asked.told
        if told is None:
            raise LookupError("the rule of this route says that its row of the audit goes along")
        fields = fields_of(request, RUN_FIELDS)
        order = replace(_order(asked, fields, keys.of_request(request, fields)), audit=told.row)
        if order.key is not None:
            await run_in_threadpool(self._admit, asked, order)
        if is_streamed(request.headers.get("accept", "")):
            # Once events flow there is no other status any more.
            await run_in_threadpool(flows.checked, order.flow.spec, order.inputs)
            await run_in_threadpool(told.settle)
            joined = self._joined(order)
            job = joined or self._runs.begin(order)
            reader = reader_of(asked, begun=job.id if joined is None else "")
            return self._following.stream(job.run_id, job, reader)
        seconds = wait_of(request, self._settings.sync_seconds)
        if seconds == 0:
            record = await self._runs.submit(order)
            told.is_written = True
            return accepted(record.id, record.flow, record.status, is_replay=record.status != "pending")
        until = time.monotonic() + seconds
        joined = self._joined(order)
        job = joined or self._runs.begin(order)
        if joined is None:
            told.is_done = lambda: job.feed.is_opened
        # Where nobody had time for it yet it is recorded, so that what is answered holds.
        if (await job.result(seconds)) is None:
            kept = await self._runs.accept(job)
            if kept is not None:
                told.is_written = joined is None
                return accepted(kept.id, kept.flow, kept.status)
        return await self._answers.of_job(asked, job, until=until)

    async def batch(self, asked: Asked) -> Response:
        """POST /flows/{flow}/batches: all are recorded, or none where one does not fit."""
        request = asked.request
        fields = fields_of(request, BATCH_FIELDS)
        orders = self._orders(asked, fields, keys.of_batch(request))
        await run_in_threadpool(self._check_all, asked, orders)
        records = await self._runs.submit_all(orders)
        made = [{"id": one.id, "status": one.status} for one in records]
        return told({"flow": asked.flow.name, "runs": made}, 202)

    def _joined(self, order: Order) -> Job | None:
        """The run of the same key, where it is made here right now and was asked for in the same words."""
        job = self._under_key(order)
        return job if job is not None and job.asked == order.asked else None

    def _under_key(self, order: Order) -> Job | None:
        if order.key is None:
            return None
        return self._runs.executor.job_of_key(order.tags.tenant, order.flow.name, order.key)

    def _admit(self, asked: Asked, order: Order) -> None:
        """Raise `AccessDenied` where the key has a run of somebody else that whoever asks may not be given."""
        if (known := self._runs.of_key(order)) is not None:
            keys.require(asked, known.principal, known.status)
        elif (job := self._under_key(order)) is not None:
            keys.require(asked, job.principal, "running")

    def _orders(self, asked: Asked, fields: Fields, key: str | None) -> list[Order]:
        given = fields.items("runs", most=min(self._settings.max_batch, self._settings.queue))
        if not given:
            raise Problem(400, "runs is empty: give a list of objects, each with the inputs of a run")
        orders: list[Order] = []
        for index, one in enumerate(given):
            if not isinstance(one, dict) or one.keys() - {"inputs", "key"}:
                raise Problem(400, f"runs[{index}] is no object of inputs and, if it has one, key")
            own = Fields(one)
            its_key = keys.of_fields(own) or (f"{key}/{index}" if key else None)
            orders.append(_order(asked, fields, its_key, inputs=own.mapping("inputs")))
        named = Counter(one.key for one in orders if one.key is not None)
        if twice := [name for name, count in named.items() if count > 1]:
            raise Problem(
                400, f"the key {twice[0][:60]!r} stands twice: each run of a batch has one of its own"
            )
        return orders

    def _check_all(self, asked: Asked, orders: Sequence[Order]) -> None:
        """Raise `Problem` for the first run of a batch whose inputs do not fit, or whose key is another run's."""
        with asked.app.entered():
            for index, order in enumerate(orders):
                try:
                    self._runs.check(order)
                except InvalidInput as error:
                    raise Problem(422, f"runs[{index}]: {error}", kind="invalid-input", index=index) from None
                self._admit(asked, order)


def _order(
    asked: Asked, fields: Fields, key: str | None, *, inputs: Mapping[str, Json] | None = None
) -> Order:
    given = fields.mapping("inputs") if inputs is None else inputs
    principal = asked.principal
    return Order(
        *(principal, asked.flow),
        given,
        RunTags(
            principal.organisation,
            principal.who,
            fields.text("session") or "",
            {**fields.pairs("tags"), **told_by(asked.request.headers)},
        ),
        key=key,
        deadline=fields.seconds("deadline"),
        admits=lambda known: keys.require(asked, known.principal, known.status),
        asked=sha256(orjson.dumps(_plain(given), option=orjson.OPT_SORT_KEYS)).digest() if key else b"",
    )


def _plain(value: object) -> object:
    """Inputs as orjson writes them: whole numbers beyond 64 bits as text."""
    match value:
        case dict():
            found = cast("dict[str, object]", value)
            return {name: _plain(part) for name, part in found.items()}
        case list():
            return [_plain(part) for part in cast("list[object]", value)]
        case int() if not -(2**63) <= value < 2**64:
            return f"int {value}"
        case _:
            return value
