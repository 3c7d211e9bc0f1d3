"""One request to the gateway: a run that asks the model, and the response that it hands its answer to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from surefoot import flows, scope
from surefoot.access import Principal
from surefoot.app import App
from surefoot.errors import RunEnded, SurefootError
from surefoot.models import Spoken, is_over
from surefoot.server.gateway import flow
from surefoot.server.gateway.dialect import Dialect
from surefoot.server.gateway.recorded import recorded_answer
from surefoot.server.gateway.refusals import refused
from surefoot.server.gateway.relay import Head, Relay, relaying
from surefoot.values import Json, RunTags

_log = scope.logger("surefoot.gateway")

_CANCEL_SECONDS = 5.0
"""How long a run may take to end once its client has gone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks, and for whom. `key` is its own `Idempotency-Key`, empty without one."""

    operation: Spoken
    model: str
    body: Mapping[str, Json] = field(repr=False)
    headers: Mapping[str, str]
    principal: Principal
    key: str = ""
    session: str = ""
    trace: Mapping[str, str] = field(default_factory=dict[str, str])
    """The tags that tell of the span that it is asked in."""

    @property
    def tags(self) -> RunTags:
        """Whose run it is."""
        return RunTags(self.principal.organisation, self.principal.who, self.session, self.trace)

    @property
    def run_key(self) -> str | None:
        """The key of the run: nobody takes the answer of somebody else by guessing his."""
        return f"{self.principal.who} {self.key}" if self.key else None


class _Left(Exception):
    """The client is gone."""


class Answering:
    """An ASGI response. The run is over and recorded before its client sees the end of the answer.

    A client that goes ends its run, and the model's answer with it; what came of that is paid and settled. Under a key
    of its own the run goes on, and the client is given the answer when it asks again.
    """

    def __init__(self, app: App, asked: Asked, dialect: Dialect) -> None:
        self._app = app
        self._asked = asked
        self._dialect = dialect
        self._relay = Relay()
        self._seconds = app.config.gateway.client_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        run = asyncio.ensure_future(self._conduct())
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await self._respond(scope, receive, run, gone, send)
        except _Left:
            await self._leave(run)
        except asyncio.CancelledError:
            # The server stops at once.
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._leave(run)), _CANCEL_SECONDS)
            raise
        finally:
            gone.cancel()
            if not run.done():
                run.cancel()
            await asyncio.wait({run})
            # It is asked for, so that nobody complains that it was not.
            if not run.cancelled():
                run.exception()

    async def _conduct(self) -> object:
        asked = self._asked
        inputs = {
            "operation": asked.operation,
            "model": asked.model,
            "body": dict(asked.body),
            "headers": dict(asked.headers),
        }
        # Its run may use what he may, by whatever name a connection is reached.
        with relaying(self._relay), flows.acting(asked.principal):
            return await self._app.run_async(
                flow.gateway,
                inputs,
                tags=asked.tags,
                key=asked.run_key,
                wait=self._app.config.models.deadline if asked.key else 0.0,
            )

    async def _respond(
        self,
        scope: Scope,
        receive: Receive,
        run: asyncio.Future[object],
        gone: asyncio.Future[None],
        send: Send,
    ) -> None:
        head = await self._next(run, gone)
        if isinstance(head, Head) and head.is_stream:
            await self._stream(head, run, gone, send)
            return
        body = b"" if head is None else await self._next(run, gone)
        awaited: set[asyncio.Future[Any]] = {run, gone}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if not run.done():
            raise _Left
        error = run.exception()
        if isinstance(head, Head) and (error is None or head.status // 100 != 2):
            await self._whole(head, body if isinstance(body, bytes) else b"", send)
        elif error is None:
            found = await asyncio.to_thread(recorded_answer, self._app, run.result())
            await self._whole(Head(found.status, found.headers, is_stream=False), found.body, send)
        else:
            response = self._dialect.answer(refused(error), headers=self._named())
            await response(scope, receive, lambda message: self._send(send, message))

    async def _stream(
        self, head: Head, run: asyncio.Future[object], gone: asyncio.Future[None], send: Send
    ) -> None:
        await self._send(send, _start(head, self._named()))
        while (chunk := await self._next(run, gone)) is not None:
            if isinstance(chunk, bytes):
                await self._send(send, {"type": "http.response.body", "body": chunk, "more_body": True})
        end = b""
        if (error := run.exception()) is not None and not self._relay.is_told:
            end = self._dialect.event(refused(error))
        await self._send(send, {"type": "http.response.body", "body": end})

    async def _whole(self, head: Head, body: bytes, send: Send) -> None:
        length = {"content-length": str(len(body))}
        await self._send(send, _start(head, {**self._named(), **length}))
        await self._send(send, {"type": "http.response.body", "body": body})

    async def _next(self, run: asyncio.Future[object], gone: asyncio.Future[None]) -> Head | bytes | None:
        piece = await self._relay.next(run, gone)
        if piece is None and not run.done():
            raise _Left
        return piece

    async def _send(self, send: Send, message: Message) -> None:
        try:
            await asyncio.wait_for(send(message), self._seconds)
        except (OSError, TimeoutError):
            raise _Left from None

    async def _leave(self, run: asyncio.Future[object]) -> None:
        """The client is gone: nobody waits for the answer, unless it is to be given under a key."""
        self._relay.leave()
        if self._asked.key:
            await asyncio.wait({run})
            return
        if is_over(bytes(self._relay.received)):
            # It has all that there is, and hangs up at the last event, as clients do: the run ends by itself.
            await asyncio.wait({run}, timeout=_CANCEL_SECONDS)
        begun = asyncio.ensure_future(self._relay.begun.wait())
        awaited: set[asyncio.Future[Any]] = {run, begun}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if run.done():
            return
        try:
            await self._app.cancel_async(self._relay.run_id, reason="its client has gone")
            self._app.keeper.look()
        except RunEnded:
            pass
        except SurefootError as error:
            _log.warning("run %s of a client that has gone was not cancelled: %s", self._relay.run_id, error)
        await asyncio.wait({run}, timeout=_CANCEL_SECONDS)

    def _named(self) -> dict[str, str]:
        return {"x-surefoot-run": self._relay.run_id} if self._relay.run_id else {}


def _start(head: Head, more: Mapping[str, str]) -> Message:
    told = [(name.encode(), value.encode("latin-1")) for name, value in {**head.headers, **more}.items()]
    return {"type": "http.response.start", "status": head.status, "headers": told}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
