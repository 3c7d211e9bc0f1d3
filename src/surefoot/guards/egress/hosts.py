"""Which addresses an answer may lead to: the hosts of an allow-list, read as a browser reads an address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2000-\u200f\u2028-\u202f\u2060\ufeff]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WEB = frozenset({"http", "https", "ftp", "ws", "wss"})
"""Schemes of which browsers read `\\` as `/`, and any number of slashes before the host."""
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})


@dataclass(frozen=True, slots=True)
class Hosts:
    """The hosts that an answer may lead to; `*.example.com` are those below one."""

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> Hosts:
        """Those of the settings. A name with letters beyond ASCII is held in the form that is looked up (IDNA)."""
        return cls(
            tuple(f"*.{_plain(name[2:])}" if name.startswith("*.") else _plain(name) for name in names)
        )

    def allow(self, address: str) -> bool:
        """Whether an address may be led to: one of these hosts, or one without a host (within the page).

        What is no address of the web is not, but for a mail to one of these hosts.
        """
        cleaned = _CONTROL.sub("", address)
        found = _SCHEME.match(cleaned)
        scheme, rest = (found[1].lower(), cleaned[found.end() :]) if found else ("", cleaned)
        if scheme == "mailto":
            return all(
                self._has(one.rpartition("@")[2]) for one in unquote(rest.partition("?")[0]).split(",") if one
            )
        if scheme and scheme not in _WEB:
            # A colon within a path is no scheme only where a slash comes before it.
            return False
        slashes = len(rest) - len(rest.lstrip("/\\"))
        if not scheme and slashes < 2:
            return True
        host = re.split(r"[/\\?#]", rest[slashes:], maxsplit=1)[0]
        return self._has(host)

    def _has(self, authority: str) -> bool:
        """Whether the host of an authority is allowed; a name before an `@` and a port are no part of it."""
        host = authority.rpartition("@")[2]
        if not host.startswith("["):
            host = host.partition(":")[0]
        host = _plain(unquote(host))
        if not host:
            return False
        return any(
            host == name or (name.startswith("*.") and host.endswith(name[1:]) and host != name[2:])
            for name in self.names
        )


def _plain(host: str) -> str:
    """A host as it is looked up: small letters, letters beyond ASCII as `xn--`; empty where it is no host."""
    host = host.translate(_DOTS).strip().rstrip(".")
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode().lower()
    except UnicodeError:
        return ""
