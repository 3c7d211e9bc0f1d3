"""Which addresses an answer may lead to: the hosts of an allow-list, read as a browser reads an address."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

# What browsers drop from an address, and what some program drops before it asks one.
_DROPPED = re.compile(r"[\x00-\x20]")
_TRIMMED = re.compile(r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2060\u3000\ufeff]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WEB = frozenset({"http", "https", "ftp", "ws", "wss"})
"""Schemes of which browsers read `\\` as `/`, and any number of slashes before the host."""
_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_MAILBOX = re.compile(r"[^\s@<>\"(),:;\\\x00-\x1f]+@([^@]+)")


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
        return all(self._leads_there(drop.sub("", address)) for drop in (_DROPPED, _TRIMMED))

    def _leads_there(self, address: str) -> bool:
        found = _SCHEME.match(address)
        scheme, rest = (found[1].lower(), address[found.end() :]) if found else ("", address)
        if scheme == "mailto":
            return self._is_mail_there(rest)
        if scheme and scheme not in _WEB:
            # A colon within a path is no scheme only where a slash comes before it.
            return False
        slashes = len(rest) - len(rest.lstrip("/\\"))
        if not scheme and slashes < 2:
            return True
        authority = re.split(r"[/\\?#]", rest[slashes:], maxsplit=1)[0]
        # A name before an `@` and a port are no part of the host.
        host = authority.rpartition("@")[2]
        return self._has(host if host.startswith("[") else host.partition(":")[0])

    def _is_mail_there(self, rest: str) -> bool:
        """Whether each recipient of a `mailto:` is at one of the hosts, those of its fields among them."""
        to, _, told = rest.partition("?")
        mailboxes = re.split("[,;]", unquote(to)) if to else []
        for pair in re.split("[&;]", told) if told else ():
            name, _, value = pair.partition("=")
            if (field := unquote(name).lower()) in ("to", "cc", "bcc"):
                mailboxes += re.split("[,;]", unquote(value))
            elif field not in ("subject", "body"):
                return False
        found = [_MAILBOX.fullmatch(one) for one in mailboxes]
        return bool(found) and all(one is not None and self._has(one[1]) for one in found)

    def _has(self, host: str) -> bool:
        host = _plain(unquote(host))
        return bool(host) and any(
            host == name or (name.startswith("*.") and host.endswith(name[1:]) and host != name[2:])
            for name in self.names
        )


def _plain(host: str) -> str:
    """A host as it is looked up: small letters, letters beyond ASCII as `xn--`; empty where it is no host.

    A sharp s stays one, as in browsers (the codec of the standard library makes it `ss`, which is another host).
    """
    host = host.translate(_DOTS).strip().rstrip(".").lower()
    if not host.isascii():
        labels = unicodedata.normalize("NFKC", host).lower().split(".")
        host = ".".join(
            label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels
        )
    return host if _HOST.fullmatch(host) else ""
