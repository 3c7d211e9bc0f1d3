"""How a batch of entries becomes rows on Postgres, and what is done when the connection is cut in the middle."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from surefoot.errors import Fenced, LedgerCorrupt, LedgerError, RunBusy, UnknownRun, UsageError
from surefoot.ledger import (
    postgres_access,
    postgres_accounts,
    postgres_answers,
    postgres_deliveries,
    postgres_prompts,
    postgres_reserving,
    postgres_scored,
    rows,
)
from surefoot.ledger import postgres_statements as sql
from surefoot.ledger.chain import GENESIS, payload_hash, row_hash
from surefoot.ledger.entries import (
    Adopt,
    Amend,
    Append,
    BeginExperiment,
    CacheEntry,
    DeliveryEntry,
    EndRun,
    KeepHolds,
    KeepMetrics,
    KeepVerdict,
    PromptEntry,
    Release,
    Renew,
    Send,
    SweepHolds,
    TakeOver,
    already_recorded,
    not_recordable,
)
from surefoot.ledger.events import Outcome, RunRecord
from surefoot.ledger.holding import LONGEST_LEASE_NS, check_epoch, is_takeable, longest_until
from surefoot.ledger.notary import NOT_OURS, Notary, Standing, not_gone_on_with
from surefoot.ledger.postgres_batch import Batch, Item, apart, rounds
from surefoot.ledger.postgres_connection import is_duplicate, is_lost, is_refusal
from surefoot.ledger.prompt_rows import PromptRow

_KNOWN_RUNS = 10_000
_TRIES = 100
_LONGEST_PAUSE = 0.02

Connection = Any
Chained = Append | EndRun
_APART = CacheEntry | PromptEntry | BeginExperiment | KeepMetrics | KeepVerdict | Amend | DeliveryEntry


@dataclass(slots=True)
class _Move:
    """Where a statement moves the head of one run to."""

    first: bytes
    last: bytes
    standing: Standing


class Applier:
    """Writes batches through one connection, and knows the heads of the runs that it writes to."""

    def __init__(self, notary: Notary) -> None:
        self._notary = notary
        # By run, how it stands and the last hash, as of this process's own last write: the server compares.
        self._heads: OrderedDict[str, tuple[Standing, bytes]] = OrderedDict()

    def forget(self) -> None:
        """After a cut connection nothing is known of any run."""
        self._heads.clear()

    async def apply(self, batch: Batch, connection: Connection) -> None:
        """Settle every entry of the batch. Raises what ended the connection; called again, it goes on from there."""
        if batch.sent:
            await self._settle_found(batch, connection)
        if batch.reserving:
            await postgres_reserving.settle_found(batch, connection)
        for one in rounds(batch.entries):
            if one.starts or one.chained:
                await self._carry(batch, one.starts + one.chained, connection)
            await self._start(batch, [item for item in one.starts if batch.is_open(item)], connection)
            for items in apart([item for item in one.chained if batch.is_open(item)]):
                await self._chain(batch, items, connection)
            await postgres_reserving.settle_refused(batch, one.chained, connection)
            await self._keep_answers(batch, one.chained, connection)
            await self._note(batch, [item for item in one.notes if batch.is_open(item)], connection)
            reserves = [item for item in one.reserves if batch.is_open(item)]
            await postgres_reserving.reserve(batch, reserves, connection)
            for items in apart([item for item in one.settles if batch.is_open(item)]):
                await postgres_reserving.settle(batch, items, connection)
            await self._keep_cases(batch, [item for item in one.cases if batch.is_open(item)], connection)
            for item in one.others:
                if batch.is_open(item):
                    apply = self._apply_apart if isinstance(item[1], _APART) else self._apply_other
                    await apply(batch, item, connection)
        while len(self._heads) > _KNOWN_RUNS:
            self._heads.popitem(last=False)

    # Chained rows

    async def _start(self, batch: Batch, items: list[Item], connection: Connection) -> None:
        if not items:
            return
        outcomes: list[rows.Row] = []
        runs: list[rows.Row] = []
        tags: list[rows.Row] = []
        heads: dict[str, tuple[Standing, bytes]] = {}
        now = time.time_ns()
        try:
            for place, entry in items:
                run = entry.run
                row, chained = _chained_row(GENESIS, entry.outcome)
                batch.sent.setdefault(place, set()).add(chained)
                outcomes.append(row)
                columns = list(rows.run_row(run))
                standing = Standing.of_run(tuple(columns))
                # The lease as a time from now, by whichever clock.
                columns[_LEASE] = run.lease_until_ns and run.lease_until_ns - now
                runs.append((*columns, chained, self._notary.of_head(standing, chained)))
                tags += [(name, value, run.id) for name, value in run.tags.items()]
                heads[run.id] = (standing, chained)
            told = [entry.audit for _, entry in items if entry.audit is not None]
            async with connection.transaction() if told else nullcontext():
                found = await connection.fetch(
                    sql.START,
                    *sql.outcome_arrays(outcomes),
                    *sql.freight_arrays(entry.freight for _, entry in items),
                    *sql.columns_of(runs, 0),
                    *sql.columns_of(tags, 3),
                )
                if told:
                    await postgres_access.tell(told, connection)
        except Exception as error:
            if is_lost(error) or not is_refusal(error):
                raise
            if len(items) > 1:
                half = len(items) // 2
                await self._start(batch, items[:half], connection)
                await self._start(batch, items[half:], connection)
                return
            await self._refuse(batch, items[0], error, connection)
            return
        begun = {row[0] for row in found}
        for place, entry in items:
            run = entry.run
            if run.id in begun:
                self._heads[run.id] = heads[run.id]
                batch.settle(place)
            else:
                row = await connection.fetchrow(sql.RUN_BY_KEY, run.tenant, run.flow, run.run_key)
                batch.settle(place, rows.run_record(tuple(row)))

    async def _chain(self, batch: Batch, items: list[Item], connection: Connection) -> None:
        for _ in range(_TRIES):
            items = await self._holding(batch, items, connection)
            if not items:
                return
            try:
                items = await self._send(batch, items, connection)
            except Exception as error:
                if is_lost(error) or not is_refusal(error):
                    raise
                if len(items) > 1:
                    half = len(items) // 2
                    await self._chain(batch, items[:half], connection)
                    await self._chain(batch, items[half:], connection)
                else:
                    await self._refuse(batch, items[0], error, connection)
                return
            # Somebody else has written to these runs: look again who holds them, and what their last rows are.
            for _, entry in items:
                self._heads.pop(entry.outcome.run_id, None)
            if items:
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))
        for place, entry in items:
            batch.settle(
                place,
                error=LedgerError(f"run {entry.outcome.run_id}: others write to it all the time; try again"),
            )

    async def _holding(self, batch: Batch, items: list[Item], connection: Connection) -> list[Item]:
        """The items whose epoch is the current one, their heads known; the others are refused."""
        unsure = {
            entry.outcome.run_id
            for _, entry in items
            if (head := self._heads.get(entry.outcome.run_id)) is None or head[0].epoch != entry.outcome.epoch
        }
        if not unsure:
            return items
        found: dict[str, Standing] = {}
        forged = set[str]()
        for head, mac, *columns in await connection.fetch(sql.HEADS, sorted(unsure)):
            run_id, standing = columns[0], Standing.of(tuple(columns))
            found[run_id] = standing
            if not self._notary.knows_head(standing, head, mac):
                forged.add(run_id)
            elif head is not None:
                self._heads[run_id] = (standing, head)
        held: list[Item] = []
        for place, entry in items:
            outcome = entry.outcome
            current = found[outcome.run_id].epoch if outcome.run_id in found else None
            is_held = outcome.run_id not in unsure or current == outcome.epoch
            if is_held and outcome.run_id not in forged:
                held.append((place, entry))
                continue
            if is_held:
                # What follows the head is under its MAC from here on: one that somebody else has made must not get it.
                text = f"run {outcome.run_id} cannot be written to: {NOT_OURS}"
                batch.settle(place, error=LedgerCorrupt(text))
                continue
            try:
                check_epoch(outcome.run_id, current, outcome.epoch)
            except (Fenced, UnknownRun) as error:
                batch.settle(place, error=error)
        return held

    async def _send(self, batch: Batch, items: list[Item], connection: Connection) -> list[Item]:
        """Write the rows of these items in one statement; those whose runs the server does not find so."""
        outcomes: list[rows.Row] = []
        moves: dict[str, _Move] = {}
        ends: dict[str, EndRun] = {}
        for place, entry in items:
            outcome: Outcome = entry.outcome
            run_id = outcome.run_id
            move = moves.get(run_id)
            if move is None:
                standing, first = self._heads[run_id]
                move = moves[run_id] = _Move(first, first, standing)
            row, move.last = _chained_row(move.last, outcome)
            batch.sent.setdefault(place, set()).add(move.last)
            outcomes.append(row)
            if isinstance(entry, EndRun):
                ends[run_id] = entry
                move.standing = replace(move.standing, status=entry.status)
        # Sorted, so that two processes do not wait for each other in turn.
        heads = [
            (
                *(run_id, move.standing.epoch, move.first, move.last),
                self._notary.of_head(move.standing, move.last),
                *(sql.end_columns(ends.get(run_id)) if ends else ()),
            )
            for run_id, move in sorted(moves.items())
        ]
        costs = [
            (entry.outcome.run_id, entry.settlement)
            for _, entry in items
            if isinstance(entry, Append) and entry.settlement is not None
        ]
        if costs:
            statement = sql.APPEND_END_AND_SETTLE if ends else sql.APPEND_AND_SETTLE
        else:
            statement = sql.APPEND_AND_END if ends else sql.APPEND
        found = await connection.fetch(
            statement,
            *sql.outcome_arrays(outcomes),
            *sql.freight_arrays(entry.freight for _, entry in items),
            *sql.columns_of(heads, 0),
            *(postgres_accounts.settlement_arrays(costs) if costs else ()),
        )
        accepted = {row[0] for row in found}
        for run_id in accepted:
            self._heads[run_id] = (moves[run_id].standing, moves[run_id].last)
        left: list[Item] = []
        for place, entry in items:
            if entry.outcome.run_id in accepted:
                batch.settle(place)
            else:
                left.append((place, entry))
        return left

    async def _refuse(self, batch: Batch, item: Item, error: Exception, connection: Connection) -> None:
        """The tables do not take this one row. It may be one that got there before the connection was cut."""
        place, entry = item
        if is_duplicate(error):
            await self._settle_found(batch, connection, only=place)
            if batch.is_open(item):
                batch.settle(place, error=already_recorded(entry))
        else:
            batch.settle(place, error=not_recordable(entry, error))

    async def _settle_found(self, batch: Batch, connection: Connection, *, only: int | None = None) -> None:
        """Of what was sent and not answered, settle what is there with the hash that it was sent with."""
        asked = [
            (place, outcome.run_id, outcome.key, outcome.attempt, outcome.status == "running")
            for place in batch.sent
            if place not in batch.settled and (only is None or place == only)
            for outcome in (_outcome_of(batch.entries[place]),)
        ]
        if not asked:
            return
        for place, found in await connection.fetch(sql.FOUND, *sql.columns_of(asked, 5)):
            if bytes(found) in batch.sent[place]:
                batch.settle(place)

    async def _carry(self, batch: Batch, items: list[Item], connection: Connection) -> None:
        """Write what outcomes bring along of prompts, before them: they may be relied on only with it."""
        loaded = [
            (item, rows)
            for item in items
            if batch.is_open(item)
            and (rows := [one for one in item[1].freight if isinstance(one, PromptRow)])
        ]
        if not loaded:
            return
        try:
            await postgres_prompts.keep([row for _, rows in loaded for row in rows], connection, self._notary)
        except Exception as error:
            if is_lost(error) or not is_refusal(error):
                raise
            if len(loaded) > 1:
                for item, _ in loaded:
                    await self._carry(batch, [item], connection)
            else:
                (place, entry), _ = loaded[0]
                batch.settle(place, error=not_recordable(entry, error))

    async def _apply_apart(self, batch: Batch, item: Item, connection: Connection) -> None:
        """What belongs to no run."""
        place, entry = item
        try:
            if isinstance(entry, CacheEntry):
                batch.settle(place, await postgres_answers.apply(entry, connection))
            elif isinstance(entry, Amend):
                batch.settle(place, await postgres_access.amend(entry, connection))
            elif isinstance(entry, DeliveryEntry):
                batch.settle(place, await postgres_deliveries.apply(entry, connection))
            elif isinstance(entry, BeginExperiment):
                batch.settle(place, await postgres_scored.begin(entry, connection))
            elif isinstance(entry, KeepMetrics):
                await postgres_scored.note(entry, connection)
                batch.settle(place)
            elif isinstance(entry, KeepVerdict):
                batch.settle(place, await postgres_scored.judge(entry, connection))
            else:
                batch.settle(place, await postgres_prompts.apply(entry, connection, self._notary))
        except Exception as error:
            if is_lost(error) or not is_refusal(error):
                raise
            batch.settle(place, error=not_recordable(entry, error))

    async def _keep_cases(self, batch: Batch, items: list[Item], connection: Connection) -> None:
        """Write judged cases, all at once; one that the tables do not take takes no other along."""
        if not items:
            return
        try:
            await postgres_scored.keep([case for _, entry in items for case in entry.cases], connection)
        except Exception as error:
            if is_lost(error) or not is_refusal(error):
                raise
            if len(items) > 1:
                half = len(items) // 2
                await self._keep_cases(batch, items[:half], connection)
                await self._keep_cases(batch, items[half:], connection)
                return
            batch.settle(items[0][0], error=not_recordable(items[0][1], error))
            return
        for place, _ in items:
            batch.settle(place)

    async def _keep_answers(self, batch: Batch, items: list[Item], connection: Connection) -> None:
        """Of outcomes that were accepted, note which are given again. Behind them: without this they are not found."""
        kept = [
            (entry.outcome, entry.cache)
            for place, entry in items
            if isinstance(entry, Append) and entry.cache is not None and batch.settled[place][1] is None
        ]
        if kept:
            await postgres_answers.keep(kept, connection)

    # Everything else

    async def _note(self, batch: Batch, items: list[Item], connection: Connection) -> None:
        details = [detail for _, entry in items for detail in entry.details]
        error: Exception | None = None
        try:
            if details:
                await connection.execute(
                    sql.NOTE,
                    *sql.columns_of(
                        [(d.run_id, d.key, d.attempt, d.kind, d.at_ns, d.body) for d in details], 6
                    ),
                )
        except Exception as raised:
            if is_lost(raised) or not is_refusal(raised):
                raise
            error = raised
        for place, entry in items:
            batch.settle(place, error=None if error is None else not_recordable(entry, error))

    async def _apply_other(self, batch: Batch, item: Item, connection: Connection) -> None:
        place, entry = item
        try:
            if isinstance(entry, TakeOver):
                batch.settle(place, await self._take_over(entry, connection))
            elif isinstance(entry, Renew):
                batch.settle(place, await self._renew(entry, connection))
            elif isinstance(entry, Release):
                if entry.is_waiting:
                    await self._park(entry, connection)
                else:
                    await connection.execute(sql.RELEASE, entry.run_id, entry.epoch)
                batch.settle(place)
            elif isinstance(entry, Send):
                await self._deliver(entry, connection)
                batch.settle(place)
            elif isinstance(entry, Adopt):
                await self._adopt(batch, item, connection)
            elif isinstance(entry, KeepHolds | SweepHolds):
                batch.settle(place, await postgres_accounts.apply(entry, connection))
            else:
                raise UsageError(  # noqa: TRY301
                    f"{type(entry).__name__} is for a ledger in SQLite; this one is in Postgres"
                )
        except (Fenced, RunBusy, UnknownRun, UsageError, LedgerError) as error:
            batch.settle(place, error=error)
        except Exception as error:
            if is_lost(error) or not is_refusal(error):
                raise
            await self._refuse(batch, item, error, connection)

    async def _take_over(self, entry: TakeOver, connection: Connection) -> RunRecord:
        while True:
            row = await connection.fetchrow(sql.RUN_AND_CLOCK, entry.run_id)
            if row is None:
                raise UnknownRun(f"run {entry.run_id} is not in the ledger")
            (clock, head, mac, last), columns = tuple(row)[:4], tuple(row)[4:]
            run = rows.run_record(columns)
            if longest_until(run, clock) is not None:
                await connection.execute(sql.SHORTEN, run.id, run.lease_until_ns, LONGEST_LEASE_NS)
                continue
            if not is_takeable(run, entry.owner, clock):
                return run
            standing, first = Standing.of_run(columns), head or GENESIS
            if not self._notary.knows_head(standing, head, mac):
                if not entry.is_unverified:
                    raise LedgerCorrupt(not_gone_on_with(run.id, NOT_OURS))
                first = last or GENESIS
            deadline_ns = run.deadline_ns if entry.deadline_ns is None else entry.deadline_ns
            standing = replace(standing, epoch=run.epoch + 1, status="running", deadline_ns=deadline_ns)
            taken = await connection.fetchrow(
                sql.TAKE_OVER,
                *(run.id, rows.owner_text(entry.owner), entry.lease_ns, deadline_ns),
                *(run.epoch, run.lease_until_ns, run.status),
                *(first, self._notary.of_head(standing, first), head),
            )
            if taken is not None:
                self._heads[run.id] = (standing, first)
                return rows.run_record(tuple(taken))
            # Changed in between, as by a heartbeat or another taker: decide anew.

    async def _park(self, entry: Release, connection: Connection) -> None:
        row = await connection.fetchrow(sql.RUN_AND_CLOCK, entry.run_id)
        if row is None:
            return
        (_, head, mac, _), columns = tuple(row)[:4], tuple(row)[4:]
        standing = Standing.of_run(columns)
        if standing.epoch != entry.epoch:
            # Somebody else has it by now.
            return
        if not self._notary.knows_head(standing, head, mac):
            raise LedgerCorrupt(not_gone_on_with(entry.run_id, NOT_OURS))
        waiting = self._notary.of_head(replace(standing, status="waiting"), head or GENESIS)
        await connection.execute(sql.PARK, entry.run_id, entry.epoch, entry.until_ns, waiting)
        self._heads.pop(entry.run_id, None)

    async def _renew(self, entry: Renew, connection: Connection) -> list[str]:
        ids = [run_id for run_id, _ in entry.held]
        epochs = [epoch for _, epoch in entry.held]
        renewed = {row[0] for row in await connection.fetch(sql.RENEW, ids, epochs, entry.lease_ns)}
        silent = [(run_id, epoch) for run_id, epoch in entry.held if run_id not in renewed]
        if not silent:
            return []
        # One that has ended is not lost.
        current = dict(map(tuple, await connection.fetch(sql.EPOCHS, [run_id for run_id, _ in silent])))
        return [run_id for run_id, epoch in silent if current.get(run_id) != epoch]

    async def _deliver(self, entry: Send, connection: Connection) -> None:
        message = entry.message
        found = await connection.fetch(
            *(sql.SEND, message.id, message.run_id, message.kind, message.sent_ns, message.body),
            self._notary.of_message(message),
        )
        if not found:
            raise UnknownRun(f"run {message.run_id} is not in the ledger")

    async def _adopt(self, batch: Batch, item: Item, connection: Connection) -> None:
        """The owner's row and the marks on the messages, or neither."""
        place, entry = item
        ids = sorted(set(entry.message_ids))
        outcome: Outcome = entry.outcome
        await self._carry(batch, [item], connection)
        if not batch.is_open(item):
            return
        transaction = connection.transaction()
        await transaction.start()
        try:
            marked = await connection.fetch(sql.ADOPT, outcome.run_id, ids, outcome.ended_ns)
            mine = Batch([Append(outcome, entry.freight)])
            if len(marked) == len(ids):
                await self._chain_once(mine, connection)
                batch.sent.setdefault(place, set()).update(*mine.sent.values())
            else:
                # Whoever does not hold the run is told so first, whatever became of the messages.
                self._heads.pop(outcome.run_id, None)
                await self._holding(mine, [(0, mine.entries[0])], connection)
            result, error = mine.settled.get(0, (None, already_recorded(entry)))
            if error is not None:
                raise error  # noqa: TRY301
        except BaseException as error:
            self._heads.pop(outcome.run_id, None)
            # Nor is a server waited for that does not answer any more.
            if isinstance(error, Exception) and not is_lost(error):
                await transaction.rollback()
            raise
        await transaction.commit()
        batch.settle(place, result)

    async def _chain_once(self, batch: Batch, connection: Connection) -> None:
        """`_chain` inside of a transaction, where a row that is refused ends the transaction."""
        items: list[Item] = [(0, batch.entries[0])]
        while items := await self._holding(batch, items, connection):
            items = await self._send(batch, items, connection)
            if not items:
                return
            self._heads.pop(items[0][1].outcome.run_id, None)


_LEASE = rows.RUN_COLUMNS.split(", ").index("lease_until_ns")


def _chained_row(previous: bytes, outcome: Outcome) -> tuple[rows.Row, bytes]:
    payloads = payload_hash(outcome.inputs, outcome.output)
    chained = row_hash(previous, outcome, payloads)
    return rows.outcome_row(outcome, payloads, chained), chained


def _outcome_of(entry: Any) -> Outcome:
    outcome: Outcome = entry.outcome
    return outcome
