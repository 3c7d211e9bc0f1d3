"""The accounts of budgets, as `surefoot costs --budgets` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.ledger import Account
    from surefoot.values import Json

_S = 1_000_000_000
_LOW = 10
"""Percent of the limit below which what is left stands out."""


def show(app: App, *, as_json: bool) -> int:
    """Print the accounts of all budgets."""
    from surefoot.cli import screen

    found = app.budgets()
    if as_json:
        screen.print_json({"budgets": [_json(one) for one in found]})
    elif not app.config.budgets:
        screen.err().print("there are no budgets: [budgets.NAME] in surefoot.toml makes one", soft_wrap=True)
    elif not found:
        where = app.ledger.where
        screen.err().print(f"nothing was spent or held under any budget yet (ledger {where})", soft_wrap=True)
    else:
        _print(found)
    return 0


def _print(found: Sequence[Account]) -> None:
    from surefoot.cli import screen
    from surefoot.cli.costs import rounded

    has_unsure = any(one.unsure.nanos for one in found)
    titles = [
        "BUDGET",
        "OF",
        "PERIOD",
        "LEFT",
        "SPENT",
        "HELD",
        *(["UNSURE"] if has_unsure else []),
        "LIMIT",
        "RENEWS",
    ]
    table = [titles]
    for one in found:
        unsure = [rounded(one.unsure.nanos) if one.unsure.nanos else ""] if has_unsure else []
        table.append(
            [
                *(
                    one.budget,
                    _whose(one),
                    one.period or "ever",
                    rounded(one.left.nanos),
                    rounded(one.spent.nanos),
                ),
                *(rounded(one.held.nanos), *unsure, rounded(one.limit.nanos), _renews(one)),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    console, last = screen.out(), len(titles) - 1
    for number, row in enumerate(table):
        cells = [
            cell.ljust(widths[at]) if at < 3 or at == last else cell.rjust(widths[at])
            for at, cell in enumerate(row)
        ]
        is_low = number > 0 and found[number - 1].left.nanos * 100 < _LOW * found[number - 1].limit.nanos
        style = "bold" if number == 0 else "yellow" if is_low else ""
        console.print(screen.styled(("  ".join(cells).rstrip(), style)), soft_wrap=True)


def _whose(one: Account) -> str:
    if one.of == "everything":
        return "everything"
    return f"{one.of} {one.whose or '-'}"


def _renews(one: Account) -> str:
    if one.renews_ns is None:
        return "never"
    return datetime.fromtimestamp(one.renews_ns / _S, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _json(one: Account) -> dict[str, Json]:
    """All figures, in US dollars and as exact counts of nano-dollars; times in seconds since the epoch."""
    return {
        "budget": one.budget,
        "of": one.of,
        "whose": one.whose,
        "per": one.per,
        "period": one.period,
        "renews": None if one.renews_ns is None else one.renews_ns / _S,
        **_money("limit", one.limit.nanos),
        **_money("spent", one.spent.nanos),
        **_money("held", one.held.nanos),
        **_money("left", one.left.nanos),
        **_money("unsure", one.unsure.nanos),
    }


def _money(name: str, nanos: int) -> dict[str, Json]:
    return {f"{name}_usd": nanos / _S, f"{name}_nanos": nanos}
