"""Budgets: accounts in the ledger's database from which the most that a call may cost is held before it is made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from surefoot import scope
from surefoot.effects import Block, Commit, Program
from surefoot.errors import BudgetExceeded, LedgerError
from surefoot.ledger import refusing, rows
from surefoot.ledger.accounts import AccountQuery, AccountRow, Kind, Shortage, Standing, Swept
from surefoot.ledger.budget import Budget, Terms, terms_of
from surefoot.ledger.entries import KeepHolds, Reserve, Settle, SweepHolds
from surefoot.ledger.events import Owner
from surefoot.ledger.holding import lease_of
from surefoot.ledger.holds import AccountHold, Alive, Source
from surefoot.ledger.owner import is_provably_gone, this_process
from surefoot.ledger.periods import Per
from surefoot.ledger.queueing import Place, Queues
from surefoot.ledger.store import Ledger
from surefoot.ledger.writer import Pending
from surefoot.locks import in_forked_child
from surefoot.values import Caller, Clock, Money, Settlement, SystemClock

log = scope.logger("surefoot.ledger")

_KNOWN_CALLERS = 4096
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_SWEEP_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Account:
    """One account as people see it: whose budget, in which period, and what was spent of it.

    `whose` is empty for one of everybody, and for calls without a tenant or principal. `unsure` is a part of `spent`:
    the most that calls may have cost whose process is gone. `renews_ns` is when the budget begins anew (nanoseconds
    since the epoch), None where it never does.
    """

    budget: str
    of: Kind
    whose: str
    per: Per
    period: str
    renews_ns: int | None
    limit: Money
    spent: Money
    held: Money
    unsure: Money

    @property
    def left(self) -> Money:
        """What is neither spent nor held, not below nothing."""
        return Money(max(0, self.limit.nanos - self.spent.nanos - self.held.nanos))


class Budgets:
    """The budgets of one application; see `surefoot.models.Budgets`.

    Of processes that share a ledger all share its accounts: however many calls are under way, what is spent and held
    stays under each limit. A process that is killed leaves its holds behind: they are booked at all that was held.
    """

    def __init__(
        self,
        ledger: Ledger,
        budgets: Sequence[Budget],
        *,
        lease_seconds: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        """`lease_seconds` is for how long a silent process is thought to be at work. Opens nothing."""
        self.budgets = tuple(budgets)
        self._ledger = ledger
        self._lease_ns = lease_of(lease_seconds)
        self._lease_seconds = lease_seconds
        self._clock = clock or SystemClock()
        self._known: dict[Caller, Terms] = {}
        self.forget()
        ledger.on_tick(self._tick)
        in_forked_child(self.forget)

    def forget(self) -> None:
        """Begin anew, in a forked child too: what is under way is its parent's."""
        self._alive = Alive()
        self._queues = Queues()
        self._owner = cast("str", rows.owner_text(this_process()))
        self._has_swept = False
        self._swept_at = 0.0
        self._sweeping: Pending | None = None
        self._is_ticking = False
        self._next_keep = self._next_sweep = 0.0

    # What the chain asks

    def cap_output(self, caller: Caller, /) -> int | None:
        """The limit of tokens that is put on calls which have none; None where none is to be put."""
        return self._terms(caller).cap_output

    def bound(self, caller: Caller, /) -> bool:
        """Whether any budget is about this caller."""
        return bool(self._terms(caller).lines)

    def hold(self, caller: Caller, worst: Money, /, *, what: str, patience: float) -> Program[AccountHold]:
        """Set aside the most that a call may cost, under all budgets of the caller or none.

        `what` names the call in messages; `patience` is how many seconds may be waited. Raises `BudgetExceeded`, and
        `LedgerError` where the ledger cannot be written: then the call is not to be made.
        """
        source = Source(
            *(self, caller, self._terms(caller)),
            what=what,
            patience=patience,
            deadline=time.monotonic() + patience,
        )
        hold = AccountHold(source, worst.nanos)
        yield from self.reserve(source, worst.nanos, part=0)
        self._keep(source)
        return hold

    # What people ask

    def accounts(self, *, runs: int = 20) -> list[Account]:
        """Every account of this moment, in the order of the settings; of a budget of runs the newest `runs`.

        Blocks while the ledger is read. Raises `LedgerError`.
        """
        now = self._clock.wall_ns()
        found: list[Account] = []
        for budget in self.budgets:
            here = budget.account("", now)
            most = runs if budget.of == "run" else 1000
            standing = self._ledger.accounts(AccountQuery((), budget.name, budget.of, now, most))
            mine = [row for row in standing if row.key.period == here.period and _is_of(budget, row)]
            if budget.of == "everything" and not mine:
                mine = [AccountRow(here, Standing())]
            found += [_shown(budget, row) for row in mine]
        return found

    def accounts_of(self, caller: Caller) -> list[Account]:
        """The accounts that calls of this caller are charged to, as they stand; one that is new is whole.

        Blocks while the ledger is read. Raises `LedgerError`.
        """
        terms = self._terms(caller)
        ids = [line.account.id for line in terms.lines]
        standing = (
            {row.key.id: row.standing for row in self._ledger.accounts(AccountQuery(ids))} if ids else {}
        )
        return [
            _shown(
                terms.budgets[line.account.id],
                AccountRow(line.account, standing.get(line.account.id, Standing())),
            )
            for line in terms.lines
        ]

    # What holds ask

    def reserve(self, source: Source, amount: int, *, part: int) -> Program[None]:
        """Set aside so many nano-dollars, for a new hold or, with the number of a part, for one that is there."""
        if not source.terms.lines:
            return
        if not self._has_swept:
            self._has_swept = True
            yield from self._sweep()
        if any(amount > line.limit for line in source.terms.lines):
            raise (yield from self._never_fits(source, amount))
        short: Sequence[Shortage] = ()
        if (account := self._awaited(source)) is None:
            short = yield from self._try(source, amount, part)
            if not short:
                return
            if (yield from self._sweep_again()):
                short = yield from self._try(source, amount, part)
                if not short:
                    return
            account = refusing.first_of(short, source.terms).line.account.id
        yield from self._wait(source, amount, part, short, account)

    def settle(self, settlement: Settlement) -> Program[None]:
        """Book what a call has cost without an outcome."""
        pending = self._ledger.submit(Settle(settlement))
        try:
            yield Commit(pending)
        except BaseException:
            # It is on its way: nobody need wait for that.
            self._ledger.nudge()
            raise

    def ended(self, source: Source, *, is_last: bool) -> None:
        """A hold has ended, or a part of it: others may have room."""
        if is_last:
            self._alive.drop(source)
        self._queues.ring(source.terms.budgets)

    # Reserving

    def _terms(self, caller: Caller) -> Terms:
        now = self._clock.wall_ns()
        terms = self._known.get(caller)
        if terms is None or (terms.until_ns is not None and now >= terms.until_ns):
            if len(self._known) >= _KNOWN_CALLERS:
                self._known.clear()
            terms = self._known[caller] = terms_of(self.budgets, caller, now)
        return terms

    def _awaited(self, source: Source) -> str | None:
        """The account for which others wait already, where this one would wait too: nobody goes before them."""
        terms = source.terms
        if source.patience <= 0:
            return None
        for account, budget in terms.budgets.items():
            if budget.exceeded == "wait" and self._queues.first(account) is not None:
                return account
        return None

    def _try(self, source: Source, amount: int, part: int) -> Program[Sequence[Shortage]]:
        """Which accounts are short; none where it was granted."""
        lines = source.terms.lines
        run_id = source.caller.run_id
        pending = self._ledger.submit(
            Reserve(source.id, run_id, amount, lines, self._owner, self._lease_ns, part)
        )
        try:
            yield Commit(pending)
        except BaseException:
            # Whether it was granted is not known, or will be: either way it is given back behind it.
            back = Settlement(source.id, Money(amount), Money(), closes=not part, part=source.next_number())
            with suppress(LedgerError):
                self._ledger.submit(Settle(back))
                self._ledger.nudge()
            raise
        return cast("Sequence[Shortage]", pending.result())

    def _wait(
        self, source: Source, amount: int, part: int, short: Sequence[Shortage], account: str
    ) -> Program[None]:
        """Wait for room. Raises `BudgetExceeded` when there is none in time, or there will be none."""
        began = time.monotonic()
        place: Place | None = None
        pause = _FIRST_PAUSE
        try:
            while True:
                now, until = time.monotonic(), self._until(source, short, account, began)
                until_ns = self._clock.wall_ns() + round((until - now) * 1e9)
                if short and (now >= until or refusing.is_hopeless(short, amount, until_ns)):
                    raise self._refused(source, amount, short, began)
                if place is None or place.account != account:
                    if place is not None:
                        place.leave()
                    place = self._queues.join(account)
                bell = place.bell(until - now, pause)
                yield Commit(bell)
                if not place.is_first and time.monotonic() < until:
                    continue
                pause = _FIRST_PAUSE if bell.is_rung else min(2 * pause, _LONGEST_PAUSE)
                if not part:
                    # Perhaps another period has begun meanwhile.
                    source.terms = self._terms(source.caller)
                short = yield from self._try(source, amount, part)
                if not short:
                    return
                account = refusing.first_of(short, source.terms).line.account.id
        finally:
            if place is not None:
                place.leave()

    @staticmethod
    def _until(source: Source, short: Sequence[Shortage], account: str, began: float) -> float:
        """Until when may be waited; the beginning where a budget that is short lets nobody wait."""
        if not short:
            return min(source.deadline, began + source.terms.budgets[account].patience)
        patience = refusing.waits(short, source.terms)
        return began if patience is None else min(source.deadline, began + patience)

    def _refused(
        self, source: Source, amount: int, short: Sequence[Shortage], began: float
    ) -> BudgetExceeded:
        is_waiting = refusing.waits(short, source.terms) is not None
        return refusing.exceeded(
            *(short, source.terms, amount),
            what=source.what,
            caller=source.caller,
            waited=time.monotonic() - began if is_waiting else None,
        )

    def _never_fits(self, source: Source, amount: int) -> Program[BudgetExceeded]:
        lines = [line for line in source.terms.lines if amount > line.limit]
        ids = [line.account.id for line in lines]
        found = cast("list[AccountRow]", (yield Block(lambda: self._ledger.accounts(AccountQuery(ids)))))
        standing = {row.key.id: row.standing for row in found}
        short = [Shortage(line, standing.get(line.account.id, Standing())) for line in lines]
        return refusing.exceeded(short, source.terms, amount, what=source.what, caller=source.caller)

    # Leases

    def _keep(self, source: Source) -> None:
        """Prolong its lease from now on."""
        if not source.terms.lines:
            return
        self._alive.add(source)
        if not self._is_ticking:
            self._is_ticking = True
            self._next_keep = time.monotonic() + self._lease_seconds / 3
            self._ledger.nudge()

    def _tick(self) -> float | None:
        """Called by the thread that writes: nobody waits here for what is written."""
        if not self._is_ticking:
            return None
        now = time.monotonic()
        self._tell_swept()
        if now >= self._next_keep:
            self._next_keep = now + self._lease_seconds / 3
            # In this order: whoever comes in between nudges.
            self._is_ticking = False
            held = self._alive.ids()
            if not held:
                return None
            self._is_ticking = True
            try:
                self._ledger.submit(KeepHolds(held, self._lease_ns))
                if now >= self._next_sweep and self._sweeping is None:
                    self._next_sweep = now + self._lease_seconds
                    self._sweeping = self._ledger.submit(SweepHolds(self._gone_if_any() or ()))
            except LedgerError as error:
                log.warning("the leases of %d calls under way could not be prolonged: %s", len(held), error)
        return max(0.0, self._next_keep - time.monotonic())

    def _tell_swept(self) -> None:
        if (pending := self._sweeping) is not None and pending.is_done:
            self._sweeping = None
            try:
                _tell(cast("list[Swept]", pending.result()))
            except LedgerError as error:
                log.warning("holds of other processes could not be looked at: %s", error)

    def _sweep(self) -> Program[int]:
        """Book what processes have left behind; how many holds that were."""
        self._swept_at = time.monotonic()
        owners = cast("list[str] | None", (yield Block(self._gone_if_any)))
        if owners is None:
            return 0
        pending = self._ledger.submit(SweepHolds(owners))
        yield Commit(pending)
        swept = cast("list[Swept]", pending.result())
        _tell(swept)
        return len(swept)

    def _sweep_again(self) -> Program[int]:
        """Before a refusal, but not before each of many."""
        if time.monotonic() < self._swept_at + _SWEEP_AGAIN_S:
            return 0
        return (yield from self._sweep())

    def _gone_if_any(self) -> list[str] | None:
        """Owners that are gone; None where nothing is held at all."""
        owners = self._ledger.hold_owners()
        return [owner for owner in owners if _is_gone(owner)] if owners else None


def _shown(budget: Budget, row: AccountRow) -> Account:
    return Account(
        *(budget.name, budget.of, row.key.whose, budget.per, row.key.period, row.key.ends_ns),
        *(budget.limit, Money(row.standing.spent), Money(row.standing.held)),
        Money(row.standing.unsure),
    )


def _is_of(budget: Budget, row: AccountRow) -> bool:
    """Whether an account is one of the budget as it is set today."""
    whose = row.key.whose
    if budget.of == "principal" and "/" in whose:
        # Before it stands the tenant.
        whose = whose.partition("/")[2]
    return budget.of in ("everything", "run") or budget.is_about(whose)


def _is_gone(owner: str) -> bool:
    import orjson

    return is_provably_gone(Owner(**orjson.loads(owner)))


def _tell(swept: Sequence[Swept]) -> None:
    if swept:
        amount = Money(sum(one.amount for one in swept))
        log.warning(
            "%d calls were under way in processes that are gone or silent: the %s that was held for them is booked as "
            "spent, as nobody knows what they have cost (runs %s)",
            len(swept),
            amount,
            ", ".join(sorted({one.run_id for one in swept if one.run_id})[:5]) or "-",
        )
