"""The hook under SDK clients: on the chain their model calls are recorded and replayed; elsewhere nothing changes.

The official SDKs send every request through `httpx2.Client.send` or `AsyncClient.send` (or those of the older
`httpx`). These methods are patched once, on the classes, so clients that were made earlier are seen too.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from surefoot.effects import drive, drive_async
from surefoot.errors import SurefootError
from surefoot.models.chain.endpoints import policy
from surefoot.models.chain.operations import Request, recognise
from surefoot.models.fakes import or_fake, or_fake_async
from surefoot.models.sdk import sdks
from surefoot.models.sdk.addressed import target_of
from surefoot.models.sdk.chained import mark_all, scope_for
from surefoot.models.sdk.exchange import exchange
from surefoot.models.sdk.patches import Patch, Patches
from surefoot.models.sdk.replays import Call
from surefoot.models.sdk.sending import Send, by, by_async

if TYPE_CHECKING:
    import httpx2

LIBRARIES = ("httpx2", "httpx")

_SyncSend = Callable[..., "httpx2.Response"]
_AsyncSend = Callable[..., Awaitable["httpx2.Response"]]

_mixes: dict[tuple[type[SurefootError], type[Exception]], type[SurefootError]] = {}
_is_inside: ContextVar[bool] = ContextVar("surefoot_inside_send", default=False)


def install() -> None:
    """Put the hook under all clients, those of libraries that are imported later included. Idempotent."""
    _patches.put_on()


def uninstall() -> None:
    """Take the hook away, and what `autolog` asked of it.

    Where another library has patched the same method since, ours stays, but does nothing.
    """
    mark_all(is_on=False)
    _patches.take_off()


def is_installed() -> bool:
    """Whether the hook is at work."""
    return _patches.is_on


def _hooked(original: _SyncSend, library: ModuleType) -> _SyncSend:
    onward = or_fake(original, library)

    @functools.wraps(original)
    def send(self: httpx2.Client, request: httpx2.Request, **options: Any) -> httpx2.Response:
        call = _intercepted(self, request, options, library, is_async=False)
        if call is None:
            return onward(self, request, **options)
        options["stream"] = True

        def deliver(effect: Send) -> httpx2.Response:
            with _inside():
                if effect.is_routed:
                    own = _own(library.Client, library, effect.request)
                    return cast("httpx2.Response", own.send(effect.request, stream=True))
                return onward(self, effect.request, **options)

        try:
            return drive(exchange(call, policy()), by(deliver))
        except SurefootError as error:
            through = _for_sdk(error, request)
            if through is error:
                raise
            raise through from error

    return send


def _hooked_async(original: _AsyncSend, library: ModuleType) -> _AsyncSend:
    onward = or_fake_async(original, library)

    @functools.wraps(original)
    async def send(self: httpx2.AsyncClient, request: httpx2.Request, **options: Any) -> httpx2.Response:
        call = _intercepted(self, request, options, library, is_async=True)
        if call is None:
            return await onward(self, request, **options)
        options["stream"] = True

        async def deliver(effect: Send) -> httpx2.Response:
            with _inside():
                if effect.is_routed:
                    own = _own(library.AsyncClient, library, effect.request)
                    return cast("httpx2.Response", await own.send(effect.request, stream=True))
                return await onward(self, effect.request, **options)

        try:
            return await drive_async(exchange(call, policy()), by_async(deliver))
        except SurefootError as error:
            through = _for_sdk(error, request)
            if through is error:
                raise
            raise through from error

    return send


def _intercepted(
    client: object, request: httpx2.Request, options: dict[str, Any], library: ModuleType, *, is_async: bool
) -> Call | None:
    """The call that a request makes on the chain, or None if it is none of ours."""
    scope = scope_for(client) if is_installed() else None
    if scope is None or _is_inside.get():
        return None
    asked = _recognised(request, library)
    if asked is None:
        # No model is asked, and it leaves all the same.
        scope.require_use("host", request.url.host)
        return None
    return Call(asked, request, library, scope, bool(options.get("stream", False)), is_async)


def _recognised(request: httpx2.Request, library: ModuleType) -> Request | None:
    try:
        content = request.content
    except library.RequestNotRead:  # a streamed upload; no model call has one
        return None
    asked = recognise(request.method, request.url.host, request.url.path, content)
    target = target_of(request)
    return asked if asked is None or target is None else replace(asked, provider=target.provider)


@contextmanager
def _inside() -> Generator[None]:
    """What a `send` does below (redirects, a transport that is itself a client) is a part of the same call."""
    token = _is_inside.set(True)
    try:
        yield
    finally:
        _is_inside.reset(token)


def _own(client_class: Any, library: ModuleType, request: httpx2.Request) -> Any:
    """A client of ours for one routed request. It keeps no connection alive, so nothing is left to close."""
    is_encrypted = request.url.scheme == "https"  # else the certificates need not be loaded (17 ms)
    limits = library.Limits(max_keepalive_connections=0)
    return client_class(trust_env=False, verify=is_encrypted, limits=limits, timeout=None)


def _for_sdk(error: SurefootError, request: httpx2.Request) -> SurefootError:
    """An error of ours in a form that the SDK lets through: anthropic wraps and retries those of others."""
    anthropic = sys.modules.get("anthropic")
    if anthropic is None or "anthropic-version" not in request.headers:
        return error
    theirs: type[Exception] = anthropic.AnthropicError
    if isinstance(error, theirs):
        return error
    mixed = _mixed(type(error), theirs)
    through = mixed.__new__(mixed, *error.args)  # without `__init__`, whose arguments are not known here
    through.__dict__.update(error.__dict__)
    return through


def _mixed(ours: type[SurefootError], theirs: type[Exception]) -> type[SurefootError]:
    known = _mixes.get((ours, theirs))
    if known is None:
        namespace = {"__module__": ours.__module__, "__doc__": ours.__doc__}
        known = _mixes[ours, theirs] = type(ours.__name__, (ours, theirs), namespace)
    return known


_patches = Patches(
    [
        *(Patch(library, "Client", "send", _hooked) for library in LIBRARIES),
        *(Patch(library, "AsyncClient", "send", _hooked_async) for library in LIBRARIES),
        *sdks.patches(is_installed),
    ]
)
