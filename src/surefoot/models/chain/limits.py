"""What bounds calls beside their own deadline and retries, as the chain knows it: protocols that other rooms fulfil."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from surefoot.effects import Program
from surefoot.scope import CacheWish
from surefoot.values import CachedAnswer, CacheRow, Caller, Demand, Money, Settlement


class Hold(Protocol):
    """Money that is set aside for one call, or for the calls of a ladder."""

    def more(self, worst: Money, /) -> Program[None]:
        """Set aside more, for another attempt after one that may have been paid. Raises `BudgetExceeded`."""
        ...

    def part(self, worst: Money, /) -> Program[Hold]:
        """So much of what is held as a hold of its own, for one call of a ladder; what is missing is set aside too.

        A part is settled as any hold is, best by the outcome of its call. The ladder is settled at its end, with
        nothing charged: what no part has taken is free again, and parts that are under way keep what they hold.
        Raises `BudgetExceeded`.
        """
        ...

    def settlement(self, charged: Money | None, /) -> Settlement | None:
        """What is to be committed with the outcome; None stands for all that is held. Ends the hold.

        Whoever takes it sees to it that it is booked, also where no outcome is recorded after all; the claim of a
        call does, to which it is given with the outcome. None is returned where the hold has ended.
        """
        ...

    def settle(self, charged: Money | None, /) -> Program[None]:
        """End the hold where no outcome is recorded with it. Does nothing if it has ended.

        It hands its entry over at once and asks for nothing but commits behind it: whoever may not wait runs it with
        `effects.handed_over`.
        """
        ...


class Budgets(Protocol):
    """Budgets of which the accounts are in the ledger's database."""

    def cap_output(self, caller: Caller, /) -> int | None:
        """The limit of tokens that is put on calls which have none; None where none is to be put."""
        ...

    def bound(self, caller: Caller, /) -> bool:
        """Whether any budget is about this caller. Cheap: asked at every call."""
        ...

    def hold(self, caller: Caller, worst: Money, /, *, what: str, patience: float) -> Program[Hold]:
        """Set aside the most that a call may cost, under all budgets of the caller or none.

        `what` names the call in messages; `patience` is how many seconds may be waited. Raises `BudgetExceeded`.
        """
        ...


class Permit(Protocol):
    """One attempt that rate limits have admitted."""

    @property
    def is_local(self) -> bool:
        """Whether this process alone admitted it, as what it shares its limits by was down."""
        ...

    def answered(self, status: int, headers: Mapping[str, str], /) -> None:
        """What the provider said: a 429 holds others back, and its headers tell the limits that it keeps."""
        ...

    def done(self, tokens: int | None, /) -> None:
        """The attempt is over, its last byte read; `tokens` is what it took, None where nobody knows. Idempotent.

        Called from any thread, and by the garbage collector for a stream that was dropped.
        """
        ...


class Admission(Protocol):
    """Rate limits: requests and tokens a minute, and calls at a time, in one step that is all or nothing."""

    def bound(self, demand: Demand, /) -> bool:
        """Whether any limit is about this demand. Cheap: asked at every attempt."""
        ...

    def admit(self, demand: Demand, /, *, patience: float, pause: Callable[[float], None]) -> Program[Permit]:
        """Wait until there is room, for `patience` seconds at most. Raises `Throttled` where there will be none.

        Blocking code waits for a fraction of a second at a time and calls `pause(0)` in between, which raises where
        the run goes on no further.
        """
        ...


class Trial(Protocol):
    """One attempt that a breaker has let through. The first word counts.

    Called from any thread, and by the garbage collector for a stream that was dropped.
    """

    def answered(self) -> None:
        """It has begun to answer, with a stream: how long that takes is no matter of its health. No word yet."""
        ...

    def succeeded(self) -> None: ...

    def failed(self) -> None: ...

    def dropped(self) -> None:
        """Nothing was learned: it was cancelled, never sent, or refused for a reason that is no failure."""
        ...


class Breakers(Protocol):
    """Circuit breakers by name; that of an endpoint is made when it is first asked for."""

    def enter(self, name: str, /) -> Trial:
        """Let an attempt through, and measure how long it takes. Raises `BreakerOpen`. Never waits for anything."""
        ...


class Flight(Protocol):
    """The right to make one call for all that ask for the same at the same time. It ends with `land` or `drop`."""

    @property
    def row(self) -> CacheRow | None:
        """What is to be committed with the outcome, so that the answer in it is found again; None: `land` keeps it."""
        ...

    def land(self, answer: CachedAnswer, /) -> Program[None]:
        """The outcome is durable: the answer is given to all that wait for it, and to those who ask later."""
        ...

    def drop(self) -> None:
        """There is no answer that may be given again: one of those that wait makes the call next. Never waits."""
        ...


class AnswerCache(Protocol):
    """Answers that are given again. What it cannot do it leaves: no failure of its store fails a call."""

    def ttl(self, wish: CacheWish, /, *, is_deterministic: bool) -> float | None:
        """For how many seconds the answer of a call is given again; None where it is not looked up. Cheap.

        `wish` is what the code says, `is_deterministic` that the call asks for the same answer each time.
        """
        ...

    def digest(self, tenant: str, content: bytes, /) -> bytes:
        """The key of what is asked: a digest under a key of the application and the tenant."""
        ...

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
        """The answer under a key; else the right to make the call, once nobody else does.

        While somebody else makes it, for `patience` seconds at most: then None. `check` raises where waiting is to end,
        `pause` is how blocking code waits. `prompt` is the name of the prompt that was asked with.
        """
        ...
