"""What happens in a run, as server-sent events: from its feed where it is made here, else from the ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from surefoot.errors import RunBusy, RunPruned, WorldError
from surefoot.flows import CallStreamed, RunOpened, StepClosed, StepOpened, StepYielded
from surefoot.ledger import FINAL, links_after, recorded_at
from surefoot.server.api.problems import problem_of
from surefoot.server.api.shown import dumped, output_of, run_json, usage_json
from surefoot.server.working.feed import Place
from surefoot.traces import parsed, plain, said_in

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.flows import RunEvent
    from surefoot.ledger import Link, Outcome
    from surefoot.server.api.reader import Reader
    from surefoot.server.working.executor import Executor
    from surefoot.server.working.feed import Feed
    from surefoot.server.working.job import Job
    from surefoot.values import CallFacts, Json

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_HEARTBEAT_S = 15.0
_LOOK_S = 0.25
_LOOK_MOST_S = 1.0
_PAGE = 500
_NUMBERS = 2
"""Of a place in a feed, in an event's id."""
_NO_MORE = "whoever reads this may not follow the run any more: his token, or what he may do, has changed"
_UNKNOWN = "it cannot be told now who may follow the run: try again"
_OVER = (*FINAL, "failed", "in_doubt")


class Following:
    """Streams of events. Each has an id; whoever was cut off sends the last one he has as `Last-Event-ID`.

    What was recorded can be had again from any server. What is not, items of steps that yield, pieces of answers and
    steps that have only begun, is kept by the server that makes the run, up to `[serve] kept_events`. From the ledger
    an answer that was streamed comes as one piece, before the step that is its call.
    """

    def __init__(self, app: App, executor: Executor) -> None:
        self._app = app
        self._executor = executor

    def stream(
        self,
        run_id: str,
        job: Job | None,
        reader: Reader,
        *,
        last: str = "",
    ) -> StreamingResponse:
        """The events of a run from now on, or from behind the last one that the reader has.

        They end where he may follow it no more.
        """
        return StreamingResponse(
            self._seen(run_id, job, reader, last), media_type="text/event-stream", headers=_HEADERS
        )

    async def _seen(self, run_id: str, job: Job | None, reader: Reader, last: str) -> AsyncIterator[bytes]:
        try:
            async for event in self._events(run_id, job, reader, last):
                yield event
        except WorldError:
            # Where the ledger or an identity provider is away, nobody knows who may follow it.
            yield _event("problem", {"status": 503, "detail": _UNKNOWN})
            return
        if not reader.may_follow:
            yield _event("problem", {"status": 403, "detail": _NO_MORE})

    async def _events(self, run_id: str, job: Job | None, reader: Reader, last: str) -> AsyncIterator[bytes]:
        mark, *numbers = last.split(".")
        read = [int(number[:18]) if number.isascii() and number.isdigit() else 0 for number in numbers]
        seq = read[0] if mark == "l" and read else 0
        if job is not None:
            feed = job.feed
            place = Place(*read) if mark == feed.mark and len(read) == _NUMBERS else Place()
            async for event in self._from_feed(feed, place, reader):
                yield event
            if not reader.may_follow:
                return
            if job.ended is not None and job.ended.how in ("handed over", "refused"):
                return
            run_id = feed.run_id
            error = None if job.ended is None or feed.is_opened else job.ended.error
            if error is not None and not isinstance(error, RunBusy):
                problem = problem_of(error)
                yield _event("problem", {"status": problem.status, "detail": problem.detail})
                return
            # What it has recorded was told; of a run that is made elsewhere, or was before, nothing was.
            seq = await run_in_threadpool(self._newest, run_id) if feed.is_opened else 0
        async for event in self._from_ledger(run_id, seq, reader):
            yield event

    async def _from_feed(self, feed: Feed, place: Place, reader: Reader) -> AsyncIterator[bytes]:
        news, told = asyncio.Event(), time.monotonic()
        feed.enter(news)
        try:
            while True:
                news.clear()
                is_over = feed.is_over
                found = feed.after(place)
                # Before it has begun it is in no ledger, and there is nothing to tell.
                if (found.told or feed.is_opened) and not await reader.follows(feed.run_id):
                    return
                is_exact = reader.is_exact
                if found.missed.events or (found.missed.pieces and is_exact):
                    tokens = found.missed.pieces if is_exact else 0
                    yield _event("gap", {"missed": found.missed.events, "tokens": tokens})
                for behind, event in found.told:
                    number = f"{feed.mark}.{behind.events}.{behind.pieces}"
                    if (said := self._told(event, number, is_exact=is_exact)) is not None:
                        yield said
                place = found.place
                if is_over:
                    return
                if found.told:
                    told = time.monotonic()
                elif time.monotonic() - told >= _HEARTBEAT_S:
                    told = time.monotonic()
                    yield b": it goes on\n\n"
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(reader.every, _HEARTBEAT_S)):
                        await news.wait()
        finally:
            feed.leave(news)

    async def _from_ledger(self, run_id: str, seq: int, reader: Reader) -> AsyncIterator[bytes]:
        pause, told = _LOOK_S, time.monotonic()
        while await reader.follows(run_id):
            is_exact = reader.is_exact
            # Asked before its rows: what is behind its end is none of it.
            run = await run_in_threadpool(self._app.ledger.run, run_id)
            links = await run_in_threadpool(links_after, self._app.ledger, run_id, seq, most=_PAGE)
            for link in links:
                seq = link.seq
                if is_exact and (text := await run_in_threadpool(self._answer, link)):
                    yield _event("token", _answered(link.outcome, text))
                if link.outcome.kind in ("step", "call", "flow"):
                    yield _event("step", _recorded(link.outcome), f"l.{seq}")
            if len(links) == _PAGE:
                continue
            if run.status in _OVER:
                output = await run_in_threadpool(output_of, self._app.ledger, run, is_exact=is_exact)
                ended: dict[str, object] = {**run_json(run, time.time_ns()), "output": output}
                yield _event("end", ended, f"l.{seq}")
                return
            if self._executor.is_draining:
                return
            pause = _LOOK_S if links else min(pause * 1.5, _LOOK_MOST_S)
            if links:
                told = time.monotonic()
            elif time.monotonic() - told >= _HEARTBEAT_S:
                told = time.monotonic()
                yield b": it goes on\n\n"
            await asyncio.sleep(pause)

    def _answer(self, link: Link) -> str:
        """The whole text of an answer that was streamed; empty for what is none, or is kept no longer."""
        told = link.outcome
        if told.kind != "call" or told.status != "completed":
            return ""
        outcome = recorded_at(self._app.ledger, link.seq)
        if outcome is None or outcome.run_id != told.run_id:
            return ""
        try:
            text = self._app.ledger.exact(outcome.run_id, outcome.output)
        except RunPruned:
            return ""
        recorded = plain(parsed(text))
        if not isinstance(recorded, dict) or not recorded.get("is_stream"):
            return ""
        body = recorded.get("given", recorded.get("body"))
        return said_in(outcome.name, body, is_stream=True).text if isinstance(body, str) else ""

    def _newest(self, run_id: str) -> int:
        links = self._app.ledger.history(run_id)
        return links[-1].seq if links else 0

    def _told(self, event: RunEvent, number: str, *, is_exact: bool) -> bytes | None:
        match event:
            case RunOpened():
                return _event(
                    "run", {"run": event.run_id, "flow": event.flow, "is_resumed": event.is_resumed}, number
                )
            # What people may read of a text is known once it is whole, and an item may be a part of one.
            case StepYielded():
                return _event("item", _yielded(event), number) if is_exact else None
            case CallStreamed():
                return _event("token", _streamed(event), number) if is_exact else None
            case StepOpened():
                return _event("step", _opened(event), number)
            case StepClosed():
                return _event("step", _closed(event), number)


