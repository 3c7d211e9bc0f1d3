"""Answers of models that are given again: at hand in this process, and behind it in a store that processes share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from surefoot import scope
from surefoot.effects import Program, Sleep
from surefoot.limits.cache.leases import Leases
from surefoot.limits.cache.memory import Memory
from surefoot.limits.cache.store import Sought, Store
from surefoot.limits.cache.waiting import Gates, Lead
from surefoot.limits.redis import Unavailable
from surefoot.scope import CacheWish
from surefoot.values import CachedAnswer, CachedChoice, CachedCount, CacheRow, Caller, new_id

log = scope.logger("surefoot.limits")

MEMORY_BYTES = 64 << 20
"""How many bytes of answers a process keeps at hand."""

FRESH_SECONDS = 30.0
"""For how long an answer at hand is given without another look into the store."""

LEASE_SECONDS = 10.0
"""After how long the call of a process that was killed on another machine is made by another one."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.5
_DOWN_SECONDS = 5.0
"""For how long a store that has failed is not asked."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Which calls are looked up, and for how long an answer is given again (seconds, and the share of it that may be
    missing at random, so that what was kept together does not expire together).
    """

    calls: Literal["asked", "deterministic", "all", "none"] = "asked"
    ttl: float = 86_400.0
    jitter: float = 0.1


