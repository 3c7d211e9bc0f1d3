"""One attempt that was admitted, and what it gives back when it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from surefoot.limits.rates.account import Account, Endpoint, Taken
from surefoot.values import Demand


class Ask:
    """What is asked: the demand, the accounts that it is on, and what the endpoint has told."""

    __slots__ = ("accounts", "demand", "endpoint", "tokens")

    def __init__(self, demand: Demand, accounts: Sequence[Account], endpoint: Endpoint) -> None:
        self.demand = demand
        self.accounts = accounts
        self.endpoint = endpoint
        self.tokens = max(0, demand.tokens)


class Admitted:
    """What was taken for a permit. `at` is when, in seconds of the clock that counted."""

    __slots__ = ("ask", "at", "is_local", "slot", "taken")

    def __init__(
        self, ask: Ask, at: float, taken: Sequence[Taken], *, slot: str = "", is_local: bool = False
    ) -> None:
        self.ask = ask
        self.at = at
        self.taken = taken
        self.slot = slot
        self.is_local = is_local


class Admitting(Protocol):
    """Who has admitted an attempt, as its permit knows it."""

    def answered(self, admitted: Admitted, status: int, headers: Mapping[str, str], /) -> None: ...

    def settle(self, admitted: Admitted, less: float, requests: float, /) -> None:
        """Take back its place, so many tokens that it did not take, and requests that were not made."""
        ...

    def lose(self, admitted: Admitted, /) -> None:
        """A permit is gone without a word; called by the garbage collector, wherever that may be."""
        ...


class AdmittedPermit:
    """One attempt that was admitted at the time `at`."""

    __slots__ = ("_by", "_is_over", "state")

    def __init__(self, by: Admitting, state: Admitted) -> None:
        self._by = by
        self._is_over = False
        self.state = state

    @property
    def at(self) -> float:
        """When it was admitted, in seconds of the clock that counted: that of Redis where limits are shared."""
        return self.state.at

    @property
    def is_local(self) -> bool:
        """Whether this process alone admitted it, as Redis was down."""
        return self.state.is_local

    def answered(self, status: int, headers: Mapping[str, str], /) -> None:
        """What the provider said: a 429 holds others back, and its headers tell the limits that it keeps."""
        self._by.answered(self.state, status, headers)

    def done(self, tokens: int | None, /) -> None:
        """The attempt is over; `tokens` is what it took, None where nobody knows."""
        if not self._is_over:
            self._is_over = True
            self._by.settle(
                self.state, 0.0 if tokens is None else self.state.ask.tokens - max(0, tokens), 0.0
            )

    def cancel(self) -> None:
        """The attempt was never made: everything goes back."""
        if not self._is_over:
            self._is_over = True
            self._by.settle(self.state, self.state.ask.tokens, 1.0)

    def __del__(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._by.lose(self.state)
