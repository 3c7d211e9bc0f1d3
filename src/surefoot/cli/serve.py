"""`surefoot serve`: flows over HTTP, as durable runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
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
    "surefoot serve --gateway\nsurefoot serve flows/ --ui"
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
@click.option("--processes", type=click.IntRange(1, 64), help="Processes of this server; [serve] processes.")
@click.option("--queue", type=click.IntRange(min=1), help="Runs that may wait for one; [serve] queue.")
@click.option(
    "--gateway",
    "has_gateway",
    is_flag=True,
    help="Ask models for clients of OpenAI and Anthropic, too.",
)
@click.option("--json-logs", is_flag=True, help="Log as JSON on stderr, from INFO up.")
@click.option("--ui", "has_ui", is_flag=True, help="Show the pages too, behind a login, under /ui.")
@click.option(
    "--insecure-local",
    is_flag=True,
    help="Ask nobody who he is; on this machine's own address only.",
)
@click.option("--member", "member_text", hidden=True, help="Which process of a server of several this is.")
@json_option
def command(  # noqa: PLR0917
    paths: tuple[str, ...],
    host: str,
    port: int,
    unix: Path | None,
    workers: int | None,
    processes: int | None,
    queue: int | None,
    has_gateway: bool,  # noqa: FBT001
    json_logs: bool,  # noqa: FBT001
    has_ui: bool,  # noqa: FBT001
    insecure_local: bool,  # noqa: FBT001
    member_text: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Serve the flows of each PATH over HTTP: a FILE.py, a FILE.py:NAME, or a folder; by default this one.

    Each request is a durable run. Ctrl-C or SIGTERM lets the runs under way end for [serve] grace seconds and hands
    the others over; a second one ends it now. What was accepted and not ended goes on when a server begins again.

    --processes share the port, the ledger and what is bounded; one that ends is begun again.

    With --gateway, clients of OpenAI and Anthropic whose base URL is this server ask its models under its tokens;
    without a PATH that is all it does. With --ui, people log in with their tokens and look at what they may see.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.errors import UsageError
    from surefoot.mistakes import counted
    from surefoot.server import Served, serve_flows
    from surefoot.server.crew import Member

    if json_logs:
        screen.log_json()
    else:
        screen.show_warnings()
    loaded = _settings(workers, queue, processes)
    reach = (*(() if unix is None else ("--unix", str(unix))), "--host", host)
    flags = (
        ("--insecure-local",) * insecure_local + ("--gateway",) * has_gateway + ("--json-logs",) * json_logs
    )

    def announce(url: str, flows: Sequence[str], ledger: str) -> None:
        if as_json:
            screen.print_json({"url": url, "flows": [*flows], "ledger": ledger})
            sys.stdout.flush()
            return
        if flows:
            screen.err().print(f"{counted(len(flows), 'flow')} at {url} (Ctrl-C ends it): {', '.join(flows)}")
        if has_gateway:
            screen.err().print(f"Models at {url}/v1 for clients of OpenAI, {url} for those of Anthropic")
        if has_ui:
            screen.err().print(f"Pages at {url}/ui/, where people log in with their tokens")
        if insecure_local:
            screen.err().print("  whoever reaches this address may do everything here (--insecure-local)")

    if has_ui and loaded.config.serve.processes > 1:
        raise UsageError(
            "who is logged in is known to one process alone: serve the pages with --ui from a server of one process, "
            "beside this one"
        )
    if member_text is None and loaded.config.serve.processes > 1:
        return _by_several(loaded, [*reach, *flags, "--", *paths], (host, port, unix), announce)
    member = None if member_text is None else Member.of(member_text)
    app = App(loaded)
    _check_reach(app, host, unix, is_insecure=insecure_local)
    with app.entered():
        served = Served.load(paths or (() if has_gateway else (".",)))
    _check_names(served, has_gateway=has_gateway)

    def ready(url: str) -> None:
        if member is None:
            announce(url, sorted(served), app.ledger.where)
        else:
            member.end_with_keeper()
            member.announce(sorted(served), app.ledger.where)

    try:
        serve_flows(
            *(app, served),
            host=host,
            port=port,
            unix=unix,
            is_open=insecure_local,
            has_gateway=has_gateway,
            has_ui=has_ui,
            announce=ready,
            member=member,
        )
    finally:
        app.close()
    return 0


def _by_several(
    loaded: Loaded,
    arguments: Sequence[str],
    place: tuple[str, int, Path | None],
    announce: Callable[[str, Sequence[str], str], object],
) -> int:
    """Keep the processes of a server, each of which is this command again; the exit code."""
    from surefoot.errors import UsageError
    from surefoot.server.crew import Crew, parts_of
    from surefoot.server.listening import address_of, listening_of_several

    if sys.platform == "win32":
        raise UsageError("several processes do not share a socket on Windows: serve with --processes 1")
    host, port, unix = place
    count = loaded.config.serve.processes
    parts = parts_of(loaded.config, count)
    sockets = listening_of_several(host, port, unix, count)
    url = address_of(sockets[0], host, unix)
    command = [sys.executable, "-m", "surefoot.cli", "serve", "--member"]
    try:
        return Crew(command, arguments, sockets, parts).run(
            lambda said: announce(url, said["flows"], said["ledger"])
        )
    finally:
        for one in sockets:
            one.close()
        if unix is not None:
            unix.unlink(missing_ok=True)


def _settings(workers: int | None, queue: int | None, processes: int | None) -> Loaded:
    """The settings, with those of the command line before them."""
    from surefoot.config import load

    given = {
        "SUREFOOT_SERVE_WORKERS": workers,
        "SUREFOOT_SERVE_QUEUE": queue,
        "SUREFOOT_SERVE_PROCESSES": processes,
    }
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
