"""The doors to the chain outside runs: `wrap` for one client, `autolog` for all, `http_client` for one to be built."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from surefoot.errors import ConfigError
from surefoot.models.sdk.chained import mark, mark_all
from surefoot.models.sdk.hook import LIBRARIES, install

if TYPE_CHECKING:
    import httpx2

C = TypeVar("C")


def wrap(client: C, /) -> C:
    """Put the model calls of a client under Surefoot's policy outside runs too, and return that same client.

    Inside a run every client is, wrapped or not. Outside there is no record; retries and aliases are the policy's. The
    mark is on the HTTP client within, so it holds for `client.with_options(...)` and for other SDK clients that were
    given the same HTTP client.

    `client` is one of the openai, anthropic or google-genai package (a subclass too), or an httpx2 or httpx client.
    Raises `ConfigError` for anything else.
    """
    inner = _sender(client)
    if inner is None:
        raise ConfigError(
            f"{type(client).__module__}.{type(client).__qualname__} cannot be wrapped: give `wrap` a client of the "
            "openai, anthropic or google-genai package, or the httpx2 or httpx client that sends its calls"
        )
    if any(".bedrock." in f".{cls.__module__}." for cls in type(client).__mro__):
        raise ConfigError(
            f"{type(client).__qualname__} cannot be wrapped: calls in Bedrock's format are not recognised; use "
            "Anthropic's own endpoint or Vertex AI, or a gateway that speaks Anthropic's format"
        )
    install()
    mark(inner)
    return client


def autolog(*, disable: bool = False) -> None:
    """Put the model calls of all SDK clients under Surefoot's policy, outside runs too; `disable=True` undoes it.

    Clients that were made before are included. Inside a run nothing changes, as all clients are on the chain there.
    """
    if not disable:
        install()
    mark_all(is_on=not disable)


@overload
def http_client(*, is_async: Literal[False] = False) -> httpx2.Client: ...
@overload
def http_client(*, is_async: Literal[True]) -> httpx2.AsyncClient: ...
def http_client(*, is_async: bool = False) -> httpx2.Client | httpx2.AsyncClient:
    """A new HTTP client whose model calls are under Surefoot's policy, outside runs too.

    For an SDK client that is built by hand: `OpenAI(http_client=surefoot.http_client())`. It follows redirects and
    bounds its connections as the SDKs' own clients do. One with other settings is `wrap(httpx2.Client(...))`.
    Raises `ConfigError` where httpx2 is not installed.
    """
    try:
        import httpx2
    except ImportError as error:
        raise ConfigError(
            "httpx2 is not installed, on which the SDKs send: pip install 'surefoot[openai]' (or [anthropic], [google])"
        ) from error
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
    if is_async:
        return wrap(httpx2.AsyncClient(limits=limits, follow_redirects=True))
    return wrap(httpx2.Client(limits=limits, follow_redirects=True))


def _sender(client: object) -> object | None:
    """What within a client is asked whether its calls are on the chain; None if it is no client."""
    google = sys.modules.get("google.genai._api_client")
    classes: list[type] = []
    for name in LIBRARIES:
        library = sys.modules.get(name)
        if library is not None:
            classes += [library.Client, library.AsyncClient]
    if isinstance(client, tuple(classes)):
        return client
    parts: dict[str, object] = getattr(client, "__dict__", {})
    held, sender = parts.get("_client"), parts.get("_api_client")
    if isinstance(held, tuple(classes)):
        return held
    return sender if google is not None and isinstance(sender, google.BaseApiClient) else None
