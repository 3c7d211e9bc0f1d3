"""What webhooks and receivers of traces are told of runs, as rows: what is owed, who is at it, what became of it.

The statements are in the SQL that both engines understand, with `?` for parameters. Each may be done any number of
times. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import orjson

from surefoot.ledger.access_rows import Change
from surefoot.ledger.listing import Query
from surefoot.ledger.rows import Row, clean

Standing = Literal["waiting", "delivered", "given up"]

COLUMNS = "webhook, run_id, epoch, event, tries, next_ns, done_ns, error"
_ERROR_CHARACTERS = 500

TRACE = "trace"
"""The event by which a receiver is owed the trace of a run."""
SCORES = "scores"
"""The event by which it is owed what scorers said of a run since."""

_KEY = "run_id = ? AND webhook = ? AND epoch = ? AND event = ?"
# Each delivery is of a run; the row without one is a mark, which nobody is told and nobody tries again.
_IS_ONE = "run_id <> ''"
_OWE = (
    f"INSERT INTO deliveries ({COLUMNS}) VALUES (?, ?, ?, ?, 0, ?, NULL, '') "
    "ON CONFLICT (run_id, webhook, epoch, event) DO NOTHING"
)
_SETTLE = f"UPDATE deliveries SET done_ns = ?, next_ns = ?, error = ? WHERE {_KEY} AND done_ns IS NULL"
# Whoever took it longest ago and was not heard of any more has lost it: the number of tries says whose it is.
_IS_ITS = "AND tries = ?"
_AGAIN = (
    f"UPDATE deliveries SET done_ns = NULL, next_ns = ?, tries = 0 WHERE {_KEY} AND {_IS_ONE} AND error <> ''"
)

# Whoever is sending them now has read the ones before: it counts as a try that another one takes over.
_OWE_SCORES = (
    f"INSERT INTO deliveries ({COLUMNS}) "
    f"SELECT webhook, run_id, max(epoch), '{SCORES}', 0, CAST(? AS BIGINT), NULL, '' "
    f"FROM deliveries WHERE run_id = ? AND event = '{TRACE}' AND webhook = coalesce(?, webhook) "
    "GROUP BY webhook, run_id ON CONFLICT (run_id, webhook, epoch, event) DO UPDATE SET "
    "done_ns = NULL, next_ns = excluded.next_ns, tries = deliveries.tries + 1, error = ''"
)

# Scores are told of a trace that is there: of one that somebody is sending a receiver would say that there is none.
_IS_THERE = (
    f"(d.event <> '{SCORES}' OR NOT EXISTS (SELECT 1 FROM deliveries t WHERE t.run_id = d.run_id "
    f"AND t.webhook = d.webhook AND t.event = '{TRACE}' AND t.done_ns IS NULL))"
)

# How far a webhook has looked, as a row that is never due: `next_ns` is the `seq` of the last end that it has seen,
# `error` says which end that is, `done_ns` when that was noted, `tries` when the webhook was begun.
_MARK = "looked"
_BEGIN = (
    f"INSERT INTO deliveries ({COLUMNS}) "
    "SELECT ?, '', 0, ?, CAST(? AS BIGINT), coalesce(max(seq), 0), CAST(? AS BIGINT), '' "
    "FROM outcomes WHERE kind = 'end' ON CONFLICT (run_id, webhook, epoch, event) DO NOTHING"
)
_LOOKED = (
    "UPDATE deliveries SET next_ns = ?, error = ?, done_ns = ? "
    "WHERE run_id = '' AND webhook = ? AND event = ? AND done_ns < ?"
)

# What was pruned before it was told, as a row that is never due: `tries` is how often that came about, `done_ns` when
# it did last.
_LOST = "lost"
_LOSE = (
    f"INSERT INTO deliveries ({COLUMNS}) VALUES (?, '', 0, ?, ?, 0, ?, '') "
    "ON CONFLICT (run_id, webhook, epoch, event) "
    "DO UPDATE SET tries = deliveries.tries + excluded.tries, done_ns = excluded.done_ns"
)


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One event of a run for one webhook. `epoch` is that of the attempt at the run which it is about.

    `tries` is how often it was taken to be sent, `next_ns` when it is due, or until when somebody is at it; with
    `done_ns` it is over: delivered, or given up if there is an `error`.
    """

    webhook: str
    run_id: str
    epoch: int
    event: str
    tries: int = 0
    next_ns: int = 0
    done_ns: int | None = None
    error: str = ""

    @property
    def standing(self) -> Standing:
        if self.done_ns is None:
            return "waiting"
        return "given up" if self.error else "delivered"

    @property
    def key(self) -> Row:
        """The parameters that name it in a statement."""
        return self.run_id, self.webhook, self.epoch, self.event


