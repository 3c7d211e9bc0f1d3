"""Requests and responses of httpx and httpx2, which SDK exceptions carry; credentials are never recorded."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from surefoot.errors import NotRestored
from surefoot.ledger.encoding.walk import Reader, Refused, Return, Walk, Writer, tag

_BYTES = "latin-1"  # the encoding in which every byte of a header is a character
_LIBRARIES = ("httpx2", "httpx")

# The body is recorded decoded and whole, so these would be untrue of it.
_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})
_SECRET = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "api-key",
        "apikey",
        "x-amz-security-token",
    }
)
_SECRET_ENDINGS = ("-api-key", "-token", "-secret", "-authorization")
_SECRET_PARAMETERS = frozenset(
    {"key", "api_key", "api-key", "apikey", "token", "access_token", "sig", "signature"}
)


def _is_secret(header: str) -> bool:
    name = header.lower()
    return name in _SECRET or name.endswith(_SECRET_ENDINGS)


def public_url(url: str) -> str:
    """The URL without user, password and the query parameters that authenticate."""
    parts = urlsplit(url)
    query = parts.query
    if query:
        pairs = parse_qsl(query, keep_blank_values=True)
        kept = [(name, item) for name, item in pairs if name.lower() not in _SECRET_PARAMETERS]
        query = query if len(kept) == len(pairs) else urlencode(kept)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, parts.fragment))


def _library(value: object) -> str:
    return next(name for name in _LIBRARIES if _is_of(type(value), name, "Response", "Request"))


def _is_of(kind: type, library: str, *names: str) -> bool:
    module = sys.modules.get(library)
    return module is not None and any(kind is getattr(module, name, None) for name in names)


def _write_request(value: Any, _depth: int, _walk: Walk) -> object:
    return tag("request", _library(value), str(value.method), public_url(str(value.url)))


def _texts(raw: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode(_BYTES), item.decode(_BYTES)) for name, item in raw]


def _write_response(value: Any, depth: int, walk: Walk) -> object:
    try:
        content: bytes = value.content
    except RuntimeError:  # of the library's own: not read, or closed before it was
        raise Refused(
            value, "its body has not been read. Call .read() (or await .aread()), or return .json() or .text"
        ) from None
    try:
        request: Any = value.request
    except RuntimeError:
        request = None
    try:
        body: object = content.decode()
    except UnicodeDecodeError:
        body = walk.lower(content, depth + 2)
    headers = [
        [name, item]
        for name, item in _texts(value.headers.raw)
        if name.lower() not in _WIRE and not _is_secret(name)
    ]
    return tag(
        "response",
        _library(value),
        value.status_code,
        headers,
        body,
        None if request is None else [str(request.method), public_url(str(request.url))],
    )


def _module(name: str) -> Any:
    module = sys.modules.get(name) if name in _LIBRARIES else None
    if module is None:
        raise NotRestored(
            f"cannot restore a recorded HTTP response: {name} is not imported here. "
            "Import it, or the SDK that uses it, in the flow's own module"
        )
    return module


def _read_request(parts: list[Any], _back: Return) -> object:
    library, method, url = parts
    return _module(library).Request(method, url)


def _read_response(parts: list[Any], back: Return) -> object:
    library, status, headers, body, request = parts
    module = _module(library)
    body = back.restore(body)
    return module.Response(
        status,
        headers=[(name.encode(_BYTES), item.encode(_BYTES)) for name, item in headers],
        content=body.encode() if isinstance(body, str) else body,
        request=None if request is None else module.Request(*request),
    )


def family(kind: type) -> Writer | None:
    """The writer of a request or response class."""
    for library in _LIBRARIES:
        if _is_of(kind, library, "Response"):
            return _write_response
        if _is_of(kind, library, "Request"):
            return _write_request
    return None


READERS: dict[str, Reader] = {"request": _read_request, "response": _read_response}
