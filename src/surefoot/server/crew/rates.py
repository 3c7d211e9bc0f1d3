"""Rates that the processes of a server hold to together: a table in a file that each of them maps."""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from surefoot.limits.rates.gcra import Gcra
from surefoot.locks import ForkSafeLock
from surefoot.server.entry.rates import Turn, returned, taken

_ROW = struct.Struct("<16sdd")
"""The digest of a name, the time at which all that was taken has drained away, and when it was last asked for."""
_ROWS = 8
_BUCKETS = 2_048
_BUCKET_BYTES = _ROW.size * _ROWS
SIZE = _BUCKET_BYTES * _BUCKETS
"""Bytes of a table: room for 16,384 names, of 32 bytes each."""


class SharedRates:
    """A rate for each name, the same for all processes that open one file. Safe to use from any thread.

    Fulfils what `surefoot.server.entry.rates.Rates` does. Times are those of the machine's monotonic clock, which its
    processes share. Of the names of one bucket the one that was silent longest is forgotten first. A process that is
    killed leaves no lock: the kernel takes it back.
    """

    blocks = False

    def __init__(
        self, file: Path, per_minute: float, *, share: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """share: the part of a minute's number that may come at once. Raises `OSError`."""
        self._per_minute = per_minute
        self._share = share
        self._clock = clock
        # Locks of a file are the process's: its threads keep each other out by one of their own.
        self._lock = ForkSafeLock()
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Made longer it is never shorter again: whoever comes second changes nothing.
        os.ftruncate(self._file, SIZE)
        self._rows = mmap.mmap(self._file, SIZE)

    def take(self, name: str) -> Turn:
        """Take one, where one is left."""
        with self._held(name) as (at, rate):
            now = self._clock()
            turn = taken(rate, now, self._per_minute)
            self._put(at, name, rate, now)
        return turn

    def give_back(self, name: str, turn: Turn) -> None:
        """Give back what `take` gave, as if it had not been asked for."""
        with self._held(name) as (at, rate):
            now = self._clock()
            returned(rate, now, turn)
            self._put(at, name, rate, now)

    def close(self) -> None:
        self._rows.close()
        os.close(self._file)

    @contextmanager
    def _held(self, name: str) -> Generator[tuple[int, Gcra]]:
        """The place of a name and its rate, which nobody else changes meanwhile."""
        import fcntl

        digest = _digest(name)
        start = int.from_bytes(digest[:4], "little") % _BUCKETS * _BUCKET_BYTES
        with self._lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _BUCKET_BYTES, start)
            try:
                yield self._found(start, digest)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _BUCKET_BYTES, start)

    def _found(self, start: int, digest: bytes) -> tuple[int, Gcra]:
        rate = Gcra(self._per_minute, self._share)
        oldest, least = start, float("inf")
        for at in range(start, start + _BUCKET_BYTES, _ROW.size):
            known, drained_at, seen = _ROW.unpack_from(self._rows, at)
            if known == digest:
                # No later than behind a full burst: whoever was killed in the midst of a write locks nobody out.
                latest = self._clock() + rate.burst * rate.interval
                rate.drained_at = min(drained_at, latest)
                return at, rate
            if seen < least:
                oldest, least = at, seen
        return oldest, rate

    def _put(self, at: int, name: str, rate: Gcra, now: float) -> None:
        _ROW.pack_into(self._rows, at, _digest(name), rate.drained_at, now)


def _digest(name: str) -> bytes:
    return sha256(name.encode("utf-8", "surrogateescape")).digest()[:16]