class AnswerCache:
    """Fulfils `surefoot.models.AnswerCache`.

    `derive` gives a key of the application for a purpose. Without a store, or while it fails, answers are those of
    this process alone.
    """

    def __init__(
        self,
        terms: Terms,
        derive: Callable[[str], bytes],
        store: Store | None = None,
        *,
        most_bytes: int = MEMORY_BYTES,
        fresh: float = FRESH_SECONDS,
        lease: float = LEASE_SECONDS,
    ) -> None:
        self._terms = terms
        self._derive = derive
        self._store = store
        self._keys: dict[str, bytes] = {}
        self._down_until = 0.0
        self._has_failed = False
        self.memory = Memory(most_bytes=most_bytes, fresh=fresh)
        self.gates = Gates()
        self.leases = None if store is None else Leases(store, seconds=lease)

    def ttl(self, wish: CacheWish, /, *, is_deterministic: bool) -> float | None:
        """See `surefoot.models.AnswerCache.ttl`."""
        calls = self._terms.calls
        if calls == "none" or wish is False or wish == "never":
            return None
        if wish is None:
            is_asked = calls == "all" or (calls == "deterministic" and is_deterministic)
            return self._terms.ttl if is_asked else None
        return self._terms.ttl if wish is True else float(wish)

    def digest(self, tenant: str, content: bytes, /) -> bytes:
        """See `surefoot.models.AnswerCache.digest`: BLAKE2b with 32 bytes."""
        key = self._keys.get(tenant)
        if key is None:
            if len(self._keys) >= 1_000:
                self._keys.clear()
            key = self._keys[tenant] = self._derive(f"answers of {tenant}")
        return blake2b(content, digest_size=32, key=key).digest()

    def ask(
        self,
        key: bytes,
        /,
        *,
        ttl: float,
        caller: Caller,
        prompt: str,
        patience: float,
        check: Callable[[], None],
        pause: Callable[[float], None],
    ) -> Program[CachedAnswer | Flight | None]:
        """See `surefoot.models.AnswerCache.ask`."""
        sought = Sought(key, caller.tenant, round(ttl * 1e9))
        if (at_hand := self.memory.find(key, most_ns=sought.most_ns)) is not None:
            return at_hand
        end_at = time.monotonic() + patience

        def left() -> float:
            return end_at - time.monotonic()

        lead = yield from self.gates.enter(key, patience=left, check=check)
        if not isinstance(lead, Lead):
            return lead
        # Not recorded, and so not kept in the ledger: then nobody has to wait in another process either.
        is_kept = self._store is not None and (bool(caller.run_id) or not self._store.keeps_rows)
        try:
            found = self.memory.find(key, most_ns=sought.most_ns)
            held = found or (
                yield from self._elsewhere(sought, left, check, pause, is_kept=is_kept and not lead.is_alone)
            )
        except BaseException:
            self.gates.drop(lead)
            raise
        if isinstance(held, CachedAnswer):
            self.memory.keep(key, held)
            self.gates.answer(lead, held)
            return held
        if held is None:
            self.gates.drop(lead)
            return None
        shortest = 1.0 - random.random() * self._terms.jitter
        row = CacheRow(key, held, round(ttl * shortest * 1e9), caller.tenant, caller.flow, prompt)
        flight = Flight(self, lead, row, is_kept=is_kept)
        if held and self.leases is not None:
            self.leases.hold(key, held, flight)
        return flight

    def _elsewhere(
        self,
        sought: Sought,
        left: Callable[[], float],
        check: Callable[[], None],
        pause: Callable[[float], None],
        *,
        is_kept: bool,
    ) -> Program[CachedAnswer | str | None]:
        """What another process has brought; else the token under which this one leads, empty where only here.

        None once there is no patience left.
        """
        store, token, wait = self._store, new_id(), _FIRST_PAUSE
        while store is not None and self.leases is not None and time.monotonic() >= self._down_until:
            is_led = True
            try:
                found = yield from store.find(sought)
                if found is not None or not is_kept:
                    is_led = False
                    self._has_failed = False
                    return found or ""
                taken = yield from store.lead(sought, token, self.leases.lease_ns)
                is_led = taken == "led"
                if is_led:
                    return token
                if taken == "answered":
                    found = yield from store.find(sought)
                    # What cannot be read is asked for again, by whoever comes first.
                    return found or ""
            except Exception as error:  # noqa: BLE001 - whatever it is, the call can be made
                self.failed(error)
                return ""
            except BaseException:
                # Whether it leads is not known.
                if is_led:
                    store.leave(sought.key, token)
                raise
            if left() <= 0:
                return None
            yield Sleep(wait * random.uniform(0.5, 1.0), pause)
            check()
            wait = min(wait * 1.5, _LONGEST_PAUSE)
        return ""

    @property
    def files_rows(self) -> bool:
        """Whether answers are kept with their outcomes. Not while the store fails: it must not take those along."""
        return self._store is not None and self._store.keeps_rows and time.monotonic() >= self._down_until

    def failed(self, error: Exception) -> None:
        """Note that the store has failed: said once until it works again, and not asked for a while."""
        if isinstance(error, Unavailable):
            # Its connection says so, and knows when to try again.
            return
        self._down_until = time.monotonic() + _DOWN_SECONDS
        if not self._has_failed:
            self._has_failed = True
            name = "" if self._store is None else self._store.name
            log.warning("the cache in %s cannot be used, calls are made as without it: %s", name, error)

    def counts(self) -> Program[list[CachedCount]]:
        """How many answers the store holds, by flow and prompt, the most first. Raises what the store raises."""
        return [] if self._store is None else (yield from self._store.counts())

    def clear(self, choice: CachedChoice, /) -> Program[int]:
        """Give these answers no more; how many the store held. Other processes may give some for as long as they are
        fresh (30 s). Raises what the store raises.
        """
        self.memory.clear()
        return 0 if self._store is None else (yield from self._store.clear(choice))

    def end(self, flight: Flight, *, is_answered: bool) -> None:
        """Let go of what a flight holds in the store."""
        row = flight.cache_row
        if not row.token or self._store is None or self.leases is None:
            return
        self.leases.let_go(row.key, row.token)
        if not is_answered:
            self._store.leave(row.key, row.token)

    def keep(self, row: CacheRow, answer: CachedAnswer) -> Program[None]:
        """Keep an answer in a store that is not the ledger."""
        store = self._store
        if store is None or store.keeps_rows or time.monotonic() < self._down_until:
            return
        try:
            yield from store.keep(row, answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call has its answer
            self.failed(error)


@dataclass(eq=False, slots=True, weakref_slot=True)
class Flight:
    """Fulfils `surefoot.models.Flight`."""

    cache: AnswerCache
    lead: Lead
    cache_row: CacheRow
    is_kept: bool
    is_over: bool = field(default=False)

    @property
    def row(self) -> CacheRow | None:
        """See `surefoot.models.Flight.row`."""
        return self.cache_row if self.is_kept and self.cache.files_rows else None

    def land(self, answer: CachedAnswer, /) -> Program[None]:
        """See `surefoot.models.Flight.land`."""
        if self.is_over:
            return
        self.is_over = True
        row, cache = self.cache_row, self.cache
        landed = CachedAnswer(answer.record, answer.run_id, 0, row.ttl_ns)
        cache.memory.keep(row.key, landed, is_only_here=not self.is_kept)
        cache.gates.answer(self.lead, landed)
        yield from cache.keep(row, landed)
        cache.end(self, is_answered=True)

    def drop(self) -> None:
        """See `surefoot.models.Flight.drop`."""
        if self.is_over:
            return
        self.is_over = True
        self.cache.end(self, is_answered=False)
        self.cache.gates.drop(self.lead)
