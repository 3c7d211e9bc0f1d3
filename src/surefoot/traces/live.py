"""The steps of a run as a tree that grows while it goes on, from what a listener is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from surefoot.values import StepKind

_KEY = 16
"""Bytes of a step's key."""

Ended = TypeVar("Ended")


class Told(Protocol):
    """What is told of an attempt at a step: where it belongs. `path` holds the keys around it, outermost first."""

    @property
    def key(self) -> bytes: ...

    @property
    def path(self) -> bytes: ...

    @property
    def kind(self) -> StepKind: ...

    @property
    def name(self) -> str: ...

    @property
    def depth(self) -> int: ...

    @property
    def attempt(self) -> int: ...


@dataclass(slots=True)
class Row(Generic[Ended]):
    """An attempt of a step and what is inside of it. `begun_ns` is by the clock of whoever listens."""

    name: str
    kind: StepKind
    depth: int
    attempt: int
    begun_ns: int
    closed: Ended | None = None
    below: list[Row[Ended]] = field(default_factory=list["Row[Ended]"])

    def walk(self) -> Iterator[Row[Ended]]:
        """This row and all below it, parents first."""
        yield self
        for row in self.below:
            yield from row.walk()


class Tree(Generic[Ended]):
    """The rows of one run. It is not safe across threads: its owner locks."""

    def __init__(self) -> None:
        self._top: list[Row[Ended]] = []
        self._rows: dict[tuple[bytes, int], Row[Ended]] = {}
        self._latest: dict[bytes, Row[Ended]] = {}

    def row(self, event: Told, now_ns: int) -> Row[Ended]:
        """The row that an event is of; a new one, begun now, where nothing was told of it before."""
        place = (event.key, event.attempt)
        row = self._rows.get(place)
        if row is None:
            row = Row[Ended](event.name, event.kind, event.depth, event.attempt, now_ns)
            above = self._latest.get(event.path[-_KEY:]) if event.path else None
            (self._top if above is None else above.below).append(row)
            self._rows[place] = self._latest[event.key] = row
        return row

    def walk(self) -> Iterator[Row[Ended]]:
        """All rows, parents before children, in the order in which they began."""
        for row in self._top:
            yield from row.walk()
