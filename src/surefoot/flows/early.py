"""What becomes of work that its reader left before the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any


class EarlyEnd:
    """Work that was left early by a lane of its reader's scope; what the reader does next says what that means.

    If the reader goes on (it claims more work in that lane, or its scope ends well), it wanted no more: the early end
    is the outcome. If the reader is on its way out of an error, it is as if the process had been killed in the middle:
    nothing is recorded, and a resume begins the work again.
    """

    __slots__ = ("_is_kept", "_waiting", "covered", "lane")

    def __init__(self, *, lane: int | None, covered: frozenset[bytes]) -> None:
        """`covered` holds the keys of what was open inside and ends along with it; a lane of None is unknown."""
        self.lane = lane
        self.covered = covered
        self._is_kept: bool | None = None
        self._waiting: list[tuple[Callable[[], object], Callable[[], object]]] = []

    def add(self, keep: Callable[[], object], drop: Callable[[], object]) -> None:
        """Do one of the two once it is known what the early end means; the order is kept."""
        if self._is_kept is None:
            self._waiting.append((keep, drop))
        else:
            (keep if self._is_kept else drop)()

    def settle(self, *, is_kept: bool) -> None:
        """Say what the early end means."""
        self._is_kept = is_kept
        waiting, self._waiting = self._waiting, []
        for keep, drop in waiting:
            (keep if is_kept else drop)()


class Unhurried:
    """The ticket of an outcome that waits for an `EarlyEnd`: nobody has to wait for it."""

    __slots__ = ()

    def wait(self) -> None:
        return

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()
