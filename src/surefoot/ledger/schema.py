"""The ledger's tables on SQLite, and the steps from each released version of them to the next."""

from __future__ import annotations

import sqlite3

from surefoot.errors import LedgerError, LedgerTooNew

VERSION = 1

# `outcomes` and `runs` hold a column for everything that later features record, so that rows of today stay rows.
_V1 = """
CREATE TABLE ledger (
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_by TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  flow TEXT NOT NULL,
  flow_version TEXT NOT NULL,
  entry TEXT NOT NULL,
  code_digest TEXT NOT NULL,
  status TEXT NOT NULL,
  tenant TEXT NOT NULL,
  principal TEXT NOT NULL,
  session TEXT NOT NULL,
  tags TEXT NOT NULL,
  run_key TEXT,
  parent_run TEXT,
  epoch INTEGER NOT NULL,
  owner TEXT,
  lease_until_ns INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  ended_ns INTEGER,
  failed_step TEXT,
  error TEXT,
  steps INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL,
  tokens_cached INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  tokens_reasoning INTEGER NOT NULL,
  cost_nanos INTEGER NOT NULL,
  is_cost_complete INTEGER NOT NULL,
  is_degraded INTEGER NOT NULL,
  head BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_by_flow ON runs (flow, id);
CREATE INDEX runs_by_status ON runs (status, id);
CREATE INDEX runs_by_tenant ON runs (tenant, id);
CREATE UNIQUE INDEX runs_by_key ON runs (tenant, flow, run_key) WHERE run_key IS NOT NULL;

CREATE TABLE outcomes (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  key BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  path BLOB NOT NULL,
  parent_attempt INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  digest BLOB NOT NULL,
  user_key TEXT,
  occurrence INTEGER NOT NULL,
  lane INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  status TEXT NOT NULL,
  trust TEXT NOT NULL,
  is_pure INTEGER NOT NULL,
  is_degraded INTEGER NOT NULL,
  is_cached INTEGER NOT NULL,
  retry_at_ns INTEGER,
  started_ns INTEGER NOT NULL,
  ended_ns INTEGER NOT NULL,
  first_token_ns INTEGER,
  prompt_name TEXT,
  prompt_version TEXT,
  prompt_digest TEXT,
  provider TEXT,
  requested_model TEXT,
  served_model TEXT,
  tokens_in INTEGER,
  tokens_cached INTEGER,
  tokens_out INTEGER,
  tokens_reasoning INTEGER,
  cost_nanos INTEGER,
  inputs_view TEXT,
  inputs_sealed BLOB,
  inputs_key_id TEXT,
  output_view TEXT,
  output_sealed BLOB,
  output_key_id TEXT,
  payload_hash BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX outcomes_by_step ON outcomes (run_id, key, attempt);

CREATE TABLE details (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  key BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at_ns INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX details_by_run ON details (run_id);

CREATE TABLE blobs (
  digest TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;

CREATE TABLE data_keys (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  wrapped BLOB NOT NULL
) STRICT;
CREATE INDEX data_keys_by_run ON data_keys (run_id);

CREATE TABLE inbox (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  sent_ns INTEGER NOT NULL,
  body TEXT NOT NULL,
  adopted_ns INTEGER
) STRICT;
CREATE INDEX inbox_by_run ON inbox (run_id);
"""

_STEPS: dict[int, str] = {0: _V1}


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the tables in this file; 0 for an empty one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def refuse_newer(version: int, *, where: str) -> None:
    """Raise `LedgerTooNew` for a file that a newer Surefoot wrote; it is left as it is."""
    if version > VERSION:
        raise LedgerTooNew(
            f"the ledger {where} has format {version}, this Surefoot knows {VERSION}: "
            "upgrade Surefoot, or point SUREFOOT_LEDGER_PATH at another file"
        )


def refuse_foreign(connection: sqlite3.Connection, *, where: str) -> None:
    """Raise `LedgerTooNew`, or `LedgerError` for a database that holds something else; it is left as it is."""
    version = version_of(connection)
    refuse_newer(version, where=where)
    found = connection.execute("SELECT name FROM sqlite_schema LIMIT 1").fetchone()
    if version == 0 and found is not None:
        raise LedgerError(
            f"{where} is the database of something else (it holds {found[0]!r}): "
            "point SUREFOOT_LEDGER_PATH at another file"
        )


def migrate(connection: sqlite3.Connection, *, ledger_id: str, created_by: str, where: str) -> None:
    """Bring the tables to `VERSION`, each step in a transaction of its own. Raises `LedgerTooNew`."""
    while (version := version_of(connection)) != VERSION:
        refuse_newer(version, where=where)
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have migrated while this one waited for the lock.
            if version_of(connection) == version:
                for statement in _STEPS[version].split(";\n"):
                    if statement.strip():
                        connection.execute(statement)
                if version == 0:
                    connection.execute("INSERT INTO ledger VALUES (?, ?, ?)", (ledger_id, 1, created_by))
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
