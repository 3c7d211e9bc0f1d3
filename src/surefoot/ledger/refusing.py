"""What is said where a budget has too little left. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.errors import BudgetExceeded
from surefoot.ledger.accounts import Shortage
from surefoot.ledger.budget import Terms
from surefoot.ledger.periods import shown
from surefoot.values import Caller, Money


def first_of(short: Sequence[Shortage], terms: Terms) -> Shortage:
    """The account that is named: that of the first budget in the settings."""
    order = list(terms.budgets)
    return min(short, key=lambda one: order.index(one.line.account.id))


def exceeded(
    short: Sequence[Shortage],
    terms: Terms,
    asked: int,
    *,
    what: str,
    caller: Caller,
    waited: float | None = None,
) -> BudgetExceeded:
    """The error for a call that was not made. `asked` is nano-dollars, `waited` seconds; None where nobody waits."""
    one = first_of(short, terms)
    key, at = one.line.account, one.standing
    budget = terms.budgets[key.id]
    left = Money(max(0, one.line.limit - at.total))
    where = f"run {caller.run_id}: " if caller.run_id else ""
    unsure = f" (of which {Money(at.unsure)} by calls whose end nobody knows)" if at.unsure else ""
    figures = f"limit {Money(one.line.limit)}, spent {Money(at.spent)}{unsure}, held {Money(at.held)}"
    parts = [
        f"{where}{what} was not made: it may cost {Money(asked)}, and {_named(one)} has {left} left: {figures}"
    ]
    if asked > one.line.limit:
        parts.append("it can never fit under this limit")
    elif waited is not None:
        parts.append(f"it has waited {waited:.0f} s")
    if key.ends_ns is not None and asked <= one.line.limit:
        parts.append(f"the budget begins anew on {shown(key.ends_ns)}")
    section = f"[budgets.{budget.name}]"
    ways = [f"raise {section} limit", "give the call a lower max_tokens"]
    if budget.cap_output is None:
        ways.append(f"set {section} cap_output")
    if budget.exceeded == "refuse" and asked <= one.line.limit:
        ways.append(f'set {section} exceeded = "wait"')
    elif waited is not None:
        ways.append(f"raise {section} patience")
    parts.append(f"{', '.join(ways[:-1])} or {ways[-1]}; `surefoot costs --budgets` shows all accounts")
    return BudgetExceeded(
        "; ".join(parts),
        budget=budget.name,
        whose=key.whose,
        limit=one.line.limit,
        spent=at.spent,
        held=at.held,
        asked=asked,
        renews_ns=key.ends_ns,
    )


def _named(one: Shortage) -> str:
    key = one.line.account
    if key.kind == "everything":
        return f"the budget {key.budget!r}"
    return (
        f"the budget {key.budget!r} of {key.kind} {key.whose!r}"
        if key.whose
        else (f"the budget {key.budget!r} of calls without a {key.kind}")
    )


def waits(short: Sequence[Shortage], terms: Terms) -> float | None:
    """For how many seconds the budgets that are short let a call wait; None where one of them refuses it."""
    budgets = [terms.budgets[one.line.account.id] for one in short]
    if any(budget.exceeded == "refuse" for budget in budgets):
        return None
    return min((budget.patience for budget in budgets), default=0.0)


def is_hopeless(short: Sequence[Shortage], asked: int, until_ns: int) -> bool:
    """Whether no settlement before that moment (nanoseconds since the epoch) can make room, as too much is spent."""
    return any(
        one.standing.spent + asked > one.line.limit
        and (one.line.account.ends_ns is None or one.line.account.ends_ns > until_ns)
        for one in short
    )
