"""`surefoot send`: an event for a run that waits for it."""

from __future__ import annotations

import click

from surefoot.cli.options import documented, json_option


@documented(example="surefoot send last approval --value '{\"ok\": true}'")
@click.argument("run")
@click.argument("event")
@click.option(
    "--value", default="null", show_default=True, metavar="JSON", help="What the waiting flow is given."
)
@json_option
def command(run: str, event: str, value: str, as_json: bool) -> int:  # noqa: FBT001
    """Send EVENT to RUN: an id, the beginning of one, or `last`.

    The event is recorded in the run's inbox. The run takes it where it calls wait_for; one that no process has takes
    it when it is resumed.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.errors import InvalidInput
    from surefoot.ledger import decode
    from surefoot.texts import jsontext

    try:
        jsontext.read(value)
    except jsontext.NoJson as error:
        raise InvalidInput(f"--value is no JSON ({error}): a text is written as '\"text\"'") from None
    app = App.current()
    record = app.ledger.run(run)
    try:
        app.send(record.id, event, decode(value))
    finally:
        app.close()
    if as_json:
        screen.print_json({"run": record.id, "event": event})
    else:
        screen.out().print(f"sent {event!r} to run {record.id}", soft_wrap=True, highlight=False)
        if record.status == "failed" or record.owner is None:
            screen.err().print(f"  it takes it when it goes on:  surefoot resume {record.id}", soft_wrap=True)
    return 0