def _yielded(event: StepYielded) -> dict[str, object]:
    return {
        "key": event.key.hex(),
        "name": event.name,
        "attempt": event.attempt,
        "index": event.index,
        "item": event.item,
        "is_replayed": event.is_replayed,
    }


def _streamed(event: CallStreamed) -> dict[str, object]:
    return {
        "key": event.key.hex(),
        "parent": event.path[-16:].hex() or None,
        "name": event.name,
        "attempt": event.attempt,
        "index": event.index,
        "text": event.text,
        "is_replayed": event.is_replayed,
    }


def _answered(outcome: Outcome, text: str) -> dict[str, object]:
    return {
        "key": outcome.key.hex(),
        "parent": outcome.parent.hex() or None,
        "name": outcome.name,
        "attempt": outcome.attempt,
        "index": 0,
        "text": text,
        "is_replayed": True,
    }


def _opened(event: StepOpened) -> dict[str, object]:
    return {
        "key": event.key.hex(),
        "parent": event.path[-16:].hex() or None,
        "name": event.name,
        "kind": event.kind,
        "attempt": event.attempt,
        "status": "running",
    }


def _closed(event: StepClosed) -> dict[str, object]:
    return {
        "key": event.key.hex(),
        "parent": event.path[-16:].hex() or None,
        "name": event.name,
        "kind": event.kind,
        "attempt": event.attempt,
        "status": event.status,
        "seconds": event.latency_ns / 1e9,
        "is_replayed": event.is_replayed,
        "is_degraded": event.is_degraded,
        "is_cached": event.is_cached,
        "call": _call(event.call),
    }


def _recorded(outcome: Outcome) -> dict[str, object]:
    return {
        "key": outcome.key.hex(),
        "parent": outcome.parent.hex() or None,
        "name": outcome.name,
        "kind": outcome.kind,
        "attempt": outcome.attempt,
        "status": outcome.status,
        "seconds": outcome.latency_ns / 1e9,
        "is_replayed": False,
        "is_degraded": outcome.is_degraded,
        "is_cached": outcome.is_cached,
        "call": _call(outcome.call),
    }


def _call(facts: CallFacts | None) -> Json:
    if facts is None:
        return None
    return {
        "provider": facts.provider,
        "requested_model": facts.requested_model,
        "served_model": facts.served_model,
        "tokens": usage_json(facts.usage),
        "cost_usd": None if facts.cost is None else f"{facts.cost.nanos / 1e9:.9f}",
    }


def _event(name: str, told: object, number: str = "") -> bytes:
    """One event as it goes over the wire. JSON has no line breaks, so that the data is one line."""
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: ".encode() + dumped(told) + b"\n\n"


def is_streamed(accept: str) -> bool:
    """Whether a request asks for events."""
    return any(part.partition(";")[0].strip().lower() == "text/event-stream" for part in accept.split(","))
