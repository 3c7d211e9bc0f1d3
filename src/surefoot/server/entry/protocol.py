"""HTTP/1.1 on a connection whose other end may be hostile: headers that come too slowly or are too large."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress
from http import HTTPStatus

import h11
import orjson
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from surefoot.config.entry import EntrySettings
from surefoot.server.entry.refusal import KIND, MEDIA_TYPE
from surefoot.values import new_id

_TOLD = 64
"""So many connections above the limit are told that there are too many; those beyond are closed."""
_BARE_END = re.compile(rb"(?<!\r)\n")


class Guarded(H11Protocol):
    """uvicorn's protocol, which gives headers so many seconds and answers 408 and 431 where they are at fault.

    It counts from the first byte of a request, and for a new connection from its beginning: whoever sends one byte a
    second would else hold a connection for as long as he likes. As long it waits for the rest of a body that nobody
    reads any more, as its request is answered; and whoever takes nothing of an answer for `write_seconds` is cut off,
    as what he leaves lies in memory.
    """

    read_seconds = 20.0
    write_seconds = 60.0
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if (limit := self.limit_concurrency) is not None:
            if len(self.connections) > limit + _TOLD:
                # Each costs a file, and without files nothing can be recorded any more.
                transport.abort()
                return
            if len(self.connections) < limit:
                # It has a place, and keeps it, whoever comes after it.
                self.limit_concurrency = None
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        if self._late is None and self._is_between():
            self._await_headers()
        super().data_received(data)

    def handle_events(self) -> None:
        if self._is_between() and _has_bare_end(self.conn.trailing_data[0]):
            self._answer(400, "no-http", "lines of headers end with a carriage return and a line feed")
            return
        super().handle_events()
        if self._is_between():
            self._unread = _without(self._unread)
            if self._late is None and self.timeout_keep_alive_task is None:
                self._await_headers()
        else:
            self._late = _without(self._late)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_taking()
        if self.conn.their_state is h11.SEND_BODY and self._unread is None:
            self._unread = self.loop.call_later(self.read_seconds, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._late, self._unread = _without(self._late), _without(self._unread)
        self._untaken = _without(self._untaken)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        error = sys.exception()
        if getattr(error, "error_status_hint", 400) == 431:
            self._answer(431, "headers-too-large", "the headers of a request are too large")
        else:
            self._answer(400, "no-http", msg)

    def _is_between(self) -> bool:
        """Whether no request is under way: the next one's headers are not here yet."""
        return self.conn.their_state is h11.IDLE

    def _await_headers(self) -> None:
        self._late = self.loop.call_later(self.read_seconds, self._too_late)

    def _await_taking(self) -> None:
        """Look after a while whether something was taken of what waits to be, until nothing waits."""
        waiting = _untaken(self.transport)
        if waiting and self._untaken is None:
            self._untaken = self.loop.call_later(self.write_seconds, self._look_at_taking, waiting)

    def _look_at_taking(self, waiting: int) -> None:
        self._untaken = None
        if _untaken(self.transport) >= waiting:
            self.transport.abort()
        else:
            self._await_taking()

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing() and self._is_between():
            self._answer(408, "too-slow", f"the headers were not here within {self.read_seconds:g} seconds")

    def _answer(self, status: int, kind: str, detail: str) -> None:
        if self.conn.our_state is not h11.IDLE:
            # The answer to the request before is not through: another one would be taken for its end.
            self.transport.close()
            return
        request_id = new_id()
        said = {
            "type": f"{KIND}{kind}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "request_id": request_id,
        }
        body = orjson.dumps(said)
        headers = [
            ("content-type", MEDIA_TYPE),
            ("content-length", str(len(body))),
            ("connection", "close"),
            ("x-request-id", request_id),
        ]
        response = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def protocol(settings: EntrySettings) -> type[asyncio.Protocol]:
    """What uvicorn is to speak on connections (`http=` of its settings)."""
    seconds = {"read_seconds": settings.read_seconds, "write_seconds": settings.write_seconds}
    return type("Guarded", (Guarded,), seconds)


def _has_bare_end(data: bytes) -> bool:
    """Whether a line of headers ends with a line feed alone: a proxy in front may see one long line there."""
    return _BARE_END.search(data.partition(b"\r\n\r\n")[0]) is not None


def _untaken(transport: asyncio.Transport) -> int:
    """How many bytes of answers the other end has not taken, those in the system's buffer too; 0 where all is there."""
    waiting = transport.get_write_buffer_size()
    if waiting and sys.platform != "win32":
        import fcntl
        import termios

        with suppress(OSError):
            # It may hold megabytes, and takes none before a good part of them has gone.
            connection = transport.get_extra_info("socket")
            waiting += int.from_bytes(
                fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder
            )
    return waiting


def _without(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """No timer, in the place of one that rings no more."""
    if timer is not None:
        timer.cancel()
    return None
