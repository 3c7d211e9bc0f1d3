"""`surefoot ui`: runs and datasets in the browser."""

from __future__ import annotations

import sys

import click

from surefoot.cli.options import documented, json_option


@documented(example="surefoot ui --open")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; of this machine only."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="The port; by default the first free one from 8710 on."
)
@click.option("--open", "open_browser", is_flag=True, help="Open the pages in the browser.")
@click.option("--read-only", "is_read_only", is_flag=True, help="Let nobody review datasets on the pages.")
@json_option
def command(
    host: str,
    port: int | None,
    open_browser: bool,  # noqa: FBT001
    is_read_only: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Look at runs in the browser: the list as it grows, and of each run its steps, messages and answers.

    Runs can be read and not changed. Cases of datasets that wait for review can be accepted, corrected and rejected.
    Ctrl-C ends the server.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.server import serve

    app = App.current()

    def announce(url: str) -> None:
        if as_json:
            screen.print_json({"url": url, "ledger": app.ledger.where})
            sys.stdout.flush()
            return
        screen.err().print(f"Runs of {app.settings.root.name} at {url} (Ctrl-C ends it)")

    serve(
        app,
        host=host,
        port=port,
        open_browser=open_browser,
        is_read_only=is_read_only,
        announce=announce,
    )
