"""The record of every run."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.ledger.access_rows import Change as Change
    from surefoot.ledger.access_rows import GrantRow as GrantRow
    from surefoot.ledger.access_rows import KeptToken as KeptToken
    from surefoot.ledger.access_rows import MemberRow as MemberRow
    from surefoot.ledger.access_rows import Publication as Publication
    from surefoot.ledger.access_rows import SwitchRow as SwitchRow
    from surefoot.ledger.answers import Answers as Answers
    from surefoot.ledger.audit import AuditRow as AuditRow
    from surefoot.ledger.audit import audit_query as audit_query
    from surefoot.ledger.audit import first_audit_break as first_audit_break
    from surefoot.ledger.bodies import Guard as Guard
    from surefoot.ledger.bodies import Rules as Rules
    from surefoot.ledger.bodies import Transacted as Transacted
    from surefoot.ledger.bodies import finished as finished
    from surefoot.ledger.budget import Budget as Budget
    from surefoot.ledger.budgets import Account as Account
    from surefoot.ledger.budgets import Budgets as Budgets
    from surefoot.ledger.capturing import WITHHELD as WITHHELD
    from surefoot.ledger.capturing import capture_of as capture_of
    from surefoot.ledger.chain import Link as Link
    from surefoot.ledger.connection import engine as engine
    from surefoot.ledger.deliveries import DeliveryRow as DeliveryRow
    from surefoot.ledger.deliveries import EndRow as EndRow
    from surefoot.ledger.due import due_runs as due_runs
    from surefoot.ledger.due import letters_of as letters_of
    from surefoot.ledger.due import statuses as statuses
    from surefoot.ledger.encoding import Encoded as Encoded
    from surefoot.ledger.encoding import canonical_module as canonical_module
    from surefoot.ledger.encoding import check_exact as check_exact
    from surefoot.ledger.encoding import decode as decode
    from surefoot.ledger.encoding import encode as encode
    from surefoot.ledger.encoding import encode_large as encode_large
    from surefoot.ledger.encoding import identity as identity
    from surefoot.ledger.entries import Adopt as Adopt
    from surefoot.ledger.entries import Amend as Amend
    from surefoot.ledger.entries import Append as Append
    from surefoot.ledger.entries import BeginExperiment as BeginExperiment
    from surefoot.ledger.entries import DropAnswers as DropAnswers
    from surefoot.ledger.entries import EndRun as EndRun
    from surefoot.ledger.entries import KeepCases as KeepCases
    from surefoot.ledger.entries import KeepMetrics as KeepMetrics
    from surefoot.ledger.entries import KeepPrompts as KeepPrompts
    from surefoot.ledger.entries import KeepVerdict as KeepVerdict
    from surefoot.ledger.entries import LedgerEntry as LedgerEntry
    from surefoot.ledger.entries import MoveLabel as MoveLabel
    from surefoot.ledger.entries import Note as Note
    from surefoot.ledger.entries import Release as Release
    from surefoot.ledger.entries import Renew as Renew
    from surefoot.ledger.entries import Send as Send
    from surefoot.ledger.entries import Settle as Settle
    from surefoot.ledger.entries import SqlBody as SqlBody
    from surefoot.ledger.entries import StartRun as StartRun
    from surefoot.ledger.entries import TakeDeliveries as TakeDeliveries
    from surefoot.ledger.entries import TakeOver as TakeOver
    from surefoot.ledger.entries import TellDeliveries as TellDeliveries
    from surefoot.ledger.entries import Transact as Transact
    from surefoot.ledger.evaluations import Evaluations as Evaluations
    from surefoot.ledger.events import END_KEY as END_KEY
    from surefoot.ledger.events import START_KEY as START_KEY
    from surefoot.ledger.events import AnswerRow as AnswerRow
    from surefoot.ledger.events import Blob as Blob
    from surefoot.ledger.events import Detail as Detail
    from surefoot.ledger.events import Entry as Entry
    from surefoot.ledger.events import Message as Message
    from surefoot.ledger.events import MessageKind as MessageKind
    from surefoot.ledger.events import Outcome as Outcome
    from surefoot.ledger.events import OutcomeKind as OutcomeKind
    from surefoot.ledger.events import Owner as Owner
    from surefoot.ledger.events import Payload as Payload
    from surefoot.ledger.events import RunRecord as RunRecord
    from surefoot.ledger.events import Totals as Totals
    from surefoot.ledger.following import links_after as links_after
    from surefoot.ledger.following import recorded_at as recorded_at
    from surefoot.ledger.heads import head_of as head_of
    from surefoot.ledger.holding import FINAL as FINAL
    from surefoot.ledger.holding import lease_of as lease_of
    from surefoot.ledger.holding import lease_until as lease_until
    from surefoot.ledger.holding import refuse_pruned as refuse_pruned
    from surefoot.ledger.lookout import Follower as Follower
    from surefoot.ledger.lookout import Lookout as Lookout
    from surefoot.ledger.lookout import is_one as is_one
    from surefoot.ledger.notary import not_gone_on_with as not_gone_on_with
    from surefoot.ledger.owner import holder as holder
    from surefoot.ledger.owner import is_holder_gone as is_holder_gone
    from surefoot.ledger.owner import is_provably_gone as is_provably_gone
    from surefoot.ledger.owner import this_process as this_process
    from surefoot.ledger.payloads import Freight as Freight
    from surefoot.ledger.payloads import Payloads as Payloads
    from surefoot.ledger.payloads import Privacy as Privacy
    from surefoot.ledger.postgres import PostgresLedger as PostgresLedger
    from surefoot.ledger.prompt_rows import Pin as Pin
    from surefoot.ledger.prompt_rows import PromptRow as PromptRow
    from surefoot.ledger.prompts import Prompts as Prompts
    from surefoot.ledger.prompts import pins_of as pins_of
    from surefoot.ledger.prompts import prompts_of as prompts_of
    from surefoot.ledger.prompts import tools_of as tools_of
    from surefoot.ledger.scored import CaseRecord as CaseRecord
    from surefoot.ledger.scored import ExperimentKind as ExperimentKind
    from surefoot.ledger.scored import ExperimentRecord as ExperimentRecord
    from surefoot.ledger.scored import MetricRecord as MetricRecord
    from surefoot.ledger.scored import RunScore as RunScore
    from surefoot.ledger.scored import ScoreRecord as ScoreRecord
    from surefoot.ledger.scored import Summary as Summary
    from surefoot.ledger.scored import TimedScore as TimedScore
    from surefoot.ledger.scored import TrendBucket as TrendBucket
    from surefoot.ledger.scored import VerdictRecord as VerdictRecord
    from surefoot.ledger.sealing import Keyring as Keyring
    from surefoot.ledger.sealing import seal as seal
    from surefoot.ledger.sealing import unseal as unseal
    from surefoot.ledger.spending import CallColumn as CallColumn
    from surefoot.ledger.spending import RunColumn as RunColumn
    from surefoot.ledger.spending import Spending as Spending
    from surefoot.ledger.spending import Spent as Spent
    from surefoot.ledger.sqlite import SqliteLedger as SqliteLedger
    from surefoot.ledger.store import Ledger as Ledger
    from surefoot.ledger.writer import Pending as Pending
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "answers": ["Answers"],
            "bodies": ["Guard", "Rules", "Transacted", "finished"],
            "budget": ["Budget"],
            "budgets": ["Account", "Budgets"],
            "chain": ["Link"],
            "connection": ["engine"],
            "capturing": ["WITHHELD", "capture_of"],
            "deliveries": ["DeliveryRow", "EndRow"],
            "lookout": ["Follower", "Lookout", "is_one"],
            "due": ["due_runs", "letters_of", "statuses"],
            "encoding": [
                "Encoded",
                "canonical_module",
                "check_exact",
                "decode",
                "encode",
                "encode_large",
                "identity",
            ],
            "access_rows": ["Change", "GrantRow", "KeptToken", "MemberRow", "Publication", "SwitchRow"],
            "audit": ["AuditRow", "audit_query", "first_audit_break"],
            "entries": [
                "Amend",
                "Adopt",
                "Append",
                "BeginExperiment",
                "DropAnswers",
                "EndRun",
                "KeepCases",
                "KeepMetrics",
                "KeepPrompts",
                "KeepVerdict",
                "LedgerEntry",
                "MoveLabel",
                "Note",
                "Release",
                "Renew",
                "Send",
                "Settle",
                "SqlBody",
                "StartRun",
                "TakeDeliveries",
                "TakeOver",
                "TellDeliveries",
                "Transact",
            ],
            "evaluations": ["Evaluations"],
            "events": [
                "END_KEY",
                "START_KEY",
                "AnswerRow",
                "Blob",
                "Detail",
                "Entry",
                "Message",
                "MessageKind",
                "Outcome",
                "OutcomeKind",
                "Owner",
                "Payload",
                "RunRecord",
                "Totals",
            ],
            "following": ["links_after", "recorded_at"],
            "heads": ["head_of"],
            "notary": ["not_gone_on_with"],
            "holding": ["FINAL", "lease_of", "lease_until", "refuse_pruned"],
            "owner": ["holder", "is_holder_gone", "is_provably_gone", "this_process"],
            "payloads": ["Freight", "Payloads", "Privacy"],
            "postgres": ["PostgresLedger"],
            "prompt_rows": ["Pin", "PromptRow"],
            "prompts": ["Prompts", "pins_of", "prompts_of", "tools_of"],
            "scored": [
                "CaseRecord",
                "ExperimentKind",
                "ExperimentRecord",
                "MetricRecord",
                "RunScore",
                "ScoreRecord",
                "Summary",
                "TimedScore",
                "TrendBucket",
                "VerdictRecord",
            ],
            "sealing": ["Keyring", "seal", "unseal"],
            "spending": ["CallColumn", "RunColumn", "Spending", "Spent"],
            "sqlite": ["SqliteLedger"],
            "store": ["Ledger"],
            "writer": ["Pending"],
        },
    )
