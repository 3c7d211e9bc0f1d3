"""The hook under SDK clients: inside a run, their model calls are recorded and replayed; outside nothing changes.

The official SDKs send every request through `httpx2.Client.send` or `AsyncClient.send` (or those of the older
`httpx`). These methods are patched once, on the classes, so clients that were made earlier are seen too. The
libraries are never imported from here: one that comes later is patched as its import ends.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.util
import sys
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from surefoot.errors import SurefootError
from surefoot.locks import ForkSafeLock
from surefoot.models.effects import Send, drive, drive_async
from surefoot.models.endpoints import policy
from surefoot.models.exchange import Call, exchange
from surefoot.models.operations import recognise
from surefoot.scope import current

if TYPE_CHECKING:
    import httpx2

LIBRARIES = ("httpx2", "httpx")

_SyncSend = Callable[..., "httpx2.Response"]
_AsyncSend = Callable[..., Awaitable["httpx2.Response"]]

_lock = ForkSafeLock()
_is_active = False
_patched: dict[type, tuple[object, object]] = {}  # class -> its own `send`, ours
_mixes: dict[tuple[type[SurefootError], type[Exception]], type[SurefootError]] = {}
_is_inside: ContextVar[bool] = ContextVar("surefoot_inside_send", default=False)


def install() -> None:
    """Put the hook under all clients, those of libraries that are imported later included. Idempotent."""
    global _is_active
    with _lock:
        _is_active = True
        if not any(isinstance(finder, _Watch) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Watch())
    for name in LIBRARIES:
        if name in sys.modules:
            # Waits for an import that another thread has begun; the module itself is there already.
            _patch(importlib.import_module(name))


def uninstall() -> None:
    """Take the hook away. Where another library has patched the same method since, it stays, but does nothing."""
    global _is_active
    with _lock:
        _is_active = False
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Watch)]
        for client_class, (original, ours) in list(_patched.items()):
            if client_class.__dict__.get("send") is ours:
                setattr(client_class, "send", original)  # noqa: B010 - `type` has no such attribute
                del _patched[client_class]


def is_installed() -> bool:
    """Whether the hook is at work."""
    return _is_active


def _patch(library: ModuleType) -> None:
    with _lock:
        for name, wrap in (("Client", _hooked), ("AsyncClient", _hooked_async)):
            client_class = getattr(library, name, None)
            if isinstance(client_class, type) and client_class not in _patched:
                original = client_class.__dict__["send"]
                ours = wrap(original, library)
                _patched[client_class] = original, ours
                setattr(client_class, "send", ours)  # noqa: B010 - `type` has no such attribute


def _hooked(original: _SyncSend, library: ModuleType) -> _SyncSend:
    @functools.wraps(original)
    def send(self: httpx2.Client, request: httpx2.Request, **options: Any) -> httpx2.Response:
        call = _intercepted(request, options, library, is_async=False)
        if call is None:
            return original(self, request, **options)
        options["stream"] = True

        def deliver(effect: Send) -> httpx2.Response:
            with _inside():
                if effect.is_routed:
                    own = _own(library.Client, library, effect.request)
                    return cast("httpx2.Response", own.send(effect.request, stream=True))
                return original(self, effect.request, **options)

        try:
            return drive(exchange(call, policy()), deliver)
        except SurefootError as error:
            through = _for_sdk(error, request)
            if through is error:
                raise
            raise through from error

    return send


def _hooked_async(original: _AsyncSend, library: ModuleType) -> _AsyncSend:
    @functools.wraps(original)
    async def send(self: httpx2.AsyncClient, request: httpx2.Request, **options: Any) -> httpx2.Response:
        call = _intercepted(request, options, library, is_async=True)
        if call is None:
            return await original(self, request, **options)
        options["stream"] = True

        async def deliver(effect: Send) -> httpx2.Response:
            with _inside():
                if effect.is_routed:
                    own = _own(library.AsyncClient, library, effect.request)
                    return cast("httpx2.Response", await own.send(effect.request, stream=True))
                return await original(self, effect.request, **options)

        try:
            return await drive_async(exchange(call, policy()), deliver)
        except SurefootError as error:
            through = _for_sdk(error, request)
            if through is error:
                raise
            raise through from error

    return send


def _intercepted(
    request: httpx2.Request, options: dict[str, Any], library: ModuleType, *, is_async: bool
) -> Call | None:
    """The call that a request makes within the open run, or None if it is none of ours."""
    scope = current() if _is_active else None
    if scope is None or _is_inside.get():
        return None
    try:
        content = request.content
    except library.RequestNotRead:  # a streamed upload; no model call has one
        return None
    asked = recognise(request.method, request.url.host, request.url.path, content)
    if asked is None:
        return None
    return Call(asked, request, library, scope, bool(options.get("stream", False)), is_async)


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


class _Watch(importlib.abc.MetaPathFinder):
    """Patches a library of `LIBRARIES` as its import ends."""

    def __init__(self) -> None:
        self._searching = threading.local()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
        /,
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that patches."""
        if fullname not in LIBRARIES or getattr(self._searching, "is_on", False):
            return None
        self._searching.is_on = True  # the search below comes by here again
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.is_on = False
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader)
        return spec


class _PatchingLoader(importlib.abc.Loader):
    """A loader that patches the module it has loaded, and then leaves no trace of itself on it."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        if _is_active:
            _patch(module)
