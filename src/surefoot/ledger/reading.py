"""Reading a ledger in the SQL that both engines understand, with `?` for parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from surefoot import scope
from surefoot.errors import LedgerCorrupt, UnknownRun
from surefoot.ledger import prompt_rows, rows
from surefoot.ledger.accounts import AccountQuery, AccountRow
from surefoot.ledger.chain import GENESIS, Link, broken_link, first_break, named, removed
from surefoot.ledger.encoding import Encoded
from surefoot.ledger.events import (
    END_KEY,
    START_KEY,
    AnswerRow,
    Detail,
    Message,
    Outcome,
    Payload,
    RunRecord,
)
from surefoot.ledger.listing import Query, Wanted
from surefoot.ledger.notary import NOT_OURS, STANDING_COLUMNS, Standing, changed_pin, not_sent
from surefoot.ledger.payloads import Payloads
from surefoot.ledger.sealing import DataKey
from surefoot.ledger.spending import Spending, Spent
from surefoot.values import CachedCount, RunStatus

_FEW = 50
_STANDING = f"SELECT tenant AS whose, head, mac, {STANDING_COLUMNS} FROM runs WHERE id = ?"

log = scope.logger("surefoot.ledger")


class Reading(ABC):
    """What `surefoot.ledger.Ledger` reads, on whatever engine `_read` asks."""

    payloads: Payloads
    # Messages that were found not to be this application's: each is told of once.
    _foreign: set[str]
    # How the outcomes of a run are found.
    _of_run = "run_id = ?"
    # The clock of the store, in nanoseconds since the epoch.
    _clock = "(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"
    # How a join goes from a call to its run.
    _to_run = "JOIN"

    @property
    @abstractmethod
    def where(self) -> str:
        """The file, or the database without its password, for messages."""

    @abstractmethod
    def _read(self, statement: str, *parameters: object) -> list[rows.Row]:
        """All rows that a query finds; none while nothing is recorded."""

    def run(self, run_id: str) -> RunRecord:
        """The run with this id, with an id that begins so, or the newest one for `last`. Raises `UnknownRun`.

        A child run is not the last one: that is the run that began it.
        """
        select = f"SELECT {rows.RUN_COLUMNS} FROM runs"
        if run_id == "last":
            found = self._read(f"{select} ORDER BY id DESC LIMIT 1")
            if not found:
                raise UnknownRun(f"the ledger {self.where} holds no runs yet")
            last = rows.run_record(found[0])
            while last.is_child and (found := self._read(f"{select} WHERE id = ?", last.parent_run)):
                last = rows.run_record(found[0])
            return last
        wanted = run_id.strip().upper()
        found = (
            self._read(f"{select} WHERE id >= ? AND id < ? LIMIT 5", wanted, wanted + "~") if wanted else []
        )
        if len(found) == 1 or (found and found[0][0] == wanted):
            return rows.run_record(found[0])
        if found:
            raise UnknownRun(
                f"{run_id!r} is the beginning of several runs: {', '.join(row[0] for row in found)}"
            )
        raise UnknownRun(f"no run {run_id!r} in the ledger {self.where}: `surefoot runs` lists what is there")

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
        columns = {
            "flow": flow,
            "status": status,
            "tenant": tenant,
            "principal": principal,
            "session": session,
            "run_key": run_key,
            "parent_run": parent_run,
        }
        wanted = Wanted(
            {column: value for column, value in columns.items() if value is not None},
            # As they are written; see where a run begins.
            {name: self.payloads.readable(value) for name, value in (tags or {}).items()},
            since_ns=since_ns,
            until_ns=until_ns,
            before=before,
            limit=limit,
            without_tag=without_tag,
        )
        return [rows.run_record(row) for row in self._listed(wanted)]

    def _listed(self, wanted: Wanted) -> list[rows.Row]:
        return self.ask(wanted.query())

    def spent(self, spending: Spending) -> list[Spent]:
        """See `surefoot.ledger.Ledger.spent`."""
        statement, values = spending.of_calls(self._to_run)
        found = [spending.spent(row) for row in self._read(statement, *values)]
        statement, values = spending.of_pruned()
        found += [spending.spent(row, is_pruned=True) for row in self._read(statement, *values)]
        return [spent for spent in found if spent is not None]

    def accounts(self, query: AccountQuery) -> list[AccountRow]:
        """See `surefoot.ledger.Ledger.accounts`."""
        statement, values = query.query()
        return [query.row(row) for row in self._read(statement, *values)]

    def hold_owners(self) -> list[str]:
        """See `surefoot.ledger.Ledger.hold_owners`."""
        return [row[0] for row in self._read("SELECT DISTINCT owner FROM holds WHERE swept_ns IS NULL")]

    def start(self, run_id: str) -> Outcome:
        """The outcome with which a run began; its inputs are what the flow was called with."""
        found = self._read(
            f"SELECT {rows.OUTCOME_COLUMNS} FROM outcomes WHERE run_id = ? AND key = ? ORDER BY attempt LIMIT 1",
            run_id,
            START_KEY,
        )
        if not found:
            raise LedgerCorrupt(f"run {run_id} has no beginning in the ledger {self.where}: restore a backup")
        return rows.link(0, found[0]).outcome

    def history(self, run_id: str) -> list[Link]:
        """All outcomes of a run in the order in which they were recorded."""
        found = self._read(
            f"SELECT seq, {rows.OUTCOME_COLUMNS} FROM outcomes WHERE {self._of_run} ORDER BY seq", run_id
        )
        return [rows.link(row[0], row[1:]) for row in found]

    def outcomes(self, run_id: str) -> list[Outcome]:
        """What `history` gives, without the chain."""
        found = self._read(
            f"SELECT {rows.STORED_COLUMNS} FROM outcomes WHERE {self._of_run} ORDER BY seq", run_id
        )
        return list(map(rows.outcome, found))

    def end(self, run_id: str) -> Outcome | None:
        """The outcome with which a run, or the last attempt at it, ended; None where it has not."""
        found = self._read(
            f"SELECT {rows.STORED_COLUMNS} FROM outcomes WHERE run_id = ? AND key = ? ORDER BY seq DESC LIMIT 1",
            *(run_id, END_KEY),
        )
        return rows.outcome(found[0]) if found else None

    def details(self, run_id: str) -> list[Detail]:
        """What rode along: steps that had begun, in order."""
        found = self._read(
            "SELECT run_id, key, attempt, kind, at_ns, body FROM details WHERE run_id = ? ORDER BY seq",
            run_id,
        )
        return [Detail(*row) for row in found]

    def messages(self, run_ids: Sequence[str]) -> list[Message]:
        """What was sent to these runs and not adopted yet, the oldest first.

        What this application has not sent is left where it is: an approval is not what somebody wrote into a table.
        """
        found: list[rows.Row] = []
        for start in range(0, len(run_ids), _FEW):
            some = run_ids[start : start + _FEW]
            # Filled up, so that there is one statement to prepare for any number of runs.
            found += self._read(
                "SELECT seq, id, run_id, kind, sent_ns, body, mac FROM inbox WHERE adopted_ns IS NULL "
                f"AND run_id IN ({', '.join('?' * _FEW)})",
                *some,
                *[""] * (_FEW - len(some)),
            )
        known: list[Message] = []
        for row in sorted(found):
            message = Message(*row[1:-1])
            if self.payloads.notary.knows_message(message, row[-1]):
                known.append(message)
            elif message.id not in self._foreign:
                self._foreign.add(message.id)
                log.warning("run %s: %s; it is not taken", message.run_id, not_sent(message.id, message.kind))
        return known

    def ask(self, query: Query, *, patience: float | None = None) -> list[rows.Row]:  # noqa: ARG002
        """See `surefoot.ledger.Ledger.ask`."""
        statement, values = query
        return self._read(statement, *values)

    def answer(self, key: bytes, *, tenant: str) -> AnswerRow | None:
        """See `surefoot.ledger.Ledger.answer`."""
        found = self._read(
            "SELECT a.run_id, n.now - a.made_ns, a.expires_ns - n.now, o.output_view, o.output_sealed, "
            "o.output_key_id FROM answers a JOIN outcomes o "
            "ON o.run_id = a.run_id AND o.key = a.step AND o.attempt = a.attempt "
            f"AND o.status = 'completed', (SELECT {self._clock} AS now) n WHERE a.key = ? AND a.tenant = ?",
            *(key, tenant),
        )
        if not found or (found[0][3] is None and found[0][4] is None):
            return None
        run_id, age_ns, left_ns, view, sealed, key_id = found[0]
        return AnswerRow(run_id, age_ns, left_ns, Payload(view or "null", sealed, key_id))

    def answer_counts(self) -> list[CachedCount]:
        """See `surefoot.ledger.Ledger.answer_counts`."""
        found = self._read(
            "SELECT a.flow, a.prompt, count(*), sum(CASE WHEN a.expires_ns <= n.now THEN 1 ELSE 0 END), "
            "sum(coalesce(length(o.output_view), 0) + coalesce(length(o.output_sealed), 0)) "
            "FROM answers a LEFT JOIN outcomes o ON o.run_id = a.run_id AND o.key = a.step AND o.attempt = a.attempt "
            f"AND o.status = 'completed', (SELECT {self._clock} AS now) n "
            "GROUP BY a.flow, a.prompt ORDER BY 3 DESC, 1, 2"
        )
        return [
            CachedCount(flow, prompt, int(n), int(late), int(size)) for flow, prompt, n, late, size in found
        ]

    def view(self, payload: Payload) -> str:
        """The recorded text that people may read."""
        return self.payloads.view(payload, self)

    def exact(self, run_id: str, payload: Payload) -> str:
        """The recorded text as it was, for going on with the run."""
        return self.payloads.exact(run_id, payload, self)

    def exact_large(self, run_id: str, payload: Payload) -> Encoded:
        """What `exact` gives, as UTF-8 if it is large: for decoding without a copy of the text."""
        return self.payloads.exact_large(run_id, payload, self)

    def first_break(self, run_id: str) -> str | None:
        """See `surefoot.ledger.Ledger.first_break`."""
        return self.checked(run_id)[1]

    def checked(self, run_id: str) -> tuple[list[Link], str | None]:
        """What `history` and `first_break` give, of one moment."""
        while True:
            found = self._read(_STANDING, run_id)
            links = self.history(run_id)
            # Somebody may write to the run meanwhile.
            if found == self._read(_STANDING, run_id):
                break
        if not found:
            return links, first_break(links, None)
        tenant, head, mac, *columns = found[0]
        standing = Standing.of(tuple(columns))
        broken = (
            first_break(links, head, is_pruned=standing.pruned_ns is not None)
            or self._broken_blob(links, tenant, mac)
            or self._foreign_head(standing, head, mac)
            or self._foreign_rows(run_id)
        )
        return links, broken

    def broken_end(self, run_id: str) -> str | None:
        """What is wrong with the end of a run, and so with what it returned, in words; None where nothing is."""
        found = self._read(_STANDING, run_id)
        ends = self._read(
            f"SELECT seq, {rows.OUTCOME_COLUMNS} FROM outcomes WHERE run_id = ? AND key = ? ORDER BY seq DESC LIMIT 1",
            *(run_id, END_KEY),
        )
        if not found or not ends:
            return "its end is missing"
        tenant, head, mac, *columns = found[0]
        end = rows.link(ends[0][0], ends[0][1:])
        if end.hash != head:
            # Something stands behind it.
            return self.first_break(run_id)
        before = self._read(
            "SELECT hash FROM outcomes WHERE seq = (SELECT max(seq) FROM outcomes WHERE run_id = ? AND seq < ?)",
            *(run_id, end.seq),
        )
        standing = Standing.of(tuple(columns))
        if end.is_pruned and standing.pruned_ns is None:
            return removed(end)
        return (
            broken_link(before[0][0] if before else GENESIS, end)
            or self._broken_blob([end], tenant, mac)
            or self._foreign_head(standing, head, mac)
        )

    def _broken_blob(self, links: Sequence[Link], tenant: str, mac: object) -> str | None:
        takes_plain = mac is None and self._is_plain_copy()
        for link in links:
            for payload in (link.outcome.inputs, link.outcome.output):
                if not link.is_pruned and not self.payloads.is_intact(
                    payload, self, tenant=tenant, takes_plain=takes_plain
                ):
                    return f"{named(link)}: its blob is missing, changed, or of another application key"
        return None

    def _foreign_head(self, standing: Standing, head: bytes | None, mac: object) -> str | None:
        if self.payloads.notary.knows_head(standing, head, mac):
            return None
        # In an export without a key nobody goes on with a run: a takeover makes no exception.
        return None if mac is None and self._is_plain_copy() else NOT_OURS

    def _foreign_rows(self, run_id: str) -> str | None:
        """What stands beside the chain of a run, and was not written by this application, in words."""
        notary = self.payloads.notary
        for row in self._read(
            "SELECT id, run_id, kind, sent_ns, body, mac FROM inbox WHERE adopted_ns IS NULL AND run_id = ?",
            run_id,
        ):
            if not notary.knows_message(Message(*row[:-1]), row[-1]):
                return not_sent(row[0], row[2])
        for pin in self.ask(prompt_rows.pins_query(run_id)):
            if not prompt_rows.is_ours(pin, notary):
                return changed_pin(pin[1])
        return None

    def _is_plain_copy(self) -> bool:
        """Whether this is an export without a key, which has no MACs."""
        return False

    def open_keys(self, run_id: str) -> None:
        """Make a run's keys ready for going on with it. Raises `LedgerError` under another application key."""
        found = self._read("SELECT id, run_id, wrapped FROM data_keys WHERE run_id = ? ORDER BY id", run_id)
        self.payloads.open_run(run_id, [DataKey(*row) for row in found])

    def blob(self, digest: str) -> bytes | None:
        found = self._read("SELECT data FROM blobs WHERE digest = ?", digest)
        return found[0][0] if found else None

    def data_key(self, key_id: str) -> DataKey | None:
        found = self._read("SELECT id, run_id, wrapped FROM data_keys WHERE id = ?", key_id)
        return DataKey(*found[0]) if found else None

    def local_digest(self, digest: str) -> str | None:
        """See `surefoot.ledger.Ledger.local_digest`."""
        found = self._read("SELECT local_digest FROM imported_blobs WHERE digest = ?", digest)
        return found[0][0] if found else None
