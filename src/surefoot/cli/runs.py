"""`surefoot runs`: the list of runs."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING, cast, get_args

import click

from surefoot.cli.options import documented, json_option
from surefoot.values import RunStatus

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.ledger import Ledger, RunRecord
    from surefoot.traces import Standing

STATUSES = (*get_args(RunStatus), "abandoned")
COLOURS = {
    "completed": "green",
    "failed": "red",
    "abandoned": "yellow",
    "in_doubt": "yellow",
    "cancelled": "dim",
}

_WIDE = 130
"""Columns from which on ids and times are shown in full."""
_SHORT = 13
"""Characters of an id that tell two runs of one process apart: the time, to half a microsecond."""


@documented(example="surefoot runs --status failed --limit 5")
@click.option("--flow", help="Only runs of this flow.")
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    metavar="STATUS",
    help=f"Only runs that stand so: {', '.join(STATUSES)}.",
)
@click.option("--tenant", help="Only runs of this tenant.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@click.option("--before", metavar="RUN", help="Only runs older than this one, for the next page.")
@json_option
def command(  # noqa: PLR0917
    flow: str | None,
    status: str | None,
    tenant: str | None,
    limit: int,
    before: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """List runs, the newest first.

    A run is abandoned if it claims to run but its process is gone; `surefoot resume` goes on with it.
    """
    from surefoot.app import App
    from surefoot.cli import screen, words

    ledger, now_ns = App.current().ledger, time.time_ns()
    if before is not None:
        before = ledger.run(before).id
    found = listed(ledger, now_ns, flow=flow, status=status, tenant=tenant, before=before, limit=limit)
    if as_json:
        screen.print_json([words.run_json(run, state, now_ns) for run, state in found])
        return
    if not found:
        is_filtered = flow is not None or status is not None or tenant is not None or before is not None
        what = "no such run" if is_filtered else "no runs yet: start one with `surefoot run FILE.py:NAME`"
        screen.err().print(f"{what} (ledger {ledger.where})")
        return
    print_table(found, now_ns)
    if len(found) == limit and not is_last(ledger, found[-1][0]):
        screen.err().print(screen.styled((f"older ones: surefoot runs --before {found[-1][0].id}", "dim")))


def listed(
    ledger: Ledger,
    now_ns: int,
    *,
    flow: str | None = None,
    status: str | None = None,
    tenant: str | None = None,
    before: str | None = None,
    limit: int = 20,
) -> list[tuple[RunRecord, str]]:
    """Runs with how they stand, which for abandoned ones is not what their row says."""
    from surefoot.traces.listing import scan

    wanted = cast("Standing | None", status)
    runs = scan(ledger, now_ns, flow=flow, wanted=wanted, tenant=tenant, before=before, size=limit)
    return list(islice(((run, state) for run, state in runs if wanted in (None, state)), limit))


def is_last(ledger: Ledger, run: RunRecord) -> bool:
    """Whether no run is older."""
    return not ledger.runs(before=run.id, limit=1)


def print_table(found: list[tuple[RunRecord, str]], now_ns: int) -> None:
    """The runs as a table, each error on a line below its run."""
    from surefoot.cli import screen

    console = screen.out()
    is_narrow = console.is_terminal and console.width < _WIDE
    length = _id_length([run.id for run, _ in found]) if is_narrow else 26
    head = (
        "RUN",
        "FLOW",
        "STATUS",
        "AGE" if is_narrow else "STARTED",
        "TIME",
        "STEPS",
        "CALLS",
        "TOKENS",
        "COST",
    )
    rows = [_cells(run, state, now_ns, length, is_narrow=is_narrow) for run, state in found]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    spare = console.width - sum(widths) - 2 * (len(widths) - 1)
    widths[1] = max(widths[1] + min(spare, 0), 8)
    console.print(screen.styled((_line(head, widths), "bold")), soft_wrap=True)
    for (run, state), row in zip(found, rows, strict=True):
        line = screen.styled(_line(row, widths))
        begin = widths[0] + widths[1] + 4
        line.stylize(COLOURS.get(state, ""), begin, begin + widths[2])
        console.print(line, soft_wrap=True)
        _print_trouble(console, run, state)


def _print_trouble(console: Console, run: RunRecord, state: str) -> None:
    from surefoot.cli import screen, words

    if state == "failed" and run.error:
        where = f"in {run.failed_step}: " if run.failed_step else ""
        console.print(screen.styled((f"  {screen.brief(where + run.error, console.width - 3)}", "red")))
    elif state == "cancelled" and (why := words.cancelled(run).removeprefix(":").strip()):
        console.print(screen.styled((f"  {screen.brief(why, console.width - 3)}", "dim")))
    elif state == "abandoned":
        console.print(screen.styled((f"  go on: surefoot resume {run.id}", "yellow")))


def _cells(run: RunRecord, state: str, now_ns: int, length: int, *, is_narrow: bool) -> tuple[str, ...]:
    from surefoot.cli import words

    totals, usage = run.totals, run.totals.usage
    is_over = run.ended_ns is not None
    return (
        run.id[:length],
        run.flow,
        state,
        words.age(run.created_ns, now_ns) if is_narrow else words.clock(run.created_ns),
        words.duration((run.ended_ns or now_ns) - run.created_ns) if is_over or state == "running" else "-",
        # The sums of a run stand in its row once it has ended; `surefoot show` adds up what there is before.
        f"{totals.steps:,}" if is_over else "-",
        f"{totals.calls:,}" if is_over else "-",
        f"{usage.total:,}" if is_over else "-",
        _cost(run) if is_over else "-",
    )


def _cost(run: RunRecord) -> str:
    totals = run.totals
    if totals.is_cost_complete:
        return str(totals.cost)
    return f"{totals.cost}+" if totals.cost.nanos else "?"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    shown = [
        cell if len(cell) <= width else cell[: width - 1] + "…"
        for cell, width in zip(cells, widths, strict=True)
    ]
    left = [cell.ljust(width) for cell, width in zip(shown[:4], widths, strict=False)]
    right = [cell.rjust(width) for cell, width in zip(shown[4:], widths[4:], strict=True)]
    return "  ".join([*left, *right])


def _id_length(ids: list[str]) -> int:
    """How much of the ids it takes to tell them apart."""
    return next(
        (length for length in range(_SHORT, 26) if len({run_id[:length] for run_id in ids}) == len(ids)), 26
    )
