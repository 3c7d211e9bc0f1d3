"""Answers of models that are found again in the outcomes of the runs that they were given to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, cast

from surefoot.effects import Block, Commit, Program
from surefoot.errors import RunPruned
from surefoot.ledger.encoding import decode
from surefoot.ledger.entries import DropAnswers, KeepFlights, LeaveFlight, TakeFlight
from surefoot.ledger.owner import this_process
from surefoot.ledger.store import Ledger
from surefoot.values import CachedAnswer, CachedChoice, CachedCount, CacheRow


class Sought(Protocol):
    """What is looked for: a key, of which tenant, and how old the answer may be at most (nanoseconds)."""

    @property
    def key(self) -> bytes: ...

    @property
    def tenant(self) -> str: ...

    @property
    def most_ns(self) -> int: ...


_TIDIED_SECONDS = 3600.0
"""How often a process drops the rows of answers that have expired."""


class Answers:
    """Fulfils `surefoot.limits.cache.Store`: the answers are those that the ledger holds anyway.

    An answer whose run was pruned, or whose data key was dropped, is none any more.
    """

    keeps_rows = True

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tidy_at = 0.0

    @property
    def name(self) -> str:
        """As messages call it."""
        return f"the ledger {self._ledger.where}"

    def find(self, sought: Sought, /) -> Program[CachedAnswer | None]:
        """See `surefoot.limits.cache.Store.find`. Raises `LedgerError`."""
        # To read may wait for a disk or a server.
        found = yield Block(lambda: self._found(sought))
        return cast("CachedAnswer | None", found)

    def _found(self, sought: Sought) -> CachedAnswer | None:
        row = self._ledger.answer(sought.key, tenant=sought.tenant)
        if row is None or row.left_ns <= 0 or row.age_ns > sought.most_ns:
            return None
        try:
            record = decode(self._ledger.exact_large(row.run_id, row.output))
        except RunPruned:
            return None
        if not isinstance(record, Mapping):
            return None
        return CachedAnswer(cast("Mapping[str, object]", record), row.run_id, row.age_ns, row.left_ns)

    def lead(
        self, sought: Sought, token: str, lease_ns: int, /
    ) -> Program[Literal["led", "answered", "busy"]]:
        """See `surefoot.limits.cache.Store.lead`. Raises `LedgerError`."""
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + _TIDIED_SECONDS
            # Nobody waits for it: it rides along.
            self._ledger.submit(DropAnswers(None))
        pending = self._ledger.submit(
            TakeFlight(sought.key, sought.tenant, token, this_process(), lease_ns, sought.most_ns)
        )
        yield Commit(pending)
        return cast("Literal['led', 'answered', 'busy']", pending.result())

    def renew(self, held: Sequence[tuple[bytes, str]], lease_ns: int, /) -> Program[None]:
        """See `surefoot.limits.cache.Store.renew`. Raises `LedgerError`."""
        yield Commit(self._ledger.submit(KeepFlights(held, lease_ns)))

    def keep(self, row: CacheRow, answer: CachedAnswer, /) -> Program[None]:  # noqa: ARG002
        """It is kept with its outcome."""
        yield from ()

    def counts(self) -> Program[list[CachedCount]]:
        """See `surefoot.limits.cache.Store.counts`. Raises `LedgerError`."""
        return cast("list[CachedCount]", (yield Block(self._ledger.answer_counts)))

    def clear(self, choice: CachedChoice, /) -> Program[int]:
        """See `surefoot.limits.cache.Store.clear`. The outcomes that the answers lie in stay. Raises `LedgerError`."""
        pending = self._ledger.submit(DropAnswers(choice))
        yield Commit(pending)
        return cast("int", pending.result())

    def leave(self, key: bytes, token: str, /) -> None:
        """See `surefoot.limits.cache.Store.leave`."""
        try:
            self._ledger.submit(LeaveFlight(key, token))
            self._ledger.nudge()
        except Exception:  # noqa: BLE001, S110 - a ledger that is closed; the lease ends by itself
            pass
