"""What can be handed to the ledger's writer, as plain data; each engine knows how to apply it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from surefoot.errors import AlreadyRecorded, LedgerError
from surefoot.ledger.access_rows import Change
from surefoot.ledger.accounts import Line
from surefoot.ledger.audit import AuditRow
from surefoot.ledger.events import Detail, Message, Outcome, Owner, RunRecord, Totals
from surefoot.ledger.payloads import Freight
from surefoot.ledger.prompt_rows import PromptRow
from surefoot.ledger.rows import Row
from surefoot.ledger.scored_rows import CaseRow
from surefoot.values import CachedChoice, CacheRow, Label, Money, RunStatus, Settlement

NEVER_NS = 1 << 62
"""A time that does not come, in nanoseconds since the epoch."""


@dataclass(slots=True)
class Append:
    """An outcome of a step, and what it has cost where money was held for it. Returns nothing.

    Where the outcome is refused, as a run that was taken over refuses it, the settlement counts all the same: the
    money is spent. `cache` says that the answer in it is given again.
    """

    outcome: Outcome
    freight: Freight
    settlement: Settlement | None = None
    cache: CacheRow | None = None


@dataclass(frozen=True, slots=True)
class StartRun:
    """A new run, with the outcome that holds its inputs, and the row of the audit on whoever begins it.

    Returns None; where the run's key is taken, nothing but that row is written and the `RunRecord` that has the key is
    returned.
    """

    run: RunRecord
    outcome: Outcome
    freight: Freight
    audit: AuditRow | None = None


@dataclass(frozen=True, slots=True)
class EndRun:
    """How a run, or one attempt at it, ended: completed, failed, cancelled, in doubt, or waiting for something."""

    outcome: Outcome
    freight: Freight
    status: RunStatus
    totals: Totals
    failed_step: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TakeOver:
    """This process wants to go on with a run. Raises the epoch, so that a former owner can write no more.

    Returns the `RunRecord` as it then is; that of a completed or cancelled run unchanged. `lease_ns` counts from when
    it is written, by the ledger's clock: what waits on its way must not come with a time that is past, or far off as
    the clock was set back meanwhile. `deadline_ns` takes the place of the run's deadline where it is given. Raises
    `LedgerCorrupt` where the MAC over the run is another one; `is_unverified` takes the run as it stands.
    """

    run_id: str
    owner: Owner
    lease_ns: int
    deadline_ns: int | None = None
    is_unverified: bool = False


@dataclass(frozen=True, slots=True)
class Renew:
    """A heartbeat: the runs that this process holds, by id and epoch. Returns those that it has lost.

    `lease_ns` counts from when it is written, as that of `TakeOver`.
    """

    held: Sequence[tuple[str, int]]
    lease_ns: int


@dataclass(frozen=True, slots=True)
class Release:
    """Give a run up without an end, so that anybody may go on with it at once.

    `is_waiting`: nobody needs to before a message comes or it is due (`due_ns`, since the epoch; None: never).
    """

    run_id: str
    epoch: int
    is_waiting: bool = False
    due_ns: int | None = None

    @property
    def until_ns(self) -> int:
        """Where the end of the lease stood, of a run that waits: when it is due."""
        if not self.is_waiting:
            return 0
        return NEVER_NS if self.due_ns is None else min(self.due_ns, NEVER_NS)


@dataclass(frozen=True, slots=True)
class Note:
    """Details, which ride along."""

    details: Sequence[Detail]


@dataclass(frozen=True, slots=True)
class Send:
    """A message to a run, into its inbox; of several with one id the first counts. Raises `UnknownRun`."""

    message: Message


@dataclass(frozen=True, slots=True)
class Adopt:
    """The owner's own row on messages that it has taken, in one commit with the mark that they are taken.

    Raises `AlreadyRecorded` where one of them was adopted before, and writes nothing.
    """

    message_ids: Sequence[str]
    outcome: Outcome
    freight: Freight


@dataclass(slots=True)
class Reserve:
    """Set money aside on all of these accounts, or on none.

    `amount` is nano-dollars; `part` is 0 for a new hold, and for more on one that is there a number of its own, which
    makes doing it again do nothing. The lines are sorted by account and in no two places on one. Returns the
    `Shortage` of each account that has too little left: none where it was granted.
    """

    hold: str
    run_id: str
    amount: int
    lines: Sequence[Line]
    owner: str
    lease_ns: int
    part: int = 0


@dataclass(slots=True)
class Settle:
    """End a hold, or a part of it, without an outcome. Returns nothing, and does nothing where that was done."""

    settlement: Settlement


@dataclass(frozen=True, slots=True)
class KeepHolds:
    """A heartbeat of calls under way: their holds, whose leases count from when it is written. Returns nothing."""

    holds: Sequence[str]
    lease_ns: int


@dataclass(frozen=True, slots=True)
class SweepHolds:
    """Book holds that nobody settles at all that is held: those of these owners, and those whose lease has ended.

    Such a hold may be settled still, which puts the truth in place of that. Returns the `Swept` ones.
    """

    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TakeFlight:
    """Ask to make a call for all that ask the same, under a token. Returns `led`, `busy` while somebody else makes it,
    or `answered` where there is an answer that is no older than `most_ns`.

    `lease_ns` counts from when it is written; that of a process that is provably gone holds nobody up.
    """

    key: bytes
    tenant: str
    token: str
    owner: Owner
    lease_ns: int
    most_ns: int


@dataclass(frozen=True, slots=True)
class KeepFlights:
    """A heartbeat of calls that are under way, by key and token. Returns nothing."""

    held: Sequence[tuple[bytes, str]]
    lease_ns: int


@dataclass(frozen=True, slots=True)
class LeaveFlight:
    """The call has ended without an answer that is given again. Returns nothing."""

    key: bytes
    token: str


@dataclass(frozen=True, slots=True)
class DropAnswers:
    """Give these answers no more; without a choice, those whose time is over. Returns how many there were."""

    choice: CachedChoice | None = None


@dataclass(frozen=True, slots=True)
class KeepPrompts:
    """Texts and uses of prompts outside of runs; what runs use goes with their outcomes. Returns nothing."""

    rows: Sequence[PromptRow]


@dataclass(frozen=True, slots=True)
class MoveLabel:
    """Point a label of a prompt at a digest, of whose text the row may come along. Returns the move as recorded.

    `id` names the move: doing it again returns the one that was recorded.
    """

    id: str
    label: Label
    rows: Sequence[PromptRow] = ()


@dataclass(frozen=True, slots=True)
class BeginExperiment:
    """A new experiment, as a row. Returns the `ExperimentRecord` that then stands under its id, perhaps another one."""

    row: Row


@dataclass(frozen=True, slots=True)
class KeepCases:
    """Judged cases of experiments with all their scores. Returns nothing.

    A case that is there is replaced, and so are the scores of the run that it stood for.
    """

    cases: Sequence[CaseRow]


@dataclass(frozen=True, slots=True)
class KeepMetrics:
    """What is known of the metrics of one experiment beside their scores, as rows. Returns nothing.

    What was noted last stands; what a judge said of labelled cases stays until its scorer is another one.
    """

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class KeepVerdict:
    """What a gate has said, as a row, and which versions of prompts it is about.

    Returns the `VerdictRecord` as recorded: that of a former time where its id is there.
    """

    row: Row
    subjects: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Amend:
    """Changes of who may do what, and the row of the audit that tells of them, in one commit.

    Returns the `AuditRow` as recorded. Its id names the entry: done again, it changes nothing and returns that.
    """

    audit: AuditRow
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class TellDeliveries:
    """Changes of what webhooks are to be told, all or none; each may be done again. Returns nothing."""

    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class TakeDeliveries:
    """Take what a webhook is to be told and nobody is at, `most` at a time, for `lease_ns` from when it is written.

    Returns the `DeliveryRow`s. Who does not settle one in time has lost it: the next one takes it, and sends it again.
    """

    webhook: str
    lease_ns: int
    most: int


SqlBody = Callable[[sqlite3.Connection], object]
"""SQL of the user's own, for the transaction that is open on the connection."""


