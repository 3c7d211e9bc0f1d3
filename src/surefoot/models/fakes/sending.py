"""A fake's answer in place of a request that leaves: for clients of httpx, and for our own."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from surefoot.errors import SurefootError, UsageError
from surefoot.models.chain.operations import recognise
from surefoot.models.chain.record import Answer, replay_body
from surefoot.models.fakes.requests import ModelRequest
from surefoot.models.fakes.standing import Fake, Given, NoAnswer, current
from surefoot.models.generating.transport import Oversized, Reply

if TYPE_CHECKING:
    import httpx2

FREE = "surefoot_is_free"
"""The extension of a response whose tokens cost nothing."""

_Send = Callable[..., "httpx2.Response"]
_AsyncSend = Callable[..., Awaitable["httpx2.Response"]]


def or_fake(original: _Send, library: ModuleType) -> _Send:
    """The `send` of a client class, that asks the fake for model calls where one stands in."""

    def send(self: httpx2.Client, request: httpx2.Request, **options: Any) -> httpx2.Response:
        fake = current()
        asked = None if fake is None else _asked(request, library)
        if fake is None or asked is None:
            return original(self, request, **options)
        try:
            given = fake.answer(asked)
        except Exception as error:  # noqa: BLE001 - whatever a script says
            raise _as_theirs(error, library, request, is_begun=False) from None
        if inspect.isawaitable(given):
            raise _only_async(given)
        if given is None:
            return original(self, request, **options)
        response = _response(given, request, library)
        if not options.get("stream", False):
            response.read()
        return response

    return send


def or_fake_async(original: _AsyncSend, library: ModuleType) -> _AsyncSend:
    """`or_fake` for async clients."""

    async def send(self: httpx2.AsyncClient, request: httpx2.Request, **options: Any) -> httpx2.Response:
        fake = current()
        asked = None if fake is None else _asked(request, library)
        if fake is None or asked is None:
            return await original(self, request, **options)
        try:
            found = fake.answer(asked)
            given = await found if inspect.isawaitable(found) else found
        except Exception as error:  # noqa: BLE001 - whatever a script says
            raise _as_theirs(error, library, request, is_begun=False) from None
        if given is None:
            return await original(self, request, **options)
        response = _response(given, request, library)
        if not options.get("stream", False):
            await response.aread()
        return response

    return send


def answered(fake: Fake, asked: ModelRequest) -> Callable[[], Coroutine[Any, Any, Reply | None]]:
    """For our own requests: the reply of the fake, or None where the request is to leave."""

    async def reply() -> Reply | None:
        try:
            found = fake.answer(asked)
            given = await found if inspect.isawaitable(found) else found
        except NoAnswer as error:
            import aiohttp

            # Of no kind that is tried again.
            raise (
                TimeoutError(*error.args) if error.is_timeout else aiohttp.ClientError(*error.args)
            ) from None
        return None if given is None else GivenReply(given)

    return reply


class GivenReply(Reply):
    """A reply that a fake gave."""

    __slots__ = ("_answer", "_is_heard")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._is_heard = False
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.headers.items()}
        self.body = b""

    @property
    def is_free(self) -> bool:
        return self._answer.is_free

    async def read(self, most: int | None = None) -> None:
        """Read the whole body. Raises what it ends in, and `Oversized`."""
        self._end()
        if most is not None and len(self._answer.body) > most:
            raise Oversized
        self.body = self._answer.body

    async def read_complaint(self) -> None:
        """Read the whole body, which is here already. Raises what it ends in."""
        await self.read()

    async def chunk(self) -> bytes:
        """The body, and then its end. Raises what it ends in."""
        if not self._is_heard and self._answer.body:
            self._is_heard = True
            return self._answer.body
        self._end()
        return b""

    def _end(self) -> None:
        error = self._answer.error
        if error is None:
            return
        if isinstance(error, SurefootError):
            raise error
        import aiohttp

        raise aiohttp.ClientPayloadError(str(error)) from error

    def close(self) -> None:
        """Nothing is held."""


def is_free(response: httpx2.Response) -> bool:
    """Whether a fake gave this response, and its tokens cost nothing."""
    return bool(response.extensions.get(FREE))


def _asked(request: httpx2.Request, library: ModuleType) -> ModelRequest | None:
    try:
        content = request.content
    except library.RequestNotRead:  # a streamed upload; no model call has one
        return None
    known = recognise(request.method, request.url.host, request.url.path, content)
    if known is None:
        return None
    path = cast("dict[str, str]", known.work.inputs)["path"]
    return ModelRequest(known.operation.name, known.model, path, cast("Any", known.body))


def _response(answer: Answer, request: httpx2.Request, library: ModuleType) -> httpx2.Response:
    end = None if answer.error is None else _as_theirs(answer.error, library, request, is_begun=True)
    response = library.Response(
        answer.status,
        headers=dict(answer.headers),
        stream=replay_body(library)(answer.body, end),
        request=request,
        extensions={FREE: answer.is_free},
    )
    response.elapsed = timedelta(0)
    return cast("httpx2.Response", response)


def _as_theirs(
    error: BaseException, library: ModuleType, request: httpx2.Request, *, is_begun: bool
) -> BaseException:
    """An exception as the library raises it: its own class of that name, or the one for what Python calls so."""
    kind: Any = type(error)
    names = [cls.__name__ for cls in kind.__mro__]
    theirs: Any = None
    if isinstance(error, NoAnswer):
        # The latter is of no kind that is tried again either.
        theirs = library.ReadTimeout if error.is_timeout else library.TransportError
    elif kind.__module__.partition(".")[0] in ("httpx", "httpx2"):
        theirs = getattr(library, kind.__name__, None)
    elif isinstance(error, TimeoutError) or "ServerTimeoutError" in names:
        theirs = library.ReadTimeout
    elif isinstance(error, ConnectionError) or "ClientError" in names:
        theirs = library.RemoteProtocolError if is_begun else library.ConnectError
    if theirs is None or not issubclass(theirs, library.RequestError):
        return error
    return cast("BaseException", theirs(str(error), request=request))


def _only_async(given: Awaitable[Given]) -> UsageError:
    if inspect.iscoroutine(given):
        given.close()
    return UsageError(
        "blocking code asks a script whose function is async: give `scripted` a function that is not, or use an "
        "async client"
    )
