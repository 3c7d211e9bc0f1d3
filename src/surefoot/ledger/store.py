"""What every ledger can do, whichever engine holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from surefoot.ledger.accounts import AccountQuery, AccountRow
from surefoot.ledger.chain import Link
from surefoot.ledger.encoding import Encoded
from surefoot.ledger.entries import LedgerEntry
from surefoot.ledger.events import AnswerRow, Detail, Message, Outcome, Payload, RunRecord
from surefoot.ledger.listing import Query
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.rows import Row
from surefoot.ledger.sealing import DataKey
from surefoot.ledger.spending import Spending, Spent
from surefoot.ledger.writer import Pending
from surefoot.values import CachedCount, RunStatus


class Ledger(Protocol):
    """The record of every run. All methods may be called from any thread; errors are `LedgerError` and its kin."""

    @property
    def where(self) -> str:
        """The file, or the database without its password, for messages."""
        ...

    @property
    def payloads(self) -> Payloads: ...

    # Writing

    def submit(self, entry: LedgerEntry) -> Pending:
        """Hand an entry over; wait on what is returned, or await it, to know it durable."""
        ...

    def on_tick(self, tick: Callable[[], float | None]) -> None:
        """Call `tick` from the writer's thread, beside others.

        It returns in how many seconds it wants to be called again, None for not before somebody nudges. It may be
        called sooner.
        """
        ...

    def nudge(self) -> None:
        """See to it that what is queued gets written, and that `tick` is called."""
        ...

    def close(self) -> None:
        """Write what is queued and let go of file or server."""
        ...

    # Reading

    def run(self, run_id: str) -> RunRecord:
        """The run with this id, with an id that begins so, or the newest one for `last`. Raises `UnknownRun`."""
        ...

    def runs(
        self,
        *,
        flow: str | None = None,
        status: RunStatus | None = None,
        tenant: str | None = None,
        principal: str | None = None,
        session: str | None = None,
        tags: Mapping[str, str] | None = None,
        without_tag: str | None = None,
        run_key: str | None = None,
        parent_run: str | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        before: str | None = None,
        limit: int | None = 50,
    ) -> list[RunRecord]:
        """The newest runs first, all of them without a limit; `before` is the id that a former page ended with.

        `tags` are those that a run must have, among others, `without_tag` is the name of one that it must not have:
        `experiment` leaves out what evaluations have run. A run began at `since_ns` or later, and before `until_ns`
        (nanoseconds since the epoch).
        """
        ...

    def start(self, run_id: str) -> Outcome:
        """The outcome with which a run began; its inputs are what the flow was called with."""
        ...

    def history(self, run_id: str) -> list[Link]:
        """All outcomes of a run in the order in which they were recorded."""
        ...

    def outcomes(self, run_id: str) -> list[Outcome]:
        """What `history` gives, without the chain: for going on with a run."""
        ...

    def end(self, run_id: str) -> Outcome | None:
        """The outcome with which a run, or the last attempt at it, ended; None where it has not."""
        ...

    def outcomes_of(self, flow: str, *, since_ns: int = 0) -> Iterator[Outcome]:
        """The outcomes of a flow's runs that began at `since_ns` or later (nanoseconds since the epoch).

        They come without payloads and one by one, however many there are: run after run, in a run the attempts
        of each step together and in order. Steps that have only begun are left out.
        """
        ...

    def spent(self, spending: Spending) -> list[Spent]:
        """What model calls have used, of all runs, added up in groups; sums of pruned runs are groups of their own."""
        ...

    def answer(self, key: bytes, *, tenant: str) -> AnswerRow | None:
        """Where the answer under a key of the cache lies; None where there is none, or its run was pruned."""
        ...

    def answer_counts(self) -> list[CachedCount]:
        """How many answers are given again, by flow and prompt, the most first."""
        ...

    def ask(self, query: Query, *, patience: float | None = None) -> list[Row]:
        """What a query of this room finds, in the SQL that both engines understand; nothing while nothing is recorded.

        patience: seconds for which a server that is away is waited for, instead of the ledger's own.
        """
        ...

    def accounts(self, query: AccountQuery) -> list[AccountRow]:
        """Accounts of budgets, as they stand."""
        ...

    def hold_owners(self) -> list[str]:
        """Whose holds are under way: owners, as they were written, each once."""
        ...

    def details(self, run_id: str) -> list[Detail]:
        """What rode along: steps that had begun, in order."""
        ...

    def messages(self, run_ids: Sequence[str]) -> list[Message]:
        """What was sent to these runs and not adopted yet, the oldest first."""
        ...

    def view(self, payload: Payload) -> str:
        """The recorded text that people may read."""
        ...

    def exact(self, run_id: str, payload: Payload) -> str:
        """The recorded text as it was, for going on with the run."""
        ...

    def exact_large(self, run_id: str, payload: Payload) -> Encoded:
        """What `exact` gives, as UTF-8 if it is large: for decoding without a copy of the text."""
        ...

    def first_break(self, run_id: str) -> str | None:
        """Where the record of a run is not what this application has written, in words; None where it is.

        The hash chain, with blobs read and compared; the MAC over the run and its head; messages that it has not taken
        yet, and what it means by prompts.
        """
        ...

    def checked(self, run_id: str) -> tuple[list[Link], str | None]:
        """All outcomes of a run as `history` gives them, and what `first_break` says of them: both of one moment."""
        ...

    def broken_end(self, run_id: str) -> str | None:
        """What is wrong with the end of a run, and so with what it returned, in words; None where nothing is."""
        ...

    def open_keys(self, run_id: str) -> None:
        """Make a run's keys ready for going on with it. Raises `LedgerError` under another application key."""
        ...

    def blob(self, digest: str) -> bytes | None: ...

    def data_key(self, key_id: str) -> DataKey | None: ...

    def local_digest(self, digest: str) -> str | None:
        """What is kept of a blob that is named by the key of another application, by which it is checked."""
        ...

    # Its state

    def format(self) -> int:
        """The version of the tables; 0 where nothing was recorded yet. Raises `LedgerTooNew`."""
        ...

    def check(self) -> str:
        """What a quick look at the store's own health says: `ok`, or what is damaged."""
        ...

    def engine(self) -> str:
        """What holds the ledger, by name and version."""
        ...