@dataclass(slots=True)
class Transact:
    """SQL of the user's own, and the outcome that `record` makes of its value, in one commit; in a SQLite file only.

    `body` gets the connection for at most `seconds` and may be run more than once, as everything else that is written
    with it may have to be tried again. Without `run_id` there is no fence, without `record` no outcome. `what` names
    it in errors. Returns a `surefoot.ledger.Transacted`.
    """

    what: str
    body: SqlBody
    record: Callable[[object], tuple[Outcome, Freight]] | None = None
    run_id: str = ""
    epoch: int = 0
    seconds: float = 5.0
    spoiled: BaseException | None = None


RunEntry = Append | StartRun | EndRun | TakeOver | Renew | Release | Note | Send | Adopt | Transact
BudgetEntry = Reserve | Settle | KeepHolds | SweepHolds
CacheEntry = TakeFlight | KeepFlights | LeaveFlight | DropAnswers
PromptEntry = KeepPrompts | MoveLabel
ScoredEntry = BeginExperiment | KeepCases | KeepMetrics | KeepVerdict
DeliveryEntry = TellDeliveries | TakeDeliveries
LedgerEntry = RunEntry | BudgetEntry | CacheEntry | PromptEntry | ScoredEntry | Amend | DeliveryEntry


def already_recorded(entry: LedgerEntry) -> AlreadyRecorded:
    """The error for an entry whose row is there already."""
    return AlreadyRecorded(f"{_named(entry)} is recorded already; the outcome that is there stands")


