"""`surefoot estimate`: what a run of a flow may cost and hold, by the record of those that were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.ledger import Account
    from surefoot.traces import Estimate, Expected, Spread
    from surefoot.values import Json

_S = 1_000_000_000


@documented(example="surefoot estimate workflow.py:SummarizationWorkflow --runs 100")
@click.argument("flow")
@click.option(
    "--runs",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    help="How many of its newest runs are looked at.",
)
@click.option("--tenant", default="", help="The customer that it would be made for.")
@click.option("--principal", default="", help="The person or service that would ask for it.")
@json_option
def command(flow: str, runs: int, tenant: str, principal: str, as_json: bool) -> int:  # noqa: FBT001
    """Tell what a run of FLOW may cost, and what budgets would hold for it.

    A flow is code: what it will ask is known by what it has asked alone. So its newest completed runs are looked at,
    and the most that each of their calls can cost at the prices of today is set beside what it has cost. The rest is
    caution: what is held for a call and free again behind it.
    """
    return show(flow, runs=runs, tenant=tenant, principal=principal, as_json=as_json)


def show(flow: str, *, runs: int = 50, tenant: str = "", principal: str = "", as_json: bool = False) -> int:
    """Print the estimate of a flow."""
    from surefoot.app import App
    from surefoot.cli import screen

    found = App.current().estimate(flow, runs=runs, tenant=tenant, principal=principal)
    if as_json:
        screen.print_json(estimate_json(found))
    else:
        print_estimate(found)
    return 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    title: str
    read: Callable[[Expected], str]


def _money(which: Callable[[Expected], float]) -> Callable[[Expected], str]:
    def shown(row: Expected) -> str:
        from surefoot.cli.costs import rounded

        return rounded(round(which(row)))

    return shown


COLUMNS: Sequence[Column] = (
    Column("MODEL", lambda row: row.model or "all"),
    Column("CALLS", lambda row: f"{row.calls.median:g}"),
    Column("P95", lambda row: f"{row.calls.p95:g}"),
    Column("AT MOST", _money(lambda row: row.worst.median)),
    Column("P95", _money(lambda row: row.worst.p95)),
    Column("COST", _money(lambda row: row.spent.median)),
    Column("P95", _money(lambda row: row.spent.p95)),
    Column("CAUTION", lambda row: "" if row.caution is None else f"{row.caution:.0%}"),
)


def print_estimate(found: Estimate) -> None:
    """The table by model, what is held at once, what cannot be bounded, and the budgets."""
    from surefoot.cli import screen
    from surefoot.cli.costs import rounded
    from surefoot.cli.words import counted

    console = screen.out()
    console.print(
        screen.styled(("estimate", "bold"), f" of {found.flow} by {counted(found.runs, 'completed run')}"),
        soft_wrap=True,
    )
    if found.others:
        what = (
            f"{counted(found.others, 'other run')} not looked at: not completed, or their requests are gone"
        )
        console.print(screen.styled((what, "dim")), soft_wrap=True)
    if not found.runs:
        console.print(
            "Nothing can be told yet: what a flow asks is known by its runs alone. Run it once, with the embedded "
            "model or a script in place of the real one if need be.",
            soft_wrap=True,
        )
    elif not found.models:
        console.print("These runs have made no model calls.", soft_wrap=True)
    else:
        console.print()
        rows = [*found.models, *([found.total] if len(found.models) > 1 else [])]
        _print_table(
            [[column.title for column in COLUMNS], *([c.read(row) for c in COLUMNS] for row in rows)]
        )
        most, at_once = found.total.worst, found.at_once
        console.print()
        console.print(
            f"held at a time: {rounded(round(at_once.median))} (p95 {rounded(round(at_once.p95))}, at most "
            f"{rounded(at_once.most)}); no run could have cost more than {rounded(most.most)}",
            soft_wrap=True,
        )
    if found.total.unpriced:
        what = f"{counted(found.total.unpriced, 'call')} whose cost is not known: COST is without them"
        console.print(screen.styled((what, "yellow")), soft_wrap=True)
    if found.total.unbounded:
        what = f"{counted(found.total.unbounded, 'call')} would be refused under a budget, and AT MOST is without them:"
        console.print(screen.styled((what, "yellow")), soft_wrap=True)
        for reason in found.reasons:
            console.print(f"  {reason}", soft_wrap=True)
    if found.budgets:
        console.print()
        _print_table(
            [
                ["BUDGET", "WHOSE", "LEFT", "OF", "RUNS LEFT"],
                *(_account(found, one) for one in found.budgets),
            ],
            kept=2,
        )


def _account(found: Estimate, account: Account) -> list[str]:
    from surefoot.cli.costs import rounded

    p95 = found.total.spent.p95
    runs = f"{int(account.left.nanos / p95):,}" if p95 else ""
    return [
        account.budget,
        account.whose or "-",
        rounded(account.left.nanos),
        rounded(account.limit.nanos),
        runs,
    ]


def _print_table(table: list[list[str]], *, kept: int = 1) -> None:
    from surefoot.cli import screen

    console = screen.out()
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [
            cell.ljust(width) if at < kept else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        console.print(screen.styled((line, "bold" if row is table[0] else "")), soft_wrap=True)


def estimate_json(found: Estimate) -> dict[str, Json]:
    """All figures; costs in US dollars and in nano-dollars, `caution` from 0 to 1."""
    return {
        "flow": found.flow,
        "runs": found.runs,
        "other_runs": found.others,
        "total": _expected_json(found.total),
        "models": [{"model": row.model, **_expected_json(row)} for row in found.models],
        "held_at_once": _spread_json(found.at_once),
        "unbounded_because": list(found.reasons),
        "budgets": [
            {
                "budget": one.budget,
                "whose": one.whose,
                "limit_nanos": one.limit.nanos,
                "spent_nanos": one.spent.nanos,
                "held_nanos": one.held.nanos,
                "left_nanos": one.left.nanos,
                "renews": None if one.renews_ns is None else one.renews_ns / _S,
            }
            for one in found.budgets
        ],
    }


def _expected_json(row: Expected) -> dict[str, Json]:
    return {
        "calls": {"median": row.calls.median, "p95": row.calls.p95, "most": row.calls.most},
        "at_most": _spread_json(row.worst),
        "cost": _spread_json(row.spent),
        "caution": row.caution,
        "unpriced_calls": row.unpriced,
        "unbounded_calls": row.unbounded,
    }


def _spread_json(spread: Spread) -> dict[str, Json]:
    return {
        "median_usd": spread.median / _S,
        "p95_usd": spread.p95 / _S,
        "most_usd": spread.most / _S,
        "most_nanos": spread.most,
    }
