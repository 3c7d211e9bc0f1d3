"""Accounts of budgets and holds on them, as plain data, and their arithmetic: the same on every engine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from surefoot.ledger.listing import Query
from surefoot.ledger.rows import Row
from surefoot.values import Settlement

Kind: TypeAlias = Literal["everything", "run", "flow", "tenant", "principal"]
"""Of what each has an account of its own."""

KEPT_NS = 30 * 24 * 3_600 * 1_000_000_000
"""For how long a hold that was swept can be settled still."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """One budget, of one run, flow, tenant, principal or everybody, in one period.

    `ends_ns` is when the period ends (nanoseconds since the epoch), None for one that never does.
    """

    budget: str
    kind: Kind
    whose: str
    period: str
    ends_ns: int | None = None
    id: str = field(init=False, compare=False, default="")

    def __post_init__(self) -> None:
        # Of one length and without blanks: a hold lists several. Names may be of any length, and hold anything.
        text = f"{self.budget}\x00{self.kind}\x00{self.whose}\x00{self.period}"
        found = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        object.__setattr__(self, "id", found)


@dataclass(frozen=True, slots=True)
class Line:
    """An account that money is asked of, and the most that may be spent and held on it, in nano-dollars."""

    account: AccountKey
    limit: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account holds, in nano-dollars.

    `unsure` is a part of `spent`: what calls may have cost at most whose process is gone.
    """

    spent: int = 0
    held: int = 0
    unsure: int = 0

    @property
    def total(self) -> int:
        """What is gone or may be."""
        return self.spent + self.held


@dataclass(frozen=True, slots=True)
class Shortage:
    """An account that has too little left, and what stood on it then."""

    line: Line
    standing: Standing


@dataclass(frozen=True, slots=True)
class Swept:
    """A hold that was booked at all that was held, in nano-dollars, as nobody settled it."""

    hold: str
    run_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a settlement changes on each account of its hold, in nano-dollars."""

    spent: int
    held: int
    unsure: int


def settled(settlement: Settlement, *, is_swept: bool) -> Change:
    """What becomes of the accounts of a hold.

    A swept one is booked as spent already: then the truth takes the place of that.
    """
    freed, charged = settlement.released.nanos, settlement.charged.nanos
    return Change(charged - freed, 0, -freed) if is_swept else Change(charged, -freed, 0)


def is_over(settlement: Settlement, held: int) -> bool:
    """Whether nothing is left of a hold behind this.

    What a settlement that was lost has not released stays held until it is swept: it may have been spent.
    """
    return settlement.closes and settlement.released.nanos == held


def has_part(parts: str, part: int) -> bool:
    """Whether a hold, which lists the parts that were settled or added, has that one."""
    return part > 0 and str(part) in parts.split()


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account, as it stands."""

    key: AccountKey
    standing: Standing


@dataclass(frozen=True, slots=True)
class AccountQuery:
    """Accounts that are asked for: those with these ids, or of a budget.

    Of a budget: those of this kind, in periods that end after `after_ns` (nanoseconds since the epoch) or never; the
    newest runs first, `most` of them.
    """

    ids: Sequence[str] = ()
    budget: str = ""
    kind: Kind = "everything"
    after_ns: int = 0
    most: int = 1000

    def query(self) -> Query:
        """In the SQL that both engines understand."""
        columns = "budget, kind, whose, period, ends_ns, spent, held, unsure"
        select = f"SELECT {columns} FROM accounts WHERE"
        if self.ids:
            return f"{select} id IN ({', '.join('?' * len(self.ids))})", tuple(self.ids)
        order = "whose DESC" if self.kind == "run" else "whose, period"
        where = "budget = ? AND kind = ? AND (ends_ns IS NULL OR ends_ns > ?)"
        values = (self.budget, self.kind, self.after_ns)
        return f"{select} {where} ORDER BY {order} LIMIT {self.most}", values

    @staticmethod
    def row(found: Row) -> AccountRow:
        """An account from what the query finds."""
        return AccountRow(AccountKey(*found[:5]), Standing(*found[5:]))
