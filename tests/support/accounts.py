"""Budgets, rate limits and breakers in memory, for tests of the chain alone: small and strict."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from surefoot.effects import Commit, Program, Sleep
from surefoot.errors import BreakerOpen, BudgetExceeded, Throttled
from surefoot.models.chain.limits import Hold, Permit, Trial
from surefoot.scope import Ticket
from surefoot.values import Caller, Demand, Money, Settlement


class _Now(Ticket):
    def wait(self) -> None:
        pass

    def __await__(self) -> Generator[object, None, None]:
        yield from ()


@dataclass
class Account:
    """One budget for everybody. Amounts are nano-dollars; `log` has what happened, in order."""

    limit: int
    cap: int | None = None
    spent: int = 0
    held: int = 0
    most_held: int = 0
    log: list[tuple[str, int]] = field(default_factory=list)
    holds: list[AccountHold] = field(default_factory=list)
    is_binding: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cap_output(self, caller: Caller, /) -> int | None:
        return self.cap

    def bound(self, caller: Caller, /) -> bool:
        return self.is_binding

    def hold(self, caller: Caller, worst: Money, /, *, what: str, patience: float) -> Program[Hold]:
        assert patience >= 0
        self.take(worst, what)
        made = AccountHold(self, str(len(self.holds)), worst.nanos)
        self.holds.append(made)
        yield Commit(_Now())
        return made

    def take(self, worst: Money, what: str) -> None:
        with self._lock:
            if self.spent + self.held + worst.nanos > self.limit:
                self.log.append(("refused", worst.nanos))
                raise BudgetExceeded(
                    f"{what} may cost {worst}", budget="test", limit=self.limit, asked=worst.nanos
                )
            self.held += worst.nanos
            self.most_held = max(self.most_held, self.held)
            self.log.append(("held", worst.nanos))

    def book(self, settlement: Settlement) -> None:
        with self._lock:
            self.held -= settlement.released.nanos
            self.spent += settlement.charged.nanos
            self.log.append(("booked", settlement.charged.nanos))

    @property
    def booked(self) -> list[int]:
        return [amount for what, amount in self.log if what == "booked"]


@dataclass
class AccountHold:
    account: Account
    id: str
    held: int
    is_over: bool = False

    def more(self, worst: Money, /) -> Program[None]:
        self.account.take(worst, "another attempt")
        self.held += worst.nanos
        yield Commit(_Now())

    def settlement(self, charged: Money | None, /) -> Settlement | None:
        assert not self.is_over, "a hold is settled once"
        self.is_over = True
        settlement = self._settlement(charged)
        self.account.book(settlement)
        return settlement

    def settle(self, charged: Money | None, /) -> Program[None]:
        if self.is_over:
            return
        self.is_over = True
        self.account.book(self._settlement(charged))
        yield Commit(_Now())

    def _settlement(self, charged: Money | None) -> Settlement:
        held = Money(self.held)
        return Settlement(self.id, held, held if charged is None else charged)


@dataclass
class Gate:
    """At most `room` attempts at a time, or any number; counts those that have not ended."""

    room: int | None = None
    inside: int = 0
    most_inside: int = 0
    demands: list[Demand] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    tokens: list[int | None] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def bound(self, demand: Demand, /) -> bool:
        return True

    def admit(self, demand: Demand, /, *, patience: float, pause: Callable[[float], None]) -> Program[Permit]:
        waited = 0.0
        while True:
            with self._lock:
                if self.room is None or self.inside < self.room:
                    self.inside += 1
                    self.most_inside = max(self.most_inside, self.inside)
                    self.demands.append(demand)
                    return GatePermit(self)
            if waited >= patience:
                raise Throttled("no room", provider=demand.provider, model=demand.model)
            waited += 0.005
            yield Sleep(0.005, pause)


@dataclass
class GatePermit:
    gate: Gate
    is_over: bool = False
    is_local: bool = False

    def answered(self, status: int, headers: Mapping[str, str], /) -> None:
        assert not self.is_over
        self.gate.answers.append((status, headers))

    def done(self, tokens: int | None, /) -> None:
        if not self.is_over:
            self.is_over = True
            with self.gate._lock:
                self.gate.inside -= 1
                self.gate.tokens.append(tokens)


@dataclass
class Fuses:
    """A breaker for each name, that opens after so many failures in a row and stays open until `close`."""

    after: int = 1_000_000
    words: list[tuple[str, str]] = field(default_factory=list)
    answered: int = 0
    under_way: int = 0
    refused: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    def enter(self, name: str, /) -> Trial:
        if self.failures.get(name, 0) >= self.after:
            self.refused += 1
            raise BreakerOpen(f"{name} is not asked", breaker=name, retry_after=1.0)
        self.under_way += 1
        return FuseTrial(self, name)

    def said(self) -> list[str]:
        return [word for _, word in self.words]


@dataclass
class FuseTrial:
    fuses: Fuses
    name: str
    is_over: bool = False

    def answered(self) -> None:
        assert not self.is_over
        self.fuses.answered += 1

    def succeeded(self) -> None:
        self._say("succeeded")
        self.fuses.failures[self.name] = 0

    def failed(self) -> None:
        self._say("failed")
        self.fuses.failures[self.name] = self.fuses.failures.get(self.name, 0) + 1

    def dropped(self) -> None:
        self._say("dropped")

    def _say(self, word: str) -> None:
        assert not self.is_over, "the chain says one word of each attempt"
        self.is_over = True
        self.fuses.under_way -= 1
        self.fuses.words.append((self.name, word))
