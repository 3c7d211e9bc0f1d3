"""A budget, and which of its accounts a call is charged to. Pure: no clock, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from surefoot.errors import ConfigError
from surefoot.ledger.accounts import AccountKey, Kind, Line
from surefoot.ledger.periods import Per, period_of
from surefoot.values import Caller, Money

HIGHEST = Money(10**18)
"""A thousand million dollars: so much, and what is added to it, the tables can hold."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent on model calls: by everybody, or by each run, flow, tenant or principal.

    only: the one flow, tenant or principal that it is about, or the flow of the runs; `*` stands for any characters.
    per: when it begins anew (UTC). That of a run never does.
    exceeded: whether a call that finds too little left is refused, or waits for `patience` seconds at most.
    cap_output: the limit of output tokens that is put on calls which have none.

    Raises `ConfigError`.
    """

    name: str
    limit: Money
    of: Kind = "everything"
    only: str | None = None
    per: Per = "day"
    exceeded: Literal["refuse", "wait"] = "refuse"
    patience: float = 60.0
    cap_output: int | None = None

    def __post_init__(self) -> None:
        if self.limit > HIGHEST:
            raise ConfigError(
                f"[budgets.{self.name}] limit is {self.limit}: {HIGHEST} at most; without a limit, leave it out"
            )
        if self.only is not None and self.of == "everything":
            raise ConfigError(
                f'[budgets.{self.name}] only = "{self.only}" needs to know of what: add of = "flow", "tenant", '
                '"principal" or "run" (then it names the flow of the runs)'
            )

    def is_about(self, name: str) -> bool:
        """Whether it is about the flow, tenant or principal of that name."""
        if self.only is None:
            return True
        pattern = ".*".join(map(re.escape, self.only.split("*")))
        return re.fullmatch(pattern, name, re.DOTALL) is not None

    def whose(self, caller: Caller) -> list[str]:
        """Whose accounts a call of this caller is charged to, from the outermost in.

        Every run around the call has its own, so what a child run spends is spent by its parents too. Callers without
        a tenant or principal share an account; principals of two tenants do not, whatever they are called. Outside of
        runs no budget of runs or flows applies.
        """
        match self.of:
            case "everything":
                return [""]
            case "run":
                return [
                    run for run, flow in zip(caller.runs, caller.flows, strict=True) if self.is_about(flow)
                ]
            case "flow":
                return [flow for flow in dict.fromkeys(caller.flows) if self.is_about(flow)]
            case "tenant":
                return [caller.tenant] if self.is_about(caller.tenant) else []
            case "principal":
                return [caller.payer] if self.is_about(caller.principal) else []

    def account(self, whose: str, wall_ns: int) -> AccountKey:
        """The account of one of them, in the period of that moment (nanoseconds since the epoch)."""
        period, ends_ns = period_of("ever" if self.of == "run" else self.per, wall_ns)
        return AccountKey(self.name, self.of, whose, period, ends_ns)


@dataclass(frozen=True, slots=True)
class Terms:
    """All that bounds the calls of one caller, until `until_ns` (nanoseconds since the epoch), None for ever.

    `lines` are sorted by account; `budgets` has the budget of each account, by the account's id, in the order in which
    they are refused.
    """

    lines: Sequence[Line] = ()
    budgets: Mapping[str, Budget] = field(default_factory=dict[str, Budget])
    cap_output: int | None = None
    until_ns: int | None = None


def terms_of(budgets: Sequence[Budget], caller: Caller, wall_ns: int) -> Terms:
    """What bounds the calls of this caller at that moment (nanoseconds since the epoch)."""
    lines: list[Line] = []
    found: dict[str, Budget] = {}
    for budget in budgets:
        for whose in budget.whose(caller):
            account = budget.account(whose, wall_ns)
            lines.append(Line(account, budget.limit.nanos))
            found[account.id] = budget
    lines.sort(key=lambda line: line.account.id)
    ends = [line.account.ends_ns for line in lines if line.account.ends_ns is not None]
    caps = [budget.cap_output for budget in found.values() if budget.cap_output is not None]
    return Terms(lines, found, min(caps, default=None), min(ends, default=None))
