"""Live streamed bodies: the client sees each chunk at once, and the end only when the outcome is durable."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.effects import Program, drive, drive_async
from surefoot.errors import GuardRefused, RunEnded
from surefoot.models.chain.answers import ends_in_error, is_whole
from surefoot.models.chain.passage import Passage, tokens_of
from surefoot.models.chain.record import Answer, kept_headers
from surefoot.models.chain.sse import events_of
from surefoot.scope import Claim, Ending, Ticket

if TYPE_CHECKING:
    import httpx2

    from surefoot.models.chain.watching import Watch
    from surefoot.models.sdk.telling import Telling

logger = scope.logger("surefoot.models")

Judge = Callable[[Answer, "httpx2.Response", int | None], Ending]
"""From an answer, the response the client holds and the time to its first byte (ns): how the call ended."""


class Tape:
    """What was read of one streamed body, and how that reading ended. Every ending is taken at most once."""

    def __init__(
        self,
        claim: Claim,
        source: httpx2.Response,
        judge: Judge,
        *,
        started_ns: int,
        passage: Passage | None = None,
        watch: Watch | None = None,
        telling: Telling | None = None,
    ) -> None:
        self._claim = claim
        self._telling = telling
        self._passage = passage
        self._watch = watch
        self._status = source.status_code
        self._headers = kept_headers(source.headers)
        self._judge = judge
        self._started_ns = started_ns
        self._first_ns: int | None = None
        self._chunks: list[bytes] = []
        self._is_settled = False
        self._is_interrupted = False
        # An error that was being handled before the stream began did not end it.
        self._earlier = sys.exc_info()[1]
        self.response: httpx2.Response | None = None

    def heard(self, chunk: bytes) -> Program[bytes]:
        """A chunk was read; what of the stream may be handed on by now. Raises `GuardRefused`."""
        if self._first_ns is None:
            self._first_ns = time.monotonic_ns() - self._started_ns
        if self._watch is None:
            self._chunks.append(chunk)
            return self._passed(chunk)
        return self._passed((yield from self._watch.heard(chunk)))

    def rest(self) -> Program[bytes]:
        """The body came to its end: what was held back of it. Raises `GuardRefused`."""
        return b"" if self._watch is None else self._passed((yield from self._watch.ended()))

    def _passed(self, chunk: bytes) -> bytes:
        if self._telling is not None and chunk:
            self._telling.passed(chunk)
        return chunk

    @property
    def _body(self) -> bytes:
        """All that was read."""
        return b"".join(self._chunks) if self._watch is None else self._watch.body

    def ended(self) -> Ticket | None:
        """The body came to its end."""
        return self._judged()

    def broke(self, error: BaseException) -> Ticket | None:
        """A read raised. An interruption is weighed when the stream is closed: the answer may be whole."""
        if not isinstance(error, Exception):
            self._is_interrupted = True
            return None
        # What guards refuse is no fault of the server.
        return self._judged(error=error, is_left=isinstance(error, GuardRefused))

    def closed(self) -> Ticket | None:
        """The client closed the stream: after the answer's last event, early, or on its way out of an error."""
        if self._is_settled:
            return None
        heard = self._body
        if is_whole(events_of(heard)):
            return self._judged()
        reason = sys.exc_info()[1]
        if reason is self._earlier or isinstance(reason, GeneratorExit | StopIteration | StopAsyncIteration):
            reason = None
        if self._is_interrupted or (reason is not None and not isinstance(reason, Exception)):
            self._is_settled = True
            if self._passage is not None:
                self._passage.abandon(self._passage.charge_part(heard))
            self._claim.abandon()
            return None
        if isinstance(reason, Exception):
            return self._judged(error=reason, is_left=True)
        return self._judged(is_closed_early=not ends_in_error(heard))

    def __del__(self) -> None:
        # A stream that was dropped: its permit is free. What it holds stays held, as it would be booked.
        if not self._is_settled and self._passage is not None:
            self._passage.over("dropped", None)

    def _judged(
        self, *, is_closed_early: bool = False, error: Exception | None = None, is_left: bool = False
    ) -> Ticket | None:
        """The part that was read before an error is kept: a flow that survived it replays as it went.

        `is_left`: it is the client's own error, because of which it left the stream.
        """
        if self._is_settled or self.response is None:
            return None
        self._is_settled = True
        body, given = self._body, None if self._watch is None else self._watch.given
        answer = Answer(
            self._status,
            self._headers,
            body,
            is_stream=True,
            is_closed_early=is_closed_early,
            error=error,
            given=None if given == body else given,
        )
        ending = self._judge(answer, self.response, self._first_ns)
        if ending.status == "completed" and ends_in_error(answer.body):
            # An SDK that makes its error of such an ending hands the response over with it.
            ending = Ending("failed", ending.output, self.response, ending.call)
        passage = self._passage
        if passage is None:
            return self._finished(ending)
        is_broken = (error is not None and not is_left) or ends_in_error(answer.body)
        tokens = None if is_broken or is_closed_early or ending.call is None else tokens_of(ending.call)
        passage.over("failed" if is_broken else "succeeded", tokens)
        if passage.is_holding and ending.call is not None:
            passage.put_into(ending, passage.charge(answer, ending.call, is_events=True))
        return self._finished(ending)

    def _finished(self, ending: Ending) -> Ticket | None:
        try:
            return self._claim.finish(ending)
        except RunEnded:  # a stream that was left open and is closed when nothing can be recorded any more
            logger.debug("a stream was closed after its run had ended; its call is not recorded")
            return None