@dataclass(frozen=True, slots=True)
class EndRow:
    """How a run, or one attempt at it, ended, and what tells whether a follower is told of it; `seq` is its place.

    `began_ns` is when the run began, `parent` the run whose child it is.
    """

    seq: int
    run_id: str
    epoch: int
    status: str
    ended_ns: int
    flow: str
    tenant: str
    is_child: bool
    began_ns: int = 0
    parent: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """What tells it from others, also from one that has its place later, when it was pruned."""
        return f"{self.run_id} {self.epoch}"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a webhook has looked: the place of an end, its name, and when; and when the webhook was begun."""

    seq: int
    name: str
    at_ns: int
    begun_ns: int


def delivery_of(row: Row) -> DeliveryRow:
    """A delivery from a row of `COLUMNS`."""
    return DeliveryRow(*row)


def owe(delivery: DeliveryRow) -> Change:
    """Note that a webhook is to be told; nothing where that was noted before."""
    one = delivery
    return Change(_OWE, (one.webhook, one.run_id, one.epoch, one.event, one.next_ns))


def owe_scores(run_id: str, *, now_ns: int, webhook: str | None = None) -> Change:
    """Note that whoever is owed, or was sent, the trace of a run is to be told of its scores, again if need be.

    webhook: the only one of them that is meant.
    """
    return Change(_OWE_SCORES, (now_ns, run_id, webhook))


def settle(delivery: DeliveryRow, *, now_ns: int, again_ns: int | None = None, error: str = "") -> Change:
    """What became of a delivery that was taken: it is over, or due again at `again_ns`.

    That it arrived holds whoever has it by now: else one that takes longer than its time would be sent for ever. Of
    scores it does not, as others may have come since it was taken.
    """
    done_ns = now_ns if again_ns is None else None
    next_ns = delivery.next_ns if again_ns is None else again_ns
    values = (done_ns, next_ns, clean(error)[:_ERROR_CHARACTERS], *delivery.key)
    if again_ns is None and not error and delivery.event != SCORES:
        return Change(_SETTLE, values)
    return Change(f"{_SETTLE} {_IS_ITS}", (*values, delivery.tries))


def again(delivery: DeliveryRow, *, now_ns: int) -> Change:
    """Let a delivery that has failed be tried from the beginning."""
    return Change(_AGAIN, (now_ns, *delivery.key))


def begin(webhook: str, *, now_ns: int) -> Change:
    """Note that a webhook is told of what ends from here on; nothing where it was begun before."""
    return Change(_BEGIN, (webhook, _MARK, now_ns, now_ns))


def looked(webhook: str, end: EndRow, *, now_ns: int) -> Change:
    """Note that all ends up to this one were looked at for a webhook."""
    return Change(_LOOKED, (end.seq, end.name, now_ns, webhook, _MARK, now_ns))


def lose(webhook: str, count: int, *, now_ns: int) -> Change:
    """Count what a webhook will not be told of, as its runs are gone."""
    return Change(_LOSE, (webhook, _LOST, count, now_ns))


def lost_query(webhook: str) -> Query:
    """How much a webhook was still owed when it was pruned; no row where that never came about."""
    return (
        "SELECT tries FROM deliveries WHERE run_id = '' AND webhook = ? AND event = ?",
        (webhook, _LOST),
    )


def mark_query(webhook: str) -> Query:
    """How far a webhook has looked; no row where it was never begun."""
    return (
        "SELECT next_ns, error, done_ns, tries FROM deliveries WHERE run_id = '' AND webhook = ? AND event = ?",
        (webhook, _MARK),
    )


def mark_of(row: Row) -> Mark:
    """A mark from a row of `mark_query`."""
    return Mark(*row)


def due_query(webhook: str, *, now_ns: int, most: int) -> Query:
    """The deliveries of a webhook that may be taken, those that have been due for longest first.

    Scores of a run may not be while its trace is owed.
    """
    terms = f"webhook = ? AND done_ns IS NULL AND next_ns <= ? AND {_IS_ONE} AND {_IS_THERE}"
    return f"SELECT {COLUMNS} FROM deliveries d WHERE {terms} ORDER BY next_ns LIMIT ?", (
        webhook,
        now_ns,
        most,
    )


def behind_query(webhook: str) -> Query:
    """Of how many runs something waits, of how many after a failure, and when the first ended that waits as a whole.

    That is not with new scores alone. It is in nanoseconds since the epoch; None for none.
    """
    return (
        "SELECT count(DISTINCT d.run_id), count(DISTINCT CASE WHEN d.error <> '' THEN d.run_id END), "
        f"min(CASE WHEN d.event <> '{SCORES}' THEN r.ended_ns END) "
        "FROM deliveries d JOIN runs r ON r.id = d.run_id WHERE d.webhook = ? AND d.done_ns IS NULL"
    ), (webhook,)


def given_up_query(webhook: str) -> Query:
    """How many deliveries were given up."""
    return (
        "SELECT count(*) FROM deliveries "
        f"WHERE webhook = ? AND done_ns IS NOT NULL AND error <> '' AND {_IS_ONE}"
    ), (webhook,)


def take(delivery: DeliveryRow, *, until_ns: int) -> Change:
    """Take a delivery that is due, until then: nobody else takes it before."""
    return Change(
        f"UPDATE deliveries SET tries = tries + 1, next_ns = ? WHERE {_KEY}", (until_ns, *delivery.key)
    )


def places_query(after: int, *, until: int, since_ns: int, most: int) -> Query:
    """Places and names of ends behind one place, up to another, of runs that ended at `since_ns` or later."""
    return (
        "SELECT seq, run_id, epoch FROM outcomes "
        "WHERE kind = 'end' AND seq > ? AND seq <= ? AND ended_ns >= ? ORDER BY seq LIMIT ?"
    ), (after, until, since_ns, most)


_END = (
    "SELECT o.seq, o.run_id, o.epoch, o.status, o.ended_ns, r.flow, r.tenant, r.run_key, r.parent_run, r.tags, "
    "r.created_ns FROM outcomes o JOIN runs r ON r.id = o.run_id WHERE o.kind = 'end' AND "
)


def ends_query(after: int, *, since_ns: int = 0, most: int) -> Query:
    """Ends of runs behind a place, in the order in which they were recorded, at `since_ns` or later."""
    return f"{_END}o.seq > ? AND o.ended_ns >= ? ORDER BY o.seq LIMIT ?", (after, since_ns, most)


def ends_at_query(seqs: Sequence[int]) -> Query:
    """The ends at these places."""
    return f"{_END}o.seq IN ({', '.join('?' * len(seqs))}) ORDER BY o.seq", tuple(seqs)


def waits_query(after: str, *, most: int) -> Query:
    """Runs that wait for somebody, by id, behind an id; as rows of ends without a place."""
    columns = "0, id, epoch, status, 0, flow, tenant, run_key, parent_run, tags, created_ns"
    return f"SELECT {columns} FROM runs WHERE status = 'waiting' AND id > ? ORDER BY id LIMIT ?", (
        after,
        most,
    )


def end_of(row: Row) -> EndRow:
    """An end from a row of the queries above."""
    seq, run_id, epoch, status, ended_ns, flow, tenant, run_key, parent, tags, began_ns = row
    is_child = parent is not None and (run_key or "").startswith(f"{parent}/")
    return EndRow(
        *(seq, run_id, epoch, status, ended_ns, flow, tenant, is_child, began_ns, parent or ""),
        cast("dict[str, str]", orjson.loads(tags or "{}")),
    )


_ENDED = "SELECT ended_ns, status FROM outcomes WHERE run_id = ? AND kind = 'end' AND epoch = ?"


def ended_query(delivery: DeliveryRow) -> Query:
    """When the attempt ended that a delivery is about (nanoseconds since the epoch), and how."""
    return (
        f"{_ENDED} ORDER BY seq DESC LIMIT 1",
        (delivery.run_id, delivery.epoch),
    )


def deliveries_query(
    *,
    webhook: str,
    standing: Literal["waiting", "given up"],
    run_id: str | None = None,
    most: int = 100,
) -> Query:
    """What a webhook was not told yet, the next first, or what was given up, the last first."""
    terms, order = {
        "waiting": ("webhook = ? AND done_ns IS NULL", "next_ns"),
        "given up": ("webhook = ? AND done_ns IS NOT NULL AND error <> ''", "done_ns DESC"),
    }[standing]
    terms = f"{terms} AND {_IS_ONE}"
    values: tuple[object, ...] = (webhook,)
    if run_id is not None:
        terms, values = f"{terms} AND run_id = ?", (*values, run_id)
    return f"SELECT {COLUMNS} FROM deliveries WHERE {terms} ORDER BY {order} LIMIT ?", (*values, most)


def told_query(webhook: str, run_id: str) -> Query:
    """What a webhook was or is to be told of a run."""
    return (
        f"SELECT {COLUMNS} FROM deliveries WHERE run_id = ? AND webhook = ? AND {_IS_ONE} ORDER BY epoch, event",
        (
            run_id,
            webhook,
        ),
    )
