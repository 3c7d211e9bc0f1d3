"""What is replaced within the SDKs themselves: their retries of model calls, and a way around the hook.

Retries are the policy's on the chain. Without this an SDK would repeat a failed call, and sleep in between; the hook
would give the repetition the failure that is known, so no call would be paid twice, but seconds would be lost.
google-genai sends over aiohttp wherever that is installed; its model calls take its httpx client instead.

All of these are private parts of the SDKs. What is missing in a release is left out with a warning, and
`tests/contract/test_sdk_wrapped.py` fails.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from surefoot.errors import ConfigError
from surefoot.models.chain.operations import is_model_path
from surefoot.models.sdk.chained import is_sending, scope_for, sending
from surefoot.models.sdk.patches import Patch, Replace

Method = Callable[..., Any]
AsyncMethod = Callable[..., Awaitable[Any]]


def patches(is_on: Callable[[], bool]) -> tuple[Patch, ...]:
    """The patches of all SDKs; they do nothing where `is_on` says so."""
    stainless = (
        ("SyncAPIClient", "request", _request(is_on)),
        ("AsyncAPIClient", "request", _async_request(is_on)),
    )
    google = (
        ("BaseApiClient", "_request", _google_request(is_on)),
        ("BaseApiClient", "_async_request", _google_async_request(is_on)),
        ("BaseApiClient", "_use_aiohttp", _google_use_aiohttp),
    )
    return (
        *(Patch("openai._base_client", *patch) for patch in stainless),
        *(Patch("anthropic._base_client", *patch) for patch in stainless),
        *(Patch("google.genai._api_client", *patch) for patch in google),
    )


def _request(is_on: Callable[[], bool]) -> Replace:
    def replace(original: Method, _: ModuleType) -> Method:
        @functools.wraps(original)
        def request(self: Any, cast_to: Any, options: Any, **settings: Any) -> Any:
            if is_on():
                options = _without_retries(self, options)
            return original(self, cast_to, options, **settings)

        return request

    return replace


def _async_request(is_on: Callable[[], bool]) -> Replace:
    def replace(original: AsyncMethod, _: ModuleType) -> AsyncMethod:
        @functools.wraps(original)
        async def request(self: Any, cast_to: Any, options: Any, **settings: Any) -> Any:
            if is_on():
                options = _without_retries(self, options)
            return await original(self, cast_to, options, **settings)

        return request

    return replace


def _without_retries(client: Any, options: Any) -> Any:
    """The options of a request, without retries if it is a model call on the chain."""
    if not options.get_max_retries(client.max_retries):
        return options
    if scope_for(getattr(client, "_client", None)) is None or not _is_call(options.method, options.url):
        return options
    return options.model_copy(update={"max_retries": 0})


def _google_request(is_on: Callable[[], bool]) -> Replace:
    def replace(original: Method, _: ModuleType) -> Method:
        @functools.wraps(original)
        def _request(self: Any, http_request: Any, http_options: Any = None, stream: bool = False) -> Any:  # noqa: FBT001, FBT002 - as theirs
            if not (is_on() and _takes_part(self, http_request)):
                return original(self, http_request, http_options, stream)
            if self._use_google_auth_sync():
                raise _out_of_reach("requests, as a client certificate is set", "a client without one")
            with sending():
                return self._request_once(http_request, stream)

        return _request

    return replace


def _google_async_request(is_on: Callable[[], bool]) -> Replace:
    def replace(original: AsyncMethod, _: ModuleType) -> AsyncMethod:
        @functools.wraps(original)
        async def _async_request(
            self: Any,
            http_request: Any,
            http_options: Any = None,
            stream: bool = False,  # noqa: FBT001, FBT002 - as theirs
        ) -> Any:
            if not (is_on() and _takes_part(self, http_request)):
                return await original(self, http_request, http_options, stream)
            if self._use_google_auth_async():
                raise _out_of_reach(
                    "google-auth's session, as a client certificate is set", "a client without one"
                )
            if self._http_options.aiohttp_client is not None:
                raise _out_of_reach(
                    "the `aiohttp_client` of its http_options",
                    "`httpx_async_client=surefoot.http_client(is_async=True)` in its place",
                )
            with sending():
                return await self._async_request_once(http_request, stream, implicit_retry=False)

        return _async_request

    return replace


def _google_use_aiohttp(original: Method, _: ModuleType) -> Method:
    @functools.wraps(original)
    def _use_aiohttp(self: Any) -> bool:
        return not is_sending() and bool(original(self))

    return _use_aiohttp


def _takes_part(client: Any, http_request: Any) -> bool:
    return scope_for(client) is not None and _is_call(http_request.method, http_request.url)


def _is_call(method: str, url: object) -> bool:
    return method.upper() == "POST" and is_model_path(urlsplit(str(url)).path)


def _out_of_reach(way: str, instead: str) -> ConfigError:
    return ConfigError(
        f"this google-genai client sends its calls over {way}, where they can be neither recorded nor bounded: "
        f"give {instead}, or make the call outside of the run with a client that is not wrapped"
    )
