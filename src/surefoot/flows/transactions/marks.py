"""The row in the user's database that says that a step is done: written in the step's own transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

TABLE = "surefoot_markers"

SQLITE_DDL = f"""\
CREATE TABLE IF NOT EXISTS {TABLE} (
  run_id TEXT NOT NULL,
  step TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  inputs BLOB NOT NULL,
  result BLOB NOT NULL,
  made_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (run_id, step)
)"""

POSTGRES_DDL = f"""\
CREATE TABLE IF NOT EXISTS {TABLE} (
  run_id text NOT NULL,
  step text NOT NULL,
  epoch bigint NOT NULL,
  inputs bytea NOT NULL,
  result bytea NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, step)
)"""


@dataclass(frozen=True, slots=True)
class Found:
    """A marker that is there: the digest of the inputs it was made for, and the result as stored."""

    inputs: bytes
    result: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Which step of which run a transaction is for. `step` is the step's key in hex, `inputs` the digest of its inputs.

    `may_be_there`: somebody else has had the run, and may have committed. `seal` and `unseal` turn a result into what
    is stored and back.
    """

    run_id: str
    step: str
    epoch: int
    inputs: bytes
    may_be_there: bool
    accepts_divergence: bool
    seal: Callable[[object], bytes]
    unseal: Callable[[bytes], object]
