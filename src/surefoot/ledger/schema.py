"""The ledger's tables on SQLite, and the steps from each released version of them to the next."""

from __future__ import annotations

import re
import sqlite3

from surefoot.errors import LedgerError, LedgerTooNew
from surefoot.ledger.attesting import attest
from surefoot.ledger.payloads import Payloads

VERSION = 9
ATTESTED = 8
"""The version from which on what is gone on with has a MAC."""

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

# The intent of a step and its outcome share key and attempt. Lists of runs are found by one of the narrow indexes;
# where none is narrow, `runs_by_facets` answers without touching the rows.
# `runs.pruned` says how far a run was pruned (see `retention`); blobs that came from a ledger with another key are
# named by that key, so `imported_blobs` holds the digest by which they are checked here.
_V2 = """
ALTER TABLE ledger ADD COLUMN readable_by INTEGER NOT NULL DEFAULT 2;

DROP INDEX outcomes_by_step;
CREATE UNIQUE INDEX outcomes_by_step ON outcomes (run_id, key, attempt, (status = 'running'));

ALTER TABLE runs ADD COLUMN deadline_ns INTEGER;
ALTER TABLE runs ADD COLUMN pruned_ns INTEGER;
ALTER TABLE runs ADD COLUMN pruned TEXT;
DROP INDEX runs_by_tenant;
CREATE INDEX runs_by_tenant ON runs (tenant, id) WHERE tenant <> '';
CREATE INDEX runs_by_principal ON runs (principal, id) WHERE principal <> '';
CREATE INDEX runs_by_session ON runs (session, id) WHERE session <> '';
CREATE INDEX runs_by_parent ON runs (parent_run, id) WHERE parent_run IS NOT NULL;
CREATE INDEX runs_by_key_alone ON runs (run_key, id) WHERE run_key IS NOT NULL;
CREATE INDEX runs_by_facets ON runs (id, flow, status, tenant, principal, session, created_ns);

CREATE TABLE run_tags (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (name, value, run_id)
) STRICT, WITHOUT ROWID;
INSERT INTO run_tags SELECT tag.key, tag.value, runs.id FROM runs, json_each(runs.tags) AS tag;

CREATE TABLE imported_blobs (
  digest TEXT PRIMARY KEY,
  local_digest TEXT NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE inbox ADD COLUMN id TEXT NOT NULL DEFAULT '';
UPDATE inbox SET id = 'v1-' || seq;
CREATE UNIQUE INDEX inbox_by_id ON inbox (id);
DROP INDEX inbox_by_run;
CREATE INDEX inbox_waiting ON inbox (run_id, seq) WHERE adopted_ns IS NULL;
"""

# What calls have used is added up without touching their rows, which hold their payloads too.
_V3 = """
CREATE INDEX outcomes_calls ON outcomes (
  ended_ns, status, is_cached, run_id, provider, served_model, prompt_name, prompt_version,
  tokens_in, tokens_cached, tokens_out, tokens_reasoning, cost_nanos, kind
) WHERE kind = 'call';
CREATE INDEX runs_pruned ON runs (ended_ns) WHERE pruned = 'run';
"""

# What may be spent, by budget, whose and period, and what is held of it for calls under way (see `budgets`).
_BUDGETS = """
CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  budget TEXT NOT NULL,
  kind TEXT NOT NULL,
  whose TEXT NOT NULL,
  period TEXT NOT NULL,
  ends_ns INTEGER,
  spent INTEGER NOT NULL,
  held INTEGER NOT NULL,
  unsure INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  accounts TEXT NOT NULL,
  held INTEGER NOT NULL,
  parts TEXT NOT NULL,
  owner TEXT NOT NULL,
  lease_until_ns INTEGER NOT NULL,
  swept_ns INTEGER
) STRICT, WITHOUT ROWID;
"""

