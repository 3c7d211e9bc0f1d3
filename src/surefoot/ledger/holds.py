"""Money that is set aside on accounts, for one call or for the calls of a ladder, as this process knows it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from surefoot import scope
from surefoot.effects import Program
from surefoot.ledger.budget import HIGHEST, Terms
from surefoot.locks import ForkSafeLock
from surefoot.values import Caller, Money, Settlement, new_id

if TYPE_CHECKING:
    from surefoot.ledger.budgets import Budgets

log = scope.logger("surefoot.ledger")

_lock = ForkSafeLock()
"""One for all of them: what it guards are a few additions."""


class Source:
    """One hold in the ledger, which the holds of a call and of its parts draw from."""

    __slots__ = (
        *("__weakref__", "budgets", "caller", "deadline", "id", "number", "patience", "terms", "under_way"),
        "what",
    )

    def __init__(
        self, budgets: Budgets, caller: Caller, terms: Terms, *, what: str, patience: float, deadline: float
    ) -> None:
        self.id = new_id()
        self.budgets = budgets
        self.caller = caller
        self.terms = terms
        self.what = what
        self.patience = patience
        self.deadline = deadline
        """Until when calls may wait, on the monotonic clock."""
        self.under_way = 0
        """Holds on it that have not ended."""
        self.number = 0

    def next_number(self) -> int:
        """A number for what changes it, so that doing that again does nothing."""
        with _lock:
            self.number += 1
            return self.number


class AccountHold:
    """A hold on accounts of the ledger; see `surefoot.models.Hold`.

    One that is given up without being settled is booked at all that it holds, once its lease has ended.
    """

    __slots__ = ("_held", "_is_ended", "_source")

    def __init__(self, source: Source, held: int) -> None:
        self._source = source
        self._held = held
        self._is_ended = False
        with _lock:
            source.under_way += 1

    @property
    def id(self) -> str:
        """Its name in the ledger, which the holds of its parts share."""
        return self._source.id

    @property
    def held(self) -> Money:
        """What it holds itself, without what parts have taken."""
        return Money(self._held)

    def more(self, worst: Money, /) -> Program[None]:
        """Set aside more. Raises `BudgetExceeded`."""
        source = self._source
        yield from source.budgets.reserve(source, worst.nanos, part=source.next_number())
        with _lock:
            self._held += worst.nanos

    def part(self, worst: Money, /) -> Program[AccountHold]:
        """So much of it as a hold of its own; what is missing is set aside too. Raises `BudgetExceeded`."""
        with _lock:
            taken = min(self._held, worst.nanos)
            self._held -= taken
        try:
            part = AccountHold(self._source, taken)
            if taken < worst.nanos:
                yield from part.more(Money(worst.nanos - taken))
        except BaseException:
            with _lock:
                self._held += taken
                self._source.under_way -= 1
            raise
        return part

    def settlement(self, charged: Money | None, /) -> Settlement | None:
        """What is to be committed with the outcome; None stands for all that is held. Ends the hold.

        None is returned where it has ended, and where no budget is about the caller.
        """
        source = self._source
        with _lock:
            if self._is_ended:
                return None
            self._is_ended = True
            source.under_way -= 1
            is_last = source.under_way == 0
            source.number += 1
            number = source.number
        if not source.terms.lines:
            return None
        held = Money(self._held)
        cost = held if charged is None else charged
        if cost > held:
            log.warning(
                "%s has cost %s where %s was held, the most that it could: its price or its bound is wrong (see "
                "[prices] and max_tokens); what it has cost is booked, and budgets may be exceeded by the difference",
                source.what,
                cost,
                held,
            )
        source.budgets.ended(source, is_last=is_last)
        return Settlement(source.id, held, min(cost, HIGHEST), closes=is_last, part=number)

    def settle(self, charged: Money | None, /) -> Program[None]:
        """End the hold where no outcome is recorded with it. Does nothing if it has ended."""
        settlement = self.settlement(charged)
        if settlement is not None:
            yield from self._source.budgets.settle(settlement)


class Alive:
    """The holds of this process that are under way. One that nobody has any more is not."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._sources: dict[str, weakref.ref[Source]] = {}

    def add(self, source: Source) -> bool:
        """Whether it is the first."""
        with self._lock:
            self._sources[source.id] = weakref.ref(source)
            return len(self._sources) == 1

    def drop(self, source: Source) -> None:
        with self._lock:
            self._sources.pop(source.id, None)

    def ids(self) -> list[str]:
        """Their names."""
        with self._lock:
            for name in [name for name, source in self._sources.items() if source() is None]:
                del self._sources[name]
            return list(self._sources)
