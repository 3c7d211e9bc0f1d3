"""The record of every run."""

from surefoot.ledger.chain import Link
from surefoot.ledger.connection import engine
from surefoot.ledger.encoding import canonical_module, decode, encode, identity
from surefoot.ledger.entries import Append, EndRun, LedgerEntry, Note, Release, Renew, StartRun, TakeOver
from surefoot.ledger.events import (
    END_KEY,
    START_KEY,
    Blob,
    Detail,
    Entry,
    Outcome,
    OutcomeKind,
    Owner,
    Payload,
    RunRecord,
    Totals,
)
from surefoot.ledger.owner import is_provably_gone, this_process
from surefoot.ledger.payloads import Freight, Payloads, Privacy
from surefoot.ledger.sealing import Keyring
from surefoot.ledger.sqlite import SqliteLedger, lease_until
from surefoot.ledger.writer import Pending

__all__ = [
    "END_KEY",
    "START_KEY",
    "Append",
    "Blob",
    "Detail",
    "EndRun",
    "Entry",
    "Freight",
    "Keyring",
    "LedgerEntry",
    "Link",
    "Note",
    "Outcome",
    "OutcomeKind",
    "Owner",
    "Payload",
    "Payloads",
    "Pending",
    "Privacy",
    "Release",
    "Renew",
    "RunRecord",
    "SqliteLedger",
    "StartRun",
    "TakeOver",
    "Totals",
    "canonical_module",
    "decode",
    "encode",
    "engine",
    "identity",
    "is_provably_gone",
    "lease_until",
    "this_process",
]
