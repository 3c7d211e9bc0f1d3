"""The host that an address leads to, read so that no two readers can differ, and lists of hosts that are allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_SIX = re.compile(r"\[[0-9a-f:.]+\]")
# Browsers drop some of these and read others as a slash; libraries do neither.
_UNCLEAR = re.compile(r"[\x00-\x20\x7f\\]")


class NoHost(ValueError):
    """An address that is none, or that some programs read otherwise than others; the message says why."""


def host_of(address: str) -> str:
    """The host of an address with `http:` or `https:`, in small letters, with the port where it names one.

    Raises `NoHost` for what some reader takes for another host: user names (`https://a@b`), blanks and backslashes,
    percent signs and letters beyond ASCII in the host.
    """
    if found := _UNCLEAR.search(address):
        raise NoHost(f"it has the character {found[0]!r} at offset {found.start()}")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise NoHost(f"it is no address ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise NoHost("it does not begin with https:// or http://")
    if not address[len(parts.scheme) :].startswith("://") or not parts.netloc:
        raise NoHost("it names no host")
    if "@" in parts.netloc:
        raise NoHost("it has a user name before its host")
    host = parts.netloc.lower().rpartition(":")[0] if port is not None else parts.netloc.lower()
    host = host.removesuffix(":").removesuffix(".")
    if not (_NAME.fullmatch(host) or _SIX.fullmatch(host)):
        raise NoHost("its host is none in plain letters, digits, dots and hyphens")
    is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return host if is_usual else f"{host}:{port}"


def is_among(host: str, allowed: Iterable[str]) -> bool:
    """Whether a host is one of those: `example.org` is itself alone, `*.example.org` all that are below it."""
    for rule in allowed:
        named = rule.lower().removesuffix(".")
        if host == named or (named.startswith("*.") and host.endswith(named[1:])):
            return True
    return False
