"""Which runs a piece of work on the store is about, as a condition on `runs`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from surefoot.ledger.tables import Session
from surefoot.values import first_id

_ID_LEAD_NS = 60_000_000_000

BEGUN = "-begun"
"""Ends `runs.pruned` while a prune is at work on a run, or was killed at it."""

Condition = tuple[str, tuple[object, ...]]
"""A term of SQL over `runs`, and its parameters."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs by what is given of them; nothing given means all. Times in nanoseconds since the epoch."""

    ids: tuple[str, ...] = ()
    flow: str | None = None
    statuses: tuple[str, ...] = ()
    tenant: str | None = None
    principal: str | None = None
    session: str | None = None
    since_ns: int | None = None

    @property
    def is_all(self) -> bool:
        return self == Selection()

    def condition(self) -> Condition:
        terms: list[str] = []
        parameters: list[object] = []
        for column, chosen in (("id", self.ids), ("status", self.statuses)):
            if chosen:
                terms.append(f"runs.{column} IN ({', '.join('?' * len(chosen))})")
                parameters += chosen
        for column, value in (
            *(("flow", self.flow), ("tenant", self.tenant), ("principal", self.principal)),
            ("session", self.session),
        ):
            if value is not None:
                terms.append(f"runs.{column} = ?")
                parameters.append(value)
        if self.since_ns is not None:
            # An id is made a little before its run begins.
            terms.append("runs.id >= ? AND runs.created_ns >= ?")
            parameters += (first_id(self.since_ns - _ID_LEAD_NS), self.since_ns)
        return " AND ".join(terms) or "1 = 1", tuple(parameters)


EVERY_RUN = Selection()


def page_of(
    session: Session, columns: str, condition: Condition, *, after: str, size: int
) -> list[tuple[object, ...]]:
    """The next runs in the order of their ids; the id has to be the first column."""
    term, parameters = condition
    return list(
        session.rows(
            f"SELECT {columns} FROM runs WHERE runs.id > ? AND ({term}) ORDER BY runs.id LIMIT {size}",
            after,
            *parameters,
        )
    )


def count(session: Session, condition: Condition) -> int:
    """How many runs a condition finds."""
    term, parameters = condition
    found: Iterator[tuple[int]] = session.rows(f"SELECT count(*) FROM runs WHERE {term}", *parameters)
    return next(found)[0]
