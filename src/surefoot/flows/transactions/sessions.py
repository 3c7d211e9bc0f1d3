"""What a transaction step needs of a database, whichever driver is under it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from surefoot.flows.transactions.marks import Mark

Trouble = Literal["taken", "busy", "lost"]
"""`taken`: the marker is there already. `busy`: another transaction was in the way, and this one may be tried again.
`lost`: the connection broke, so that nobody knows what became of a commit."""

# Serialization failure, deadlock, lock not available.
BUSY_STATES = frozenset({"40001", "40P01", "55P03"})
TAKEN_STATE = "23505"
# Connection exceptions, and a server that goes down or is not up yet.
_LOST_CLASSES = ("08", "57P")


class Session(Protocol):
    """One transaction on one connection. What is not a property returns an awaitable where the step is async."""

    def prepare(self) -> Any:
        """Before the first transaction, outside of it: see that the table of markers is there."""
        ...

    def begin(self) -> Any: ...

    def find(self, mark: Mark) -> Any:
        """The `Found` marker, or None."""
        ...

    def forget(self, mark: Mark) -> Any:
        """Delete the marker."""
        ...

    def insert(self, mark: Mark, result: bytes) -> Any: ...

    def commit(self) -> Any: ...

    def rollback(self) -> Any: ...

    def lent(self, what: str, /) -> AbstractContextManager[object]:
        """The connection as the body gets it."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the transaction that was begun is still there, as far as the driver knows."""
        ...

    def release(self, *, is_good: bool) -> Any:
        """Give the connection back; one that is not good is not used again."""
        ...

    def discard(self) -> None:
        """Drop the connection from where nothing can be waited for."""
        ...

    def trouble(self, error: BaseException) -> Trouble | None:
        """What an error of the driver means, apart from what it says."""
        ...


class Source(Protocol):
    """A database that transaction steps can use."""

    is_prepared: bool

    def open(self) -> Any:
        """A `Session`, or an awaitable of one where the step is async."""
        ...

    def close(self) -> None:
        """Close what is idle."""
        ...


def trouble_of_state(state: str | None) -> Trouble | None:
    """What a SQLSTATE means."""
    if state is None:
        return None
    if state in BUSY_STATES:
        return "busy"
    if state == TAKEN_STATE:
        return "taken"
    return "lost" if state.startswith(_LOST_CLASSES) else None
