"""The record of every run."""

from surefoot.ledger.answers import Answers
from surefoot.ledger.bodies import Guard, Rules, Transacted, finished
from surefoot.ledger.budget import Budget
from surefoot.ledger.budgets import Account, Budgets
from surefoot.ledger.chain import Link
from surefoot.ledger.connection import engine
from surefoot.ledger.encoding import (
    Encoded,
    canonical_module,
    check_exact,
    decode,
    encode,
    encode_large,
    identity,
)
from surefoot.ledger.entries import (
    Adopt,
    Append,
    BeginExperiment,
    DropAnswers,
    EndRun,
    KeepCases,
    KeepPrompts,
    KeepVerdict,
    LedgerEntry,
    MoveLabel,
    Note,
    Release,
    Renew,
    Send,
    Settle,
    SqlBody,
    StartRun,
    TakeOver,
    Transact,
)
from surefoot.ledger.evaluations import Evaluations
from surefoot.ledger.events import (
    END_KEY,
    START_KEY,
    AnswerRow,
    Blob,
    Detail,
    Entry,
    Message,
    MessageKind,
    Outcome,
    OutcomeKind,
    Owner,
    Payload,
    RunRecord,
    Totals,
)
from surefoot.ledger.heads import head_of
from surefoot.ledger.holding import FINAL, lease_of, lease_until, refuse_pruned
from surefoot.ledger.owner import holder, is_holder_gone, is_provably_gone, this_process
from surefoot.ledger.payloads import Freight, Payloads, Privacy
from surefoot.ledger.postgres import PostgresLedger
from surefoot.ledger.prompt_rows import Pin, PromptRow
from surefoot.ledger.prompts import Prompts, pins_of
from surefoot.ledger.scored import (
    CaseRecord,
    ExperimentKind,
    ExperimentRecord,
    ScoreRecord,
    TimedScore,
    TrendBucket,
    VerdictRecord,
)
from surefoot.ledger.sealing import Keyring, seal, unseal
from surefoot.ledger.spending import CallColumn, RunColumn, Spending, Spent
from surefoot.ledger.sqlite import SqliteLedger
from surefoot.ledger.store import Ledger
from surefoot.ledger.writer import Pending

__all__ = [
    "END_KEY",
    "FINAL",
    "START_KEY",
    "Account",
    "Adopt",
    "AnswerRow",
    "Answers",
    "Append",
    "BeginExperiment",
    "Blob",
    "Budget",
    "Budgets",
    "CallColumn",
    "CaseRecord",
    "Detail",
    "DropAnswers",
    "Encoded",
    "EndRun",
    "Entry",
    "Evaluations",
    "ExperimentKind",
    "ExperimentRecord",
    "Freight",
    "Guard",
    "KeepCases",
    "KeepPrompts",
    "KeepVerdict",
    "Keyring",
    "Ledger",
    "LedgerEntry",
    "Link",
    "Message",
    "MessageKind",
    "MoveLabel",
    "Note",
    "Outcome",
    "OutcomeKind",
    "Owner",
    "Payload",
    "Payloads",
    "Pending",
    "Pin",
    "PostgresLedger",
    "Privacy",
    "PromptRow",
    "Prompts",
    "Release",
    "Renew",
    "Rules",
    "RunColumn",
    "RunRecord",
    "ScoreRecord",
    "Send",
    "Settle",
    "Spending",
    "Spent",
    "SqlBody",
    "SqliteLedger",
    "StartRun",
    "TakeOver",
    "TimedScore",
    "Totals",
    "Transact",
    "Transacted",
    "TrendBucket",
    "VerdictRecord",
    "canonical_module",
    "check_exact",
    "decode",
    "encode",
    "encode_large",
    "engine",
    "finished",
    "head_of",
    "holder",
    "identity",
    "is_holder_gone",
    "is_provably_gone",
    "lease_of",
    "lease_until",
    "pins_of",
    "refuse_pruned",
    "seal",
    "this_process",
    "unseal",
]
