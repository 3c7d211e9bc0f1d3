"""The statements that write a ledger on Postgres: one for a whole batch, whatever its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from surefoot.ledger import rows
from surefoot.ledger.entries import EndRun
from surefoot.ledger.events import Blob
from surefoot.ledger.notary import STANDING_COLUMNS
from surefoot.ledger.payloads import Freight
from surefoot.ledger.postgres_accounts import CLOCK, settling
from surefoot.ledger.sealing import DataKey

_BYTES = frozenset(("key", "path", "digest", "inputs_sealed", "output_sealed", "payload_hash", "hash"))
_FLAGS = frozenset(("is_pure", "is_degraded", "is_cached", "is_cost_complete"))
_NUMBERS = frozenset(
    (
        *("attempt", "parent_attempt", "occurrence", "lane", "epoch", "steps", "calls", "cost_nanos"),
        *("retry_at_ns", "started_ns", "ended_ns", "first_token_ns", "lease_until_ns", "created_ns"),
        *("tokens_in", "tokens_cached", "tokens_out", "tokens_reasoning", "deadline_ns", "pruned_ns"),
    )
)


def _type_of(column: str) -> str:
    if column in _BYTES:
        return "bytea"
    if column in _FLAGS:
        return "smallint"
    return "bigint" if column in _NUMBERS else "text"


def _arrays(first: int, types: Sequence[str]) -> str:
    """An `unnest` of as many parameters, numbered from `first`."""
    return f"unnest({', '.join(f'${first + n}::{kind}[]' for n, kind in enumerate(types))})"


_OUTCOME_TYPES = [_type_of(column) for column in rows.OUTCOME_COLUMNS.split(", ")]
_RUN_NAMES = rows.RUN_COLUMNS.split(", ")
_RUN_TYPES = [_type_of(column) for column in _RUN_NAMES]
_WIDTH = len(_OUTCOME_TYPES)
_RUN_WIDTH = len(_RUN_TYPES)

# Blobs and keys are no part of a chain: one that is there already is the same.
_FREIGHT = (
    "new_blobs AS (INSERT INTO blobs (digest, size, data) "
    f"SELECT * FROM {_arrays(_WIDTH + 1, ['text', 'bigint', 'bytea'])} ON CONFLICT DO NOTHING), "
    "new_keys AS (INSERT INTO data_keys (id, run_id, wrapped) "
    f"SELECT * FROM {_arrays(_WIDTH + 4, ['text', 'text', 'bytea'])} ON CONFLICT DO NOTHING), "
)
_AFTER_FREIGHT = _WIDTH + 7


def _added(runs: str) -> str:
    """The rows of those runs. `IS TRUE` keeps the planner from a join by nested loops: it hashes the ids instead."""
    return (
        f"added AS (INSERT INTO outcomes ({rows.OUTCOME_COLUMNS}) SELECT {rows.OUTCOME_COLUMNS} "
        f"FROM {_arrays(1, _OUTCOME_TYPES)} AS o ({rows.OUTCOME_COLUMNS}) "
        f"WHERE (o.run_id IN (SELECT id FROM {runs})) IS TRUE) SELECT id FROM {runs}"
    )


_HEAD_TYPES = ["text", "bigint", "bytea", "bytea", "bytea"]
_HELD = "runs.id = h.id AND runs.epoch = h.epoch AND runs.head = h.old_head"

# Under READ COMMITTED the update waits for whoever has changed the run, and then compares with what is there: rows
# of a former epoch, or on a head that is not the last one, find no run to be added to.
_APPEND = (
    f"WITH {_FREIGHT}held AS (UPDATE runs SET head = h.new_head, mac = h.new_mac "
    f"FROM {_arrays(_AFTER_FREIGHT, _HEAD_TYPES)} AS h (id, epoch, old_head, new_head, new_mac) WHERE {_HELD} "
    "RETURNING runs.id), "
)
APPEND = f"{_APPEND}{_added('held')}"
# What the outcomes of these runs have cost is booked with them.
_OF_HELD = "WHERE (g.run_id IN (SELECT id FROM held)) IS TRUE"
APPEND_AND_SETTLE = f"{_APPEND}{settling(_AFTER_FREIGHT + len(_HEAD_TYPES), _OF_HELD)}, {_added('held')}"

_END_COLUMNS = [
    *(
        "status",
        "ended_ns",
        "failed_step",
        "error",
        "steps",
        "calls",
        "tokens_in",
        "tokens_cached",
        "tokens_out",
    ),
    *("tokens_reasoning", "cost_nanos", "is_cost_complete", "is_degraded"),
]
_END_SETS = ", ".join(
    f"{name} = CASE WHEN h.status IS NULL THEN runs.{name} ELSE h.{name} END" for name in _END_COLUMNS
)

_APPEND_AND_END = (
    f"WITH {_FREIGHT}held AS (UPDATE runs SET head = h.new_head, mac = h.new_mac, {_END_SETS}, "
    "lease_until_ns = CASE WHEN h.status IS NULL THEN runs.lease_until_ns ELSE 0 END "
    f"FROM {_arrays(_AFTER_FREIGHT, _HEAD_TYPES + [_type_of(name) for name in _END_COLUMNS])} "
    f"AS h (id, epoch, old_head, new_head, new_mac, {', '.join(_END_COLUMNS)}) WHERE {_HELD} "
    "RETURNING runs.id), "
)
APPEND_AND_END = f"{_APPEND_AND_END}{_added('held')}"
APPEND_END_AND_SETTLE = (
    f"{_APPEND_AND_END}"
    f"{settling(_AFTER_FREIGHT + len(_HEAD_TYPES) + len(_END_COLUMNS), _OF_HELD)}, {_added('held')}"
)

_RUN_VALUES = ", ".join(
    f"CASE WHEN r.lease_until_ns = 0 THEN 0 ELSE {CLOCK} + r.lease_until_ns END"
    if name == "lease_until_ns"
    else f"r.{name}"
    for name in _RUN_NAMES
)
_AFTER_RUNS = _AFTER_FREIGHT + _RUN_WIDTH + 2

START = (
    f"WITH {_FREIGHT}begun AS (INSERT INTO runs ({rows.RUN_COLUMNS}, head, mac) SELECT {_RUN_VALUES}, r.head, r.mac "
    f"FROM {_arrays(_AFTER_FREIGHT, [*_RUN_TYPES, 'bytea', 'bytea'])} AS r ({rows.RUN_COLUMNS}, head, mac) "
    "ON CONFLICT (tenant, flow, run_key) WHERE run_key IS NOT NULL DO NOTHING RETURNING id), "
    "tagged AS (INSERT INTO run_tags (name, value, run_id) SELECT t.name, t.value, t.run_id "
    f"FROM {_arrays(_AFTER_RUNS, ['text', 'text', 'text'])} AS t (name, value, run_id) "
    f"WHERE (t.run_id IN (SELECT id FROM begun)) IS TRUE), {_added('begun')}"
)

RUN_BY_KEY = f"SELECT {rows.RUN_COLUMNS} FROM runs WHERE tenant = $1 AND flow = $2 AND run_key = $3"
_LAST_HASH = "(SELECT o.hash FROM outcomes o WHERE o.run_id = runs.id ORDER BY o.seq DESC LIMIT 1)"
RUN_AND_CLOCK = f"SELECT {CLOCK}, head, mac, {_LAST_HASH}, {rows.RUN_COLUMNS} FROM runs WHERE id = $1"
HEADS = f"SELECT head, mac, {STANDING_COLUMNS} FROM runs WHERE id = ANY($1::text[])"

TAKE_OVER = (
    f"UPDATE runs SET epoch = epoch + 1, owner = $2, lease_until_ns = {CLOCK} + $3::bigint, status = 'running', "
    "ended_ns = NULL, deadline_ns = $4, head = $8, mac = $9 "
    "WHERE id = $1 AND epoch = $5 AND lease_until_ns = $6 AND status = $7 AND head IS NOT DISTINCT FROM $10 "
    f"RETURNING {rows.RUN_COLUMNS}"
)
SHORTEN = f"UPDATE runs SET lease_until_ns = {CLOCK} + $3::bigint WHERE id = $1 AND lease_until_ns = $2"
RENEW = (
    f"UPDATE runs SET lease_until_ns = {CLOCK} + $3::bigint FROM {_arrays(1, ['text', 'bigint'])} AS h (id, epoch) "
    "WHERE runs.id = h.id AND runs.epoch = h.epoch AND runs.status = 'running' RETURNING runs.id"
)
EPOCHS = "SELECT id, epoch FROM runs WHERE id = ANY($1::text[])"
RELEASE = "UPDATE runs SET lease_until_ns = 0 WHERE id = $1 AND epoch = $2"
PARK = "UPDATE runs SET lease_until_ns = $3, status = 'waiting', owner = NULL, mac = $4 WHERE id = $1 AND epoch = $2"
NOTE = (
    "INSERT INTO details (run_id, key, attempt, kind, at_ns, body) SELECT * FROM "
    f"{_arrays(1, ['text', 'bytea', 'bigint', 'text', 'bigint', 'text'])}"
)
SEND = (
    "WITH found AS (SELECT id FROM runs WHERE id = $2), "
    "sent AS (INSERT INTO inbox (id, run_id, kind, sent_ns, body, mac) SELECT $1, id, $3, $4, $5, $6 FROM found "
    "ON CONFLICT (id) DO NOTHING) SELECT id FROM found"
)
ADOPT = (
    "UPDATE inbox SET adopted_ns = $3, mac = NULL "
    "WHERE run_id = $1 AND id = ANY($2::text[]) AND adopted_ns IS NULL RETURNING id"
)

FOUND = (
    "SELECT w.n, o.hash FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bigint[], $5::bool[]) "
    "AS w (n, run_id, key, attempt, is_begun) JOIN outcomes o ON o.run_id = w.run_id AND o.key = w.key "
    "AND o.attempt = w.attempt AND (o.status = 'running') = w.is_begun"
)
"""Which of these outcomes are there, and with which hash."""


def columns_of(table: Sequence[rows.Row], width: int) -> list[Sequence[Any]]:
    """Rows as one array for each column."""
    return list(zip(*table, strict=True)) if table else [()] * width


def outcome_arrays(table: Sequence[rows.Row]) -> list[Sequence[Any]]:
    """The first parameters of every statement that adds outcomes."""
    return columns_of(table, _WIDTH)


def freight_arrays(freights: Iterable[Freight]) -> list[Sequence[Any]]:
    """The parameters for blobs and keys, each once and sorted, so that no two batches wait for each other in turn."""
    blobs: dict[str, rows.Row] = {}
    keys: dict[str, rows.Row] = {}
    for freight in freights:
        for item in freight:
            if isinstance(item, Blob):
                blobs[item.digest] = (item.digest, item.size, item.data)
            elif isinstance(item, DataKey):
                keys[item.id] = (item.id, item.run_id, item.wrapped)
    return columns_of(sorted(blobs.values()), 3) + columns_of(sorted(keys.values()), 3)


def end_columns(entry: EndRun | None) -> rows.Row:
    """What the end of a run changes in its row; nothing but nulls where it has not ended."""
    if entry is None:
        return (None,) * len(_END_COLUMNS)
    ended_ns = None if entry.status == "waiting" else entry.outcome.ended_ns
    # Postgres has no text with a zero character; this one is for people to read.
    error = entry.error.replace("\x00", "\ufffd") if entry.error else entry.error
    return (entry.status, ended_ns, entry.failed_step, error, *rows.total_columns(entry.totals))
