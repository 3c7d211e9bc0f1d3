"""Tokens that open nothing, shown again and again: after some the ledger is not asked any more."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from surefoot.locks import ForkSafeLock
from surefoot.server.entry.address import neighbourhood
from surefoot.server.entry.rates import Bounding, Turn

_MOST_KNOWN = 10_000
_GOOD_FOR_S = 3600.0


class Knocking:
    """Counts, for each address, the tokens that opened nothing.

    An address that has shown too many may belong to many people behind one proxy. So tokens that have opened something
    here within the hour are let through, to be looked for as ever, and only those that nobody has seen are not.
    """

    def __init__(self, bad: Bounding, *, clock: Callable[[], float] = time.monotonic) -> None:
        """bad: how many tokens that open nothing an address may show, by address."""
        self._bad = bad
        self._clock = clock
        self._lock = ForkSafeLock()
        self._good: OrderedDict[bytes, float] = OrderedDict()

    def turn(self, address: str, token: str) -> Turn | None:
        """Ask to look for a token. None for one that was good lately; the others need their turn."""
        with self._lock:
            until = self._good.get(_digest(token), 0.0)
        # Taken before it is known whether the token is bad: of many that come at once each counts.
        return None if self._clock() < until else self._bad.take(neighbourhood(address))

    def was_good(self, address: str, token: str, turn: Turn | None) -> None:
        """Note that a token has opened something: it was no bad one."""
        if turn is not None:
            self._bad.give_back(neighbourhood(address), turn)
        digest, until = _digest(token), self._clock() + _GOOD_FOR_S
        with self._lock:
            self._good[digest] = until
            self._good.move_to_end(digest)
            if len(self._good) > _MOST_KNOWN:
                self._good.popitem(last=False)

    def was_bad(self, token: str) -> None:
        """Note that a token opens nothing any more."""
        with self._lock:
            self._good.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
