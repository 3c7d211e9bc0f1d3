"""`surefoot costs`: what model calls have cost, by model, flow, prompt, tenant, principal or day."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, cast

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.traces import CostRow, Costs, Facet
    from surefoot.values import Json

_S = 1_000_000_000
_SHORTEST_NAME = 12
_FIGURES = 30
"""Columns that are kept free for the first figures beside the names."""


@documented(
    example="surefoot costs --by flow,model --since 7d\n"
    "surefoot costs --by day --since 2026-11-01 --csv > november.csv\n"
    "surefoot costs --budgets"
)
@click.option(
    "--by",
    default="model",
    show_default=True,
    metavar="FACETS",
    help="One or several, with commas: flow, model, provider, prompt, tenant, principal, session, day, month.",
)
@click.option(
    "--since",
    default="30d",
    show_default=True,
    metavar="WINDOW|DATE",
    help="Calls that ended in this time: 30m, 24h, 7d, 2w, from a date on, or `all`.",
)
@click.option("--until", metavar="WINDOW|DATE", help="Calls that ended before this.")
@click.option("--flow", help="Only calls of this flow.")
@click.option("--tenant", help="Only calls for this tenant.")
@click.option("--principal", help="Only calls for this principal.")
@click.option(
    "--tz",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="The time zone of days, months and given dates, such as Europe/Berlin.",
)
@click.option(
    "--budgets",
    "of_budgets",
    is_flag=True,
    help="Show the accounts of all budgets instead: limit, spent, held, left.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for spreadsheets.")
@json_option
def command(  # noqa: PLR0917
    by: str,
    since: str,
    until: str | None,
    flow: str | None,
    tenant: str | None,
    principal: str | None,
    tz: str,
    of_budgets: bool,  # noqa: FBT001
    as_csv: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Show what model calls have cost.

    Costs are exact sums of list prices, or of your own ([prices] in surefoot.toml). Failed calls are included, with
    what they cost; a call that is replayed or comes from the cache costs nothing. Calls without a known price are
    counted apart, and marked by a + behind the sum. Columns in which nothing stands are left out.

    With --budgets, what every budget of [budgets] has left now: `held` is the most that calls under way may cost,
    `unsure` the part of `spent` that calls may have cost whose process was killed.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.since import since_ns
    from surefoot.errors import InvalidInput
    from surefoot.traces import costs

    if as_csv and as_json:
        raise InvalidInput("--csv and --json exclude each other: give one of them")
    if of_budgets:
        from surefoot.cli import budgets

        if as_csv:
            raise InvalidInput("--budgets has no --csv: use --json")
        return budgets.show(App.current(), as_json=as_json)
    now_ns, zone = time.time_ns(), zone_of(tz)
    ledger = App.current().ledger
    found = costs(
        ledger,
        cast("Sequence[Facet]", [facet.strip() for facet in by.split(",") if facet.strip()]),
        flow=flow,
        tenant=tenant,
        principal=principal,
        since_ns=None if since == "all" else since_ns(since, now_ns, zone=zone),
        until_ns=None if until is None else since_ns(until, now_ns, option="--until", zone=zone),
        zone=zone,
    )
    if as_json:
        screen.print_json(costs_json(found))
    elif as_csv:
        print_csv(found)
    elif not found.total.calls:
        is_filtered = flow is not None or tenant is not None or principal is not None or until is not None
        what = "no such model calls" if is_filtered else f"no model calls since {since}"
        screen.err().print(f"{what} (ledger {ledger.where})", soft_wrap=True)
    else:
        print_costs(found, zone)
    return 0


def zone_of(name: str) -> tzinfo:
    """A time zone by its name. Raises `InvalidInput`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from surefoot.errors import InvalidInput

    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"--tz {name!r} is no time zone that is known here: write UTC, or a name like Europe/Berlin"
        ) from None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures; one in which every cell is empty is left out unless it is shown always."""

    title: str
    read: Callable[[CostRow], str]
    is_always: bool = False


def _count(read: Callable[[CostRow], int]) -> Callable[[CostRow], str]:
    return lambda row: f"{number:,}" if (number := read(row)) else ""


def _tokens(read: Callable[[CostRow], int]) -> Callable[[CostRow], str]:
    return lambda row: compact(number) if (number := read(row)) else ""


def compact(count: int) -> str:
    """`950`, `90.0k`, `1.25M`, `12.5G`: three digits or four."""
    for unit, size in (("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)):
        if count >= size * 0.99995:  # not 1000.0k
            number = count / size
            return f"{number:.2f}{unit}" if number < 10 else f"{number:.1f}{unit}"
    return str(count)


def _cost(row: CostRow) -> str:
    """`$1.25`; `$1.25+` where some calls have no price, `unknown` where none of those that would cost has one."""
    if row.is_complete:
        return rounded(row.cost.nanos)
    return f"{rounded(row.cost.nanos)}+" if row.cost.nanos else "unknown"


def rounded(nanos: int) -> str:
    """Dollars as a table shows them: cents from a hundred dollars on, below that a ten-thousandth, or all there is.

    Programs are given the exact sum.
    """
    if nanos == 0:
        return "$0"
    if nanos >= 100 * _S:
        return f"${(nanos + 5_000_000) // 10_000_000 / 100:,.2f}"
    if nanos >= 100_000:
        return f"${(nanos + 50_000) // 100_000 / 10_000:.4f}"
    return f"${nanos / _S:.9f}".rstrip("0")


# What it cost comes before what it used: on a narrow screen the rest is shown in a part of its own.
COLUMNS: Sequence[Column] = (
    Column("CALLS", lambda row: f"{row.calls:,}", is_always=True),
    Column("COST", _cost, is_always=True),
    Column("FAILED", _count(lambda row: row.failed)),
    Column("CACHE HITS", _count(lambda row: row.cached)),
    Column("UNPRICED", _count(lambda row: row.unpriced)),
    Column("IN", _tokens(lambda row: row.usage.input), is_always=True),
    Column("CACHED", _tokens(lambda row: row.usage.cached)),
    Column("OUT", _tokens(lambda row: row.usage.output), is_always=True),
    Column("REASONING", _tokens(lambda row: row.usage.reasoning)),
)


def print_costs(found: Costs, zone: tzinfo) -> None:
    """The table, dearest first or by time, with the sum of all below."""
    from surefoot.cli import screen
    from surefoot.cli.stats import blocks
    from surefoot.cli.words import counted

    console, has_sum = screen.out(), len(found.rows) > 1
    console.print(screen.styled(("costs", "bold"), _window(found, zone)), soft_wrap=True)
    console.print()
    table, kept = _table(found, has_sum=has_sum), len(found.by)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    room = sum(widths) + 2 * len(widths)
    if console.is_terminal:
        room = console.width
        _narrow(table, widths, kept, room - _FIGURES)
    for number, block in enumerate(blocks(widths, room, kept=kept)):
        if number:
            console.print()
        for row in table:
            cells = [row[at].ljust(widths[at]) if at < kept else row[at].rjust(widths[at]) for at in block]
            is_bold = row is table[0] or (has_sum and row is table[-1])
            line = "  ".join(cells).rstrip()
            console.print(screen.styled((line, "bold" if is_bold else "")), soft_wrap=True)
    if found.total.unpriced:
        what = f"{counted(found.total.unpriced, 'call')} without a known price"
        console.print(screen.styled((f'\n{what}: give one as [prices."NAME:MODEL"]', "yellow")))


def _table(found: Costs, *, has_sum: bool) -> list[list[str]]:
    """The cells: a line of titles, one for each group, and one for all of them."""
    shown = [column for column in COLUMNS if column.is_always or column.read(found.total)]
    table = [[facet.upper() for facet in found.by] + [column.title for column in shown]]
    table += [
        [*(name or "-" for name in row.group.values()), *(column.read(row) for column in shown)]
        for row in found.rows
    ]
    if has_sum:
        blank = [""] * (len(found.by) - 1)
        table.append(["total", *blank, *(column.read(found.total) for column in shown)])
    return table


def _narrow(table: list[list[str]], widths: list[int], kept: int, room: int) -> None:
    """Cut the longest names until the first `kept` columns fit into so many characters."""
    while sum(widths[:kept]) + 2 * kept > room and max(widths[:kept]) > _SHORTEST_NAME:
        widths[widths.index(max(widths[:kept]))] -= 1
    for row in table:
        for at in range(kept):
            if len(row[at]) > widths[at]:
                row[at] = f"{row[at][: widths[at] - 1]}…"


def _window(found: Costs, zone: tzinfo) -> str:
    def clock(nanos: int) -> str:
        return datetime.fromtimestamp(nanos / _S, zone).strftime("%Y-%m-%d %H:%M")

    parts = [f" by {', '.join(found.by)}"] if found.by else []
    parts += [f"  since {clock(found.since_ns)}"] if found.since_ns is not None else []
    parts += [f" until {clock(found.until_ns)}"] if found.until_ns is not None else []
    has_times = found.since_ns is not None or found.until_ns is not None
    name = datetime.now(zone).tzname() or "UTC"
    return "".join(parts) + (f" {name}" if has_times else "")


def costs_json(found: Costs) -> dict[str, Json]:
    """All figures; costs in US dollars and as exact counts of nano-dollars, times in seconds since the epoch."""
    return {
        "by": list(found.by),
        "since": None if found.since_ns is None else found.since_ns / _S,
        "until": None if found.until_ns is None else found.until_ns / _S,
        "rows": [_row_json(row) for row in found.rows],
        "total": _row_json(found.total),
    }


def _row_json(row: CostRow) -> dict[str, Json]:
    from surefoot.cli.words import usage_json

    return {
        **{str(facet): name for facet, name in row.group.items()},
        "calls": row.calls,
        "failed": row.failed,
        "cached": row.cached,
        "unpriced": row.unpriced,
        "tokens": usage_json(row.usage),
        "cost_usd": row.cost.nanos / _S,
        "cost_nanos": row.cost.nanos,
        "is_cost_complete": row.is_complete,
    }


def print_csv(found: Costs) -> None:
    """One line for each group, costs as exact decimals; none for the sum, which a spreadsheet would add to itself."""
    from surefoot.evals.datasets.formulas import harmless

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        [
            *found.by,
            *("calls", "failed", "cache_hits", "unpriced"),
            *("tokens_in", "tokens_cached", "tokens_out", "tokens_reasoning", "cost_usd"),
        ]
    )
    for row in found.rows:
        usage = row.usage
        writer.writerow(
            [
                *map(harmless, row.group.values()),
                *(row.calls, row.failed, row.cached, row.unpriced),
                *(usage.input, usage.cached, usage.output, usage.reasoning),
                f"{row.cost.nanos // _S}.{row.cost.nanos % _S:09}",
            ]
        )
