"""Where answers are found again by other processes, and who of them makes a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from surefoot.effects import Program
from surefoot.values import CachedAnswer, CachedChoice, CachedCount, CacheRow

Taken = Literal["led", "answered", "busy"]
"""What became of the wish to make a call: it is ours, there is an answer, or somebody else makes it."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is looked for. `most_ns` is how old an answer may be at most, in nanoseconds."""

    key: bytes
    tenant: str
    most_ns: int


class Store(Protocol):
    """Answers by key, and a lease for each call that is under way. Programs raise what the store raises."""

    @property
    def name(self) -> str:
        """As messages call it."""
        ...

    @property
    def keeps_rows(self) -> bool:
        """Whether answers are kept with the outcomes of runs, and calls outside of runs are not kept."""
        ...

    def find(self, sought: Sought, /) -> Program[CachedAnswer | None]:
        """The answer, or None where there is none, it has expired or it cannot be read any more."""
        ...

    def lead(self, sought: Sought, token: str, lease_ns: int, /) -> Program[Taken]:
        """Ask to make the call, for a lease under a token. That of a process that is provably gone holds nobody up."""
        ...

    def renew(self, held: Sequence[tuple[bytes, str]], lease_ns: int, /) -> Program[None]:
        """Prolong the leases of calls that are under way, by key and token."""
        ...

    def keep(self, row: CacheRow, answer: CachedAnswer, /) -> Program[None]:
        """Keep an answer that is not kept with its outcome, and end the lease."""
        ...

    def counts(self) -> Program[list[CachedCount]]:
        """How many answers it holds, by flow and prompt, the most first."""
        ...

    def clear(self, choice: CachedChoice, /) -> Program[int]:
        """Give these answers no more; how many there were."""
        ...

    def leave(self, key: bytes, token: str, /) -> None:
        """End the lease without an answer. Waits for nothing, and fails for nobody."""
        ...
