"""The answers that this process has at hand: the newest used, up to a size."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from surefoot.locks import ForkSafeLock
from surefoot.values import CachedAnswer

_OVERHEAD = 500
"""Bytes that an entry takes beside its body, about."""


@dataclass(slots=True)
class _Entry:
    answer: CachedAnswer
    size: int
    noted_ns: int
    until_ns: int


class Memory:
    """Answers by key, `most_bytes` of them together at most. What was found elsewhere is asked for again in a while.

    So what was cleared or pruned in the store, by whomever, is given again for `fresh` seconds at most.
    """

    def __init__(self, *, most_bytes: int, fresh: float) -> None:
        self._most = most_bytes
        self._fresh_ns = round(fresh * 1e9)
        self._lock = ForkSafeLock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """How many bytes it holds, about."""
        return self._bytes

    def find(self, key: bytes, *, most_ns: int) -> CachedAnswer | None:
        """The answer under a key, if it is no older than that."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = time.monotonic_ns()
        if now >= entry.until_ns:
            self.drop(key)
            return None
        passed = now - entry.noted_ns
        answer = entry.answer
        if answer.age_ns + passed > most_ns:
            return None
        with self._lock:
            # Another thread may have dropped it.
            if key in self._entries:
                self._entries.move_to_end(key)
        return CachedAnswer(answer.record, answer.run_id, answer.age_ns + passed, answer.left_ns - passed)

    def keep(self, key: bytes, answer: CachedAnswer, *, is_only_here: bool = False) -> None:
        """Keep an answer for as long as it is good, and no longer than `fresh` where it is in a store too."""
        body = answer.record.get("body")
        size = _OVERHEAD + (len(body) if isinstance(body, str | bytes) else 0)
        if size > self._most or answer.left_ns <= 0:
            return
        now = time.monotonic_ns()
        left = answer.left_ns if is_only_here else min(answer.left_ns, self._fresh_ns)
        with self._lock:
            former = self._entries.pop(key, None)
            self._bytes += size - (former.size if former is not None else 0)
            self._entries[key] = _Entry(answer, size, now, now + left)
            while self._bytes > self._most:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= oldest.size

    def drop(self, key: bytes) -> None:
        """Forget one answer."""
        with self._lock:
            former = self._entries.pop(key, None)
            if former is not None:
                self._bytes -= former.size

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0
