"""The body of a request: bounded in size and time, and JSON that is bounded too."""

from __future__ import annotations

import asyncio

import anyio.to_thread
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from surefoot.config.entry import EntrySettings
from surefoot.server.entry.refusal import Refusal
from surefoot.texts import jsontext
from surefoot.values import Json

_BODY = "surefoot.body"
_LARGE = 65_536
"""Bytes from which on a body is read as JSON in a thread: others wait for the loop meanwhile."""


class Gone(Exception):
    """Whoever sent the request has hung up."""


async def take(scope: Scope, receive: Receive, settings: EntrySettings) -> Receive:
    """Read the body of a request, and what it says as JSON; how code behind this receives the same body.

    Raises `Refusal`: 413, 408 and 400; and `Gone`.
    """
    body = await whole(receive, settings)
    if len(body) > _LARGE:
        scope[_BODY] = await anyio.to_thread.run_sync(_json, body)
    elif body.strip():
        scope[_BODY] = _json(body)
    return again(body, receive)


def body_of(request: Request) -> Json:
    """What the body of a request says, once it has been let in; None where it has none."""
    found: Json = request.scope.get(_BODY)
    return found


def has_body(request: Request) -> bool:
    """Whether it has one: `null` is one too."""
    return _BODY in request.scope


async def whole(receive: Receive, settings: EntrySettings, *, most: int | None = None) -> bytes:
    """All bytes of a body, of which there are at most those of the settings, or `most`.

    Raises `Refusal` 413 and 408, and `Gone`.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(settings.read_seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                body += message.get("body", b"")
                if len(body) > min(settings.max_body, most or settings.max_body):
                    raise too_large(settings, most=most)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refusal(
            408,
            "too-slow",
            f"the body was not here within {settings.read_seconds:g} seconds ([serve] read_seconds)",
            headers={"connection": "close"},
        ) from None


def too_large(settings: EntrySettings, *, most: int | None = None) -> Refusal:
    """That a body has too many bytes: more than those of the settings, or than `most`."""
    is_own = most is not None and most < settings.max_body
    return Refusal(
        413,
        "too-large",
        f"This form has at most {most:,} bytes."
        if is_own
        else f"a body has at most {settings.max_body:,} bytes here ([serve] max_body)",
        headers={"connection": "close"},
    )


def _json(body: bytes) -> Json:
    try:
        return jsontext.read(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Refusal(400, "no-json", "the body is no UTF-8") from None
    except jsontext.NoJson as error:
        raise Refusal(400, "no-json", f"the body is no JSON that is taken: {error}") from None


def again(body: bytes, receive: Receive) -> Receive:
    """How code behind this receives a body that was read."""
    given = False

    async def received() -> Message:
        nonlocal given
        if given:
            # What comes now is that somebody hangs up, which a stream of events waits for.
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received
