"""The names that the server goes by."""

from __future__ import annotations

import re
from collections.abc import Iterable

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?P<port>:[0-9]{1,5})?")
LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
ANY = "*"


class Hosts:
    """An allow-list of names, as a `Host` header spells them.

    A page on another site can make a browser ask this server under a name that resolves to it (DNS rebinding), and
    would then read the answers as its own. Such a request carries the other name.
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        """named: `api.acme.example` for any port, `api.acme.example:8443` for one, `*.acme.example`, or `*` for all."""
        known = {name.lower() for name in named}
        self._takes_any = ANY in known
        self._below = tuple(name[1:] for name in known if name.startswith("*."))
        self._named = known | LOOPBACK

    def __contains__(self, host: object) -> bool:
        found = _HOST.fullmatch(str(host).lower())
        if found is None:
            return False
        name = found["name"]
        return (
            self._takes_any
            or name in self._named
            or found[0] in self._named
            or any(name.endswith(domain) for domain in self._below)
        )

    def __str__(self) -> str:
        return ", ".join(sorted(self._named))
