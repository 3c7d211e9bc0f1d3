"""`surefoot serve`: flows over HTTP, as durable runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.app import App


@documented(
    example="surefoot serve flows.py --insecure-local\nsurefoot serve flows/ --host 0.0.0.0 --port 8080"
)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8720,
    show_default=True,
    help="The port; 0 for any that is free.",
)
@click.option(
    "--unix",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Listen on a socket file instead.",
)
@click.option("--workers", type=click.IntRange(1, 512), help="Runs of sync flows at a time; [serve] workers.")
@click.option("--queue", type=click.IntRange(min=1), help="Runs that may wait for one; [serve] queue.")
@click.option(
    "--insecure-local",
    is_flag=True,
    help="Ask nobody who he is; on this machine's own address only.",
)
@json_option
def command(
    paths: tuple[str, ...],
    host: str,
    port: int,
    unix: Path | None,
    workers: int | None,
    queue: int | None,
    insecure_local: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Serve the flows of each PATH over HTTP: a FILE.py, a FILE.py:NAME, or a folder; by default this one.

    Each request is a durable run. Ctrl-C or SIGTERM lets the runs under way end for [serve] grace seconds and hands
    the others over; a second one ends it now. What was accepted and not ended goes on when a server begins again.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.server import Served, serve_flows

    screen.show_warnings()
    app = App(_settings(workers, queue))
    _check_reach(app, host, unix, is_insecure=insecure_local)
    with app.entered():
        served = Served.load(paths or (".",))

    def announce(url: str) -> None:
        if as_json:
            screen.print_json({"url": url, "flows": sorted(served), "ledger": app.ledger.where})
            sys.stdout.flush()
            return
        screen.err().print(f"{len(served)} flows at {url} (Ctrl-C ends it): {', '.join(sorted(served))}")
        if insecure_local:
            screen.err().print("  whoever reaches this address may do everything here (--insecure-local)")

    try:
        serve_flows(app, served, host=host, port=port, unix=unix, announce=announce)
    finally:
        app.close()