def not_recordable(entry: LedgerEntry, error: Exception) -> LedgerError:
    """The error for an entry that the tables do not take."""
    failure = LedgerError(
        f"{_named(entry)} cannot be recorded ({type(error).__name__}: {error}): change what it holds"
    )
    failure.__cause__ = error
    return failure


def _named(entry: LedgerEntry) -> str:
    if isinstance(entry, Append | StartRun | EndRun | Adopt):
        outcome = entry.outcome
        return f"run {outcome.run_id}: attempt {outcome.attempt} of {outcome.kind} {outcome.name!r}"
    if isinstance(entry, Send):
        return f"run {entry.message.run_id}: message {entry.message.id}"
    if isinstance(entry, Transact):
        return entry.what
    if isinstance(entry, Reserve):
        return f"run {entry.run_id or '-'}: the hold {entry.hold} of {Money(entry.amount)}"
    if isinstance(entry, Settle):
        return f"the settlement of hold {entry.settlement.hold}"
    if isinstance(entry, MoveLabel):
        return f"the label {entry.label.label!r} of prompt {entry.label.prompt!r}"
    if isinstance(entry, BeginExperiment):
        return f"experiment {entry.row[0]}"
    if isinstance(entry, KeepCases):
        return f"a judged case of experiment {entry.cases[0].key[0]}" if entry.cases else "no case"
    if isinstance(entry, KeepMetrics):
        return f"the metrics of experiment {entry.rows[0][0]}" if entry.rows else "no metric"
    if isinstance(entry, KeepVerdict):
        return f"the verdict {entry.row[0]} of gate {entry.row[1]!r}"
    if isinstance(entry, Amend):
        return f"the audit's row on {entry.audit.action} of {entry.audit.resource}"
    return _NAMES.get(type(entry), type(entry).__name__)


_NAMES: dict[type, str] = {
    KeepPrompts: "what was used of prompts",
    TellDeliveries: "what webhooks are to be told",
    TakeDeliveries: "what webhooks are to be told",
}
