"""`surefoot webhooks`: what those who are told of runs were not told, and telling them."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import click

from surefoot.cli.access import asked_here
from surefoot.cli.grouped import below, group
from surefoot.cli.owed import STANDINGS, lost_by_pruning, owed

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.ledger import DeliveryRow
    from surefoot.server.hooks import Courier
    from surefoot.values import Json

_MOST = 1_000


@group("surefoot webhooks list", "surefoot webhooks retry crm")
def command() -> None:
    """Show what those who are told of runs ([webhooks.NAME]) were not told, and tell them.

    `surefoot serve` tells them by itself.
    """


@below(
    command,
    "surefoot webhooks list",
    "surefoot webhooks list crm --json",
    short="Show what waits to be told, and what was given up.",
    name="list",
)
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, _MOST), default=20, show_default=True, metavar="N",
              help="How many of each.")  # fmt: skip
def list_(name: str | None, limit: int, as_json: bool) -> int:  # noqa: FBT001
    """Show the webhooks, or NAME, and of each what waits to be told, what was given up, and what was lost."""
    from surefoot.app import App
    from surefoot.cli import screen, words

    with closing(App.current()) as app:
        names = [name] if name is not None else sorted(app.config.webhooks)
        found = {
            one: [row for standing in STANDINGS for row in owed(app, one, standing, most=limit)]
            for one in [_known(app, one) for one in names]
        }
        lost = {one: lost_by_pruning(app, one) for one in found}
        settings = app.config.webhooks
    if as_json:
        screen.print_json(
            [
                {
                    "webhook": one,
                    "url": settings[one].url.reference,
                    "events": [*settings[one].events],
                    "lost": lost[one],
                    "deliveries": [_json(row) for row in rows],
                }
                for one, rows in found.items()
            ]
        )
        return 0
    for one, rows in found.items():
        said = f"  {settings[one].url.reference}  {', '.join(settings[one].events)}"
        screen.out().print(screen.styled((one, "bold"), (said, "dim")), soft_wrap=True)
        for row in rows:
            _show(row)
        if lost[one]:
            screen.out().print(
                f"  {words.counted(lost[one], 'event')} lost: pruned before it was told of them",
                soft_wrap=True,
            )
        if not rows:
            screen.out().print("  nothing waits, and nothing was given up", soft_wrap=True)
    if not found:
        screen.err().print("  there are no webhooks:  [webhooks.NAME] in surefoot.toml", soft_wrap=True)
    return 0


@below(
    command,
    "surefoot webhooks retry crm",
    "surefoot webhooks retry crm --run 01K7",
    short="Let what has failed be tried from the beginning.",
)
@click.argument("name")
@click.option(
    "--run", "run", metavar="RUN", help="Of this run alone: an id, the beginning of one, or `last`."
)
def retry(name: str, run: str | None, as_json: bool) -> int:  # noqa: FBT001
    """Let what NAME was not told be tried again now: what was given up, and what waits after it has failed.

    It is sent by `surefoot serve`, or by `surefoot webhooks deliver`. The audit tells of it.
    """
    from surefoot.access import LOCAL, permission
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.ledger import deliveries

    with closing(App.current()) as app:
        _known(app, name)
        run_id = None if run is None else app.ledger.run(run).id
        rows = [
            row
            for standing in STANDINGS
            for row in owed(app, name, standing, run_id=run_id, most=_MOST)
            if row.error
        ]
        if rows:
            now = time.time_ns()
            app.access.record(
                LOCAL,
                permission("server:switch"),
                app.access.resource("server", f"webhooks.{name}"),
                *(deliveries.again(row, now_ns=now) for row in rows),
                request_id=asked_here(),
                details={"webhook": name, "retried": len(rows), "run": run_id or ""},
            )
    if as_json:
        screen.print_json({"webhook": name, "retried": len(rows)})
    else:
        screen.out().print(f"{len(rows)} to be tried again", soft_wrap=True)
        if rows:
            screen.err().print(
                "  `surefoot serve` sends them, or:  surefoot webhooks deliver", soft_wrap=True
            )
    return 0


@below(
    command,
    "surefoot webhooks deliver",
    "surefoot webhooks deliver --watch",
    short="Tell of runs without a server.",
)
@click.option("--watch", "is_watching", is_flag=True, help="Go on until Ctrl-C.")
def deliver(is_watching: bool, as_json: bool) -> int:  # noqa: FBT001
    """Tell the webhooks all that is due, once or for as long as it is watched.

    For runs that are made without `surefoot serve`: from a cron job, or beside a program that makes them.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.server.hooks import Courier

    screen.show_warnings()
    with closing(App.current()) as app:
        courier = Courier(app)
        if is_watching:
            _watch(courier)
            return 0
        count = courier.deliver()
        left = sum(len(owed(app, one.name, "waiting", most=_MOST)) for one in courier.webhooks)
    if as_json:
        screen.print_json({"requests": count, "waiting": left})
    else:
        screen.out().print(f"{count} requests; {left} to be told later", soft_wrap=True)
    return 0


def _watch(courier: Courier) -> None:
    courier.start()
    try:
        # Until Ctrl-C.
        while True:
            time.sleep(3600)
    finally:
        courier.close()


def _known(app: App, name: str) -> str:
    """The name of a webhook. Raises `InvalidInput`."""
    from surefoot.server.hooks import known_webhook

    return known_webhook(app.config.webhooks, name)


def _show(row: DeliveryRow) -> None:
    from surefoot.cli import screen, words

    if row.done_ns is not None:
        when = f"given up on {words.clock(row.done_ns)}"
    elif row.error:
        when = f"next try on {words.clock(row.next_ns)}"
    else:
        when = "is being sent" if row.tries else "due"
    tries = f"{row.tries} {'try' if row.tries == 1 else 'tries'}"
    said = f"  {row.event}  {when}, {tries}", "dim"
    error = f"  {row.error}" if row.error else ""
    screen.out().print(screen.styled((f"  {row.run_id}", "bold"), said, (error, "")), soft_wrap=True)


def _json(row: DeliveryRow) -> dict[str, Json]:
    return {
        "run": row.run_id,
        "attempt": row.epoch,
        "event": row.event,
        "standing": row.standing,
        "tries": row.tries,
        "next_ns": None if row.done_ns is not None else row.next_ns,
        "done_ns": row.done_ns,
        "error": row.error,
    }
