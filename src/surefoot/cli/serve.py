"""`surefoot serve`: flows over HTTP, as durable runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.config import Loaded
    from surefoot.server import Served


@documented(
    example="surefoot serve flows.py --insecure-local\nsurefoot serve flows/ --host 0.0.0.0 --port 8080\n"
    "surefoot serve --gateway"
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
    "--gateway",
    "has_gateway",
    is_flag=True,
    help="Ask models for clients of OpenAI and Anthropic, too.",
)
@click.option("--json-logs", is_flag=True, help="Log as JSON on stderr, from INFO up.")
@click.option(
    "--insecure-local",
    is_flag=True,
    help="Ask nobody who he is; on this machine's own address only.",
)
@json_option
def command(  # noqa: PLR0917
    paths: tuple[str, ...],
    host: str,
    port: int,
    unix: Path | None,
    workers: int | None,
    queue: int | None,
    has_gateway: bool,  # noqa: FBT001
    json_logs: bool,  # noqa: FBT001
    insecure_local: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Serve the flows of each PATH over HTTP: a FILE.py, a FILE.py:NAME, or a folder; by default this one.

    Each request is a durable run. Ctrl-C or SIGTERM lets the runs under way end for [serve] grace seconds and hands
    the others over; a second one ends it now. What was accepted and not ended goes on when a server begins again.

    With --gateway, clients of OpenAI and Anthropic whose base URL is this server ask its models under its tokens;
    without a PATH that is all it does.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.server import Served, serve_flows

    if json_logs:
        screen.log_json()
    else:
        screen.show_warnings()
    app = App(_settings(workers, queue))
    _check_reach(app, host, unix, is_insecure=insecure_local)
    with app.entered():
        served = Served.load(paths or (() if has_gateway else (".",)))
    _check_names(served, has_gateway=has_gateway)

    def announce(url: str) -> None:
        if as_json:
            screen.print_json({"url": url, "flows": [*sorted(served)], "ledger": app.ledger.where})
            sys.stdout.flush()
            return
        if served:
            screen.err().print(f"{len(served)} flows at {url} (Ctrl-C ends it): {', '.join(sorted(served))}")
        if has_gateway:
            screen.err().print(f"Models at {url}/v1 for clients of OpenAI, {url} for those of Anthropic")
        if insecure_local:
            screen.err().print("  whoever reaches this address may do everything here (--insecure-local)")

    try:
        serve_flows(
            *(app, served),
            host=host,
            port=port,
            unix=unix,
            is_open=insecure_local,
            has_gateway=has_gateway,
            announce=announce,
        )
    finally:
        app.close()


def _settings(workers: int | None, queue: int | None) -> Loaded:
    """The settings, with those of the command line before them."""
    from surefoot.config import load

    given = {"SUREFOOT_SERVE_WORKERS": workers, "SUREFOOT_SERVE_QUEUE": queue}
    return load(environ={**os.environ, **{name: str(it) for name, it in given.items() if it is not None}})


def _check_names(served: Served, *, has_gateway: bool) -> None:
    """Raise `UsageError` where a flow has the name of the one that calls of the gateway are runs of."""
    from surefoot.errors import UsageError

    if has_gateway and "gateway" in served:
        raise UsageError(
            'calls of the gateway are runs of a flow called "gateway", and a flow that is served has that name: '
            'give it another, as @flow(name="..."), or leave --gateway out'
        )


def _check_reach(app: App, host: str, unix: Path | None, *, is_insecure: bool) -> None:
    """Raise `UsageError` for a server that others could reach and that asks nobody who he is."""
    from surefoot.errors import UsageError
    from surefoot.server import LOOPBACK

    if is_insecure and (unix is not None or host not in LOOPBACK):
        raise UsageError(
            f"--insecure-local lets whoever comes do everything, so it is for {', '.join(LOOPBACK)} alone, and not for "
            f"{unix or host}: make tokens with `surefoot token create`, and leave it out"
        )
    if is_insecure or app.config.oidc.issuer is not None or app.access.tokens.all():
        return
    raise UsageError(
        "nobody could use this server: there are no tokens and no identity provider. "
        "`surefoot access add service:NAME` and `surefoot token create service:NAME` make a token, [oidc] names a "
        "provider; to try it on this machine, add --insecure-local"
    )