# Which outcomes hold answers that are given again, and who makes a call for all that ask the same (see `answers`).
_ANSWERS = """
CREATE TABLE answers (
  key BLOB PRIMARY KEY,
  tenant TEXT NOT NULL,
  flow TEXT NOT NULL,
  prompt TEXT NOT NULL,
  run_id TEXT NOT NULL,
  step BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  made_ns INTEGER NOT NULL,
  expires_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_by_expiry ON answers (expires_ns);

CREATE TABLE flights (
  key BLOB PRIMARY KEY,
  token TEXT NOT NULL,
  owner TEXT NOT NULL,
  lease_until_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

_V4 = _BUDGETS + _ANSWERS

# Versions of prompts that were used, what references to them mean in runs, how they were used, and every move of their
# labels, of which the newest counts (see `prompts`).
_V5 = """
CREATE TABLE prompt_texts (
  digest TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  dialect TEXT NOT NULL,
  source TEXT NOT NULL,
  view TEXT NOT NULL,
  sealed BLOB,
  first_seen_ns INTEGER NOT NULL,
  PRIMARY KEY (digest, name)
) STRICT;
CREATE INDEX prompt_texts_by_name ON prompt_texts (name, version, first_seen_ns);

CREATE TABLE prompt_labels (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  prompt TEXT NOT NULL,
  label TEXT NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  before_digest TEXT NOT NULL,
  moved_by TEXT NOT NULL,
  reason TEXT NOT NULL,
  moved_ns INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX prompt_labels_by_id ON prompt_labels (id);
CREATE INDEX prompt_labels_by_label ON prompt_labels (prompt, label, seq);

CREATE TABLE prompt_pins (
  run_id TEXT NOT NULL,
  reference TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (run_id, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE prompt_uses (
  id TEXT PRIMARY KEY,
  prompt TEXT NOT NULL,
  reference TEXT NOT NULL,
  digest TEXT NOT NULL,
  flow TEXT NOT NULL,
  inputs TEXT NOT NULL,
  output TEXT,
  file TEXT NOT NULL,
  line INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  used_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX prompt_uses_by_prompt ON prompt_uses (prompt, used_ns);
"""

# Experiments with what their metrics are, their judged cases with scores, and what gates have said of them (see
# `evaluations`). A score holds what it is looked for by, so that scores over time are read from one index.
_V6 = """
CREATE TABLE experiments (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  flow TEXT NOT NULL,
  flow_version TEXT NOT NULL,
  code_digest TEXT NOT NULL,
  dataset TEXT NOT NULL,
  dataset_version TEXT NOT NULL,
  dataset_size INTEGER NOT NULL,
  cases INTEGER NOT NULL,
  repeats INTEGER NOT NULL,
  prompts TEXT NOT NULL,
  settings TEXT NOT NULL,
  tenant TEXT NOT NULL,
  principal TEXT NOT NULL,
  begun_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX experiments_by_flow ON experiments (flow, begun_ns);
CREATE INDEX experiments_by_time ON experiments (begun_ns);

CREATE TABLE experiment_cases (
  experiment TEXT NOT NULL,
  case_id TEXT NOT NULL,
  repeat INTEGER NOT NULL,
  place INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  status TEXT NOT NULL,
  error TEXT NOT NULL,
  metadata TEXT NOT NULL,
  latency_ns INTEGER,
  scored_ns INTEGER NOT NULL,
  steps INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL,
  tokens_cached INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  tokens_reasoning INTEGER NOT NULL,
  cost_nanos INTEGER NOT NULL,
  is_cost_complete INTEGER NOT NULL,
  is_degraded INTEGER NOT NULL,
  judging_steps INTEGER NOT NULL,
  judging_calls INTEGER NOT NULL,
  judging_tokens_in INTEGER NOT NULL,
  judging_tokens_cached INTEGER NOT NULL,
  judging_tokens_out INTEGER NOT NULL,
  judging_tokens_reasoning INTEGER NOT NULL,
  judging_cost_nanos INTEGER NOT NULL,
  judging_is_cost_complete INTEGER NOT NULL,
  judging_is_degraded INTEGER NOT NULL,
  PRIMARY KEY (experiment, case_id, repeat)
) STRICT, WITHOUT ROWID;
CREATE INDEX experiment_cases_by_place ON experiment_cases (experiment, place, case_id, repeat);
CREATE INDEX experiment_cases_by_run ON experiment_cases (run_id);

CREATE TABLE scores (
  run_id TEXT NOT NULL,
  experiment TEXT NOT NULL,
  metric TEXT NOT NULL,
  flow TEXT NOT NULL,
  kind TEXT NOT NULL,
  tenant TEXT NOT NULL,
  value_type TEXT NOT NULL,
  number REAL,
  label TEXT,
  reason TEXT NOT NULL,
  failure TEXT NOT NULL,
  scorer TEXT NOT NULL,
  judge_run TEXT NOT NULL,
  scored_ns INTEGER NOT NULL,
  PRIMARY KEY (run_id, experiment, metric)
) STRICT, WITHOUT ROWID;
CREATE INDEX scores_by_metric ON scores (metric, scored_ns, flow, kind, tenant, value_type, number, label);

CREATE TABLE experiment_metrics (
  experiment TEXT NOT NULL,
  metric TEXT NOT NULL,
  place INTEGER NOT NULL,
  scorer TEXT NOT NULL,
  direction TEXT NOT NULL,
  low REAL,
  high REAL,
  labelled TEXT NOT NULL,
  said TEXT NOT NULL,
  noted_ns INTEGER NOT NULL,
  PRIMARY KEY (experiment, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE verdicts (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  gate TEXT NOT NULL,
  gate_digest TEXT NOT NULL,
  candidate TEXT NOT NULL,
  baseline TEXT NOT NULL,
  subjects TEXT NOT NULL,
  baselines TEXT NOT NULL,
  has_passed INTEGER NOT NULL,
  reasons TEXT NOT NULL,
  judged_by TEXT NOT NULL,
  judged_ns INTEGER NOT NULL,
  tenant TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX verdicts_by_id ON verdicts (id);
CREATE INDEX verdicts_by_gate ON verdicts (gate, seq);

CREATE TABLE verdict_subjects (
  prompt TEXT NOT NULL,
  digest TEXT NOT NULL,
  verdict TEXT NOT NULL,
  PRIMARY KEY (prompt, digest, verdict)
) STRICT, WITHOUT ROWID;
"""

# What guards have decided in a step, and which parts of what it gave are trusted although the whole is not.
_V7 = """
ALTER TABLE outcomes ADD COLUMN decisions TEXT;
ALTER TABLE outcomes ADD COLUMN endorsed TEXT;
"""

# MACs under the application's key, by which a run, a message to it and what it means by a prompt are known as its own
# (see `notary`). A library that does not know of them would write runs that nobody goes on with.
_V8 = """
ALTER TABLE runs ADD COLUMN mac BLOB;
ALTER TABLE inbox ADD COLUMN mac BLOB;
ALTER TABLE prompt_pins ADD COLUMN mac BLOB;
UPDATE ledger SET readable_by = 8;
"""

# Who may do what, what flows may use, and the audit of both (see `audit` and `access_rows`). What webhooks are told of
# runs (see `deliveries`), and the ends of runs in the order in which they were recorded, so that none is missed.
_V9 = """
CREATE TABLE principals (
  who TEXT PRIMARY KEY,
  organisation TEXT NOT NULL,
  is_disabled INTEGER NOT NULL,
  added_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE memberships (
  who TEXT NOT NULL,
  group_name TEXT NOT NULL,
  PRIMARY KEY (who, group_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
  who TEXT NOT NULL,
  role TEXT NOT NULL,
  scope TEXT NOT NULL,
  granted_by TEXT NOT NULL,
  granted_ns INTEGER NOT NULL,
  PRIMARY KEY (who, role, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  digest BLOB PRIMARY KEY,
  shown TEXT NOT NULL,
  who TEXT NOT NULL,
  name TEXT NOT NULL,
  created_ns INTEGER NOT NULL,
  scopes TEXT NOT NULL,
  expires_ns INTEGER,
  revoked_ns INTEGER,
  used_ns INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_owner ON tokens (who, created_ns);

CREATE TABLE publications (
  organisation TEXT NOT NULL,
  flow TEXT NOT NULL,
  digest TEXT NOT NULL,
  uses TEXT NOT NULL,
  published_by TEXT NOT NULL,
  published_ns INTEGER NOT NULL,
  approved_by TEXT NOT NULL,
  approved_ns INTEGER,
  withdrawn_ns INTEGER,
  PRIMARY KEY (organisation, flow, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE switches (
  organisation TEXT NOT NULL,
  what TEXT NOT NULL,
  reason TEXT NOT NULL,
  switched_by TEXT NOT NULL,
  at_ns INTEGER NOT NULL,
  PRIMARY KEY (organisation, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  at_ns INTEGER NOT NULL,
  organisation TEXT NOT NULL,
  who TEXT NOT NULL,
  action TEXT NOT NULL,
  resource TEXT NOT NULL,
  decision TEXT NOT NULL,
  reason TEXT NOT NULL,
  request_id TEXT NOT NULL,
  details TEXT NOT NULL,
  previous BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_by_id ON audit (id);
CREATE INDEX audit_by_who ON audit (who, seq);
CREATE INDEX audit_by_organisation ON audit (organisation, seq);

CREATE TABLE deliveries (
  webhook TEXT NOT NULL,
  run_id TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  event TEXT NOT NULL,
  tries INTEGER NOT NULL,
  next_ns INTEGER NOT NULL,
  done_ns INTEGER,
  error TEXT NOT NULL,
  PRIMARY KEY (run_id, webhook, epoch, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (webhook, next_ns) WHERE done_ns IS NULL;
CREATE INDEX deliveries_failed ON deliveries (webhook, done_ns) WHERE done_ns IS NOT NULL AND error <> '';
CREATE INDEX outcomes_ends ON outcomes (kind, seq) WHERE kind = 'end';
"""

# A step after these either *expands*: what it adds has a default or may be null, and can be ignored by the version
# before, which goes on working beside the new one. Or it *contracts* and takes away what no version needs that is
# still in use: then it sets `ledger.readable_by` to the version that a library must know from there on.
_STEPS: dict[int, str] = {0: _V1, 1: _V2, 2: _V3, 3: _V4, 4: _V5, 5: _V6, 6: _V7, 7: _V8, 8: _V9}

TABLES = frozenset(re.findall(r"CREATE TABLE (\w+)", "".join(_STEPS.values())))
"""The tables that are the ledger's own."""


def since(table: str) -> int:
    """The version from which on a table is there. Raises `KeyError`."""
    for before, statements in _STEPS.items():
        if f"CREATE TABLE {table} (" in statements:
            return before + 1
    raise KeyError(table)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the tables in this file; 0 for an empty one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def refuse_newer(version: int, *, where: str, readable_by: int | None = None) -> None:
    """Raise `LedgerTooNew` for tables from which a newer Surefoot took what this one needs.

    Without `readable_by`, for all of a later version: whoever works on the store as a whole has to know all of it.
    """
    needed = version if readable_by is None else readable_by
    if needed > VERSION:
        raise LedgerTooNew(
            f"the ledger {where} has format {version} and needs a Surefoot that knows {needed}, this one knows "
            f"{VERSION}: upgrade Surefoot, or point SUREFOOT_LEDGER_PATH at another file"
        )


def refuse_unreadable(connection: sqlite3.Connection, *, where: str) -> None:
    """Raise `LedgerTooNew` for a file in which runs can be neither read nor written; it is left as it is."""
    version = version_of(connection)
    if version > VERSION:
        refuse_newer(version, where=where, readable_by=_readable_by(connection, version))


def _readable_by(connection: sqlite3.Connection, version: int) -> int:
    try:
        found = connection.execute("SELECT readable_by FROM ledger").fetchone()
    except sqlite3.OperationalError:
        return version
    return version if found is None else int(found[0])


def refuse_foreign(connection: sqlite3.Connection, *, where: str) -> None:
    """Raise `LedgerTooNew`, or `LedgerError` for a database that holds something else; it is left as it is."""
    version = version_of(connection)
    refuse_unreadable(connection, where=where)
    found = connection.execute("SELECT name FROM sqlite_schema LIMIT 1").fetchone()
    if version == 0 and found is not None:
        raise LedgerError(
            f"{where} is the database of something else (it holds {found[0]!r}): "
            "point SUREFOOT_LEDGER_PATH at another file"
        )


def migrate(
    connection: sqlite3.Connection, *, ledger_id: str, created_by: str, where: str, payloads: Payloads
) -> None:
    """Bring the tables to `VERSION`, each step in a transaction of its own.

    Raises `LedgerTooNew`, and `LedgerError` where the key of `payloads` is not the one that the ledger was sealed with.
    """
    refuse_unreadable(connection, where=where)
    while (version := version_of(connection)) < VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have migrated while this one waited for the lock.
            if version_of(connection) == version:
                for statement in _STEPS[version].split(";\n"):
                    if statement.strip():
                        connection.execute(statement)
                if version == 0:
                    connection.execute("INSERT INTO ledger VALUES (?, ?, ?)", (ledger_id, 1, created_by))
                if version + 1 == ATTESTED:
                    attest(connection, payloads, where)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
