"""What a request has to look like before anything of it is read."""

from __future__ import annotations

from surefoot.config.entry import EntrySettings
from surefoot.server.entry.body import too_large
from surefoot.server.entry.hosts import Hosts
from surefoot.server.entry.refusal import Refusal

READING = frozenset(("GET", "HEAD", "OPTIONS"))
METHODS = READING | {"POST", "PUT", "PATCH", "DELETE"}
_ONCE = frozenset(
    (b"host", b"authorization", b"content-length", b"content-type", b"content-encoding", b"x-api-key")
)
_CLOSE = {"connection": "close"}

RawHeaders = list[tuple[bytes, bytes]]


def refuse_headers(headers: RawHeaders, settings: EntrySettings) -> None:
    """Raise `Refusal` for headers that are too many, too large or that contradict each other."""
    if len(headers) > settings.max_headers:
        raise Refusal(
            431,
            "too-many-headers",
            f"a request has at most {settings.max_headers} headers here ([serve] max_headers)",
            headers=_CLOSE,
        )
    size = sum(len(name) + len(value) for name, value in headers)
    if size > settings.max_header_bytes:
        raise Refusal(
            431,
            "headers-too-large",
            f"headers have at most {settings.max_header_bytes:,} bytes here ([serve] max_header_bytes)",
            headers=_CLOSE,
        )
    names = [name for name, _ in headers]
    for name in _ONCE:
        if names.count(name) > 1:
            raise Refusal(400, "header-twice", f"the header {name.decode()} stands twice", headers=_CLOSE)
    if b"content-length" in names and b"transfer-encoding" in names:
        # Two servers on the way may each believe another of them, and see another request behind this one.
        raise Refusal(
            400,
            "ambiguous-length",
            "a request has a content-length or a transfer-encoding, not both",
            headers=_CLOSE,
        )


def refuse_host(host: str, hosts: Hosts) -> None:
    """Raise `Refusal` 421 for a name that the server does not go by."""
    if host not in hosts:
        raise Refusal(
            421,
            "unknown-host",
            f"this server does not go by the name {host[:100]!r}: name it in [serve] hosts",
        )


def refuse_path(path: str) -> None:
    """Raise `Refusal` 404 for a path with characters that no name has."""
    if any(character < " " or character in "\x7f\\" for character in path) or "/../" in f"{path}/":
        raise Refusal(404, "not-found", "there is no such path")


def refuse_body(method: str, headers: dict[bytes, bytes], settings: EntrySettings) -> None:
    """Raise `Refusal` 413 and 415 by what the headers say of a body.

    A form on another site can post in the name of whoever looks at it, as long as its type is one that forms have.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > settings.max_body:
        raise too_large(settings)
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        # What is a kilobyte on the line may be a gigabyte here.
        raise Refusal(415, "encoded-body", "send the body as it is, without content-encoding", headers=_CLOSE)
    if method in READING:
        return
    kind, _, options = headers.get(b"content-type", b"").lower().partition(b";")
    if kind.strip() == b"application/json":
        charset = options.strip().removeprefix(b"charset=").strip(b'"')
        if charset not in (b"", b"utf-8"):
            raise Refusal(415, "charset", "JSON is UTF-8: send it with no charset", headers=_CLOSE)
        return
    has_body = length not in (b"", b"0") or b"transfer-encoding" in headers
    is_of_program = b"authorization" in headers or method in ("PUT", "PATCH", "DELETE")
    if not kind and not has_body and is_of_program:
        return
    raise Refusal(415, "no-json", "send JSON, with `content-type: application/json`", headers=_CLOSE)