class LiveBody:
    """The decoded body of a live stream for blocking code."""

    def __init__(self, source: httpx2.Response, tape: Tape) -> None:
        self._source = source
        self._chunks = source.iter_bytes()
        self._tape = tape

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            while True:
                chunk = next(self._chunks, None)
                passed = drive(self._tape.rest() if chunk is None else self._tape.heard(chunk))
                if passed:
                    return passed
                if chunk is None:
                    break
        except BaseException as error:
            _wait(self._tape.broke(error))
            raise
        _wait(self._tape.ended())
        raise StopIteration

    def close(self) -> None:
        """Close the connection; how the call ended is durable on return."""
        ticket = self._tape.closed()
        self._source.close()
        _note_elapsed(self._source, self._tape)
        _wait(ticket)


class LiveAsyncBody:
    """The decoded body of a live stream for code on an event loop."""

    def __init__(self, source: httpx2.Response, tape: Tape) -> None:
        self._source = source
        self._chunks = source.aiter_bytes()
        self._tape = tape
        self._is_closing = False

    def __aiter__(self) -> LiveAsyncBody:
        return self

    async def __anext__(self) -> bytes:
        try:
            while True:
                chunk = await anext(self._chunks, None)
                program = self._tape.rest() if chunk is None else self._tape.heard(chunk)
                if passed := await drive_async(program):
                    return passed
                if chunk is None:
                    break
        except BaseException as error:
            await _wait_async(self._tape.broke(error))
            raise
        await _wait_async(self._tape.ended())
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connection; how the call ended is durable on return.

        An event loop closes abandoned generators while their reader is closing too: the second has nothing to do.
        """
        if self._is_closing:
            return
        self._is_closing = True
        ticket = self._tape.closed()
        async with aclosing(self._chunks):
            await self._source.aclose()
        _note_elapsed(self._source, self._tape)
        await _wait_async(ticket)


def live(source: httpx2.Response, tape: Tape, library: ModuleType, *, is_async: bool) -> httpx2.Response:
    """The response that the client is given for a live stream; its body is `source`'s, decoded and taped."""
    headers = [
        (name, value)
        for name, value in source.headers.multi_items()
        if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
    ]
    response = cast(
        "httpx2.Response",
        library.Response(
            source.status_code,
            headers=headers,
            stream=_body_class(library, is_async=is_async)(source, tape),
            request=source.request,
            extensions=source.extensions,
            history=source.history,
            default_encoding=source.default_encoding,
        ),
    )
    tape.response = response
    return response


@lru_cache(maxsize=4)
def _body_class(library: ModuleType, *, is_async: bool) -> type[LiveBody | LiveAsyncBody]:
    """The live body as a stream of `library`, which accepts only its own classes."""
    if is_async:
        return type("LiveAsyncBody", (LiveAsyncBody, library.AsyncByteStream), {})
    return type("LiveBody", (LiveBody, library.SyncByteStream), {})


def _note_elapsed(source: httpx2.Response, tape: Tape) -> None:
    if tape.response is not None:
        try:
            tape.response.elapsed = source.elapsed
        except RuntimeError:  # a transport of the user's own that does not measure
            tape.response.elapsed = timedelta(0)


def _wait(ticket: Ticket | None) -> None:
    if ticket is not None:
        ticket.wait()


async def _wait_async(ticket: Ticket | None) -> None:
    if ticket is not None:
        await ticket
