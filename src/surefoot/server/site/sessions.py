"""Who is logged in, in which browser: kept in the memory of this process, by the hash of what the browser has."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from surefoot.locks import ForkSafeLock

_BYTES = 32
_MOST_KNOWN = 10_000
_MOST_OF_TOKEN = 20


@dataclass(frozen=True, slots=True)
class Session:
    """A login: the digest of the token that it stands on, and when it began and was used last (seconds)."""

    token: bytes
    began: float
    used: float


class Sessions:
    """Logins, each until it is ended, unused for too long, or too old. Safe to use from any thread.

    A session is worth no more than its token, which whoever asks here looks for each time. They end with the process:
    what is kept nowhere cannot be taken from there.
    """

    def __init__(self, *, idle: float, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        """idle, longest: seconds, since it was used last and since it began, after which one is over."""
        self._idle = idle
        self._longest = longest
        self._clock = clock
        self._lock = ForkSafeLock()
        self._known: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, token: bytes) -> str:
        """Begin one by the token of this digest: what the browser keeps of it, 256 random bits.

        Of one token there are 20 at most, and 10,000 in all: the one that was silent longest makes room.
        """
        made, now = secrets.token_urlsafe(_BYTES), self._clock()
        with self._lock:
            of_token = [digest for digest, known in self._known.items() if known.token == token]
            for digest in of_token[: max(0, len(of_token) - _MOST_OF_TOKEN + 1)]:
                del self._known[digest]
            if len(self._known) >= _MOST_KNOWN:
                self._known.popitem(last=False)
            self._known[_digest(made)] = Session(token, now, now)
        return made

    def token_of(self, session: str) -> bytes | None:
        """The digest of the token that a session stands on, which is used by this; None for one that is over."""
        digest, now = _digest(session), self._clock()
        with self._lock:
            known = self._known.get(digest)
            if known is None:
                return None
            if now - known.used >= self._idle or now - known.began >= self._longest:
                del self._known[digest]
                return None
            self._known[digest] = replace(known, used=now)
            self._known.move_to_end(digest)
            return known.token

    def end(self, session: str) -> None:
        """End one, here and now, whoever still has what the browser had of it."""
        with self._lock:
            self._known.pop(_digest(session), None)

    def __len__(self) -> int:
        return len(self._known)


def _digest(session: str) -> bytes:
    return sha256(session.encode("utf-8", "surrogateescape")).digest()
