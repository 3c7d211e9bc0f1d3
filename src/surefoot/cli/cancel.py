"""`surefoot cancel`: end a run, whichever process has it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.ledger import RunRecord

_WAIT = 5.0


@documented(example="surefoot cancel last --reason 'the customer has withdrawn'")
@click.argument("run")
@click.option(
    "--reason", default="", metavar="TEXT", help="Why, for the record and whoever looks at the run."
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=_WAIT,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the process that has the run.",
)
@json_option
def command(run: str, reason: str, wait: float, as_json: bool) -> int:  # noqa: FBT001
    """Cancel RUN: an id, the beginning of one, or `last`.

    The process that has the run ends it at its next step, an async flow where it awaits, and its child runs with it.
    A run that no process has is ended here. What its steps declare to undo is undone. A cancelled run is over: it
    cannot be resumed.

    The request is recorded. Where it takes longer than SECONDS, the run ends later all the same.
    """
    from surefoot.app import App
    from surefoot.cli import screen, words
    from surefoot.traces import standing

    screen.show_warnings()
    app = App.current()
    record = app.ledger.run(run)
    was_cancelled = record.status == "cancelled"
    try:
        with _waiting(record) if wait and not as_json else nullcontext():
            record = app.cancel(record.id, reason=reason, wait=wait).record
    finally:
        app.close()
    now_ns = time.time_ns()
    if as_json:
        screen.print_json(words.run_json(record, standing(record, now_ns), now_ns))
    elif record.status == "cancelled":
        said = "was cancelled before" if was_cancelled else "is cancelled"
        screen.out().print(f"run {record.id} {said}{words.cancelled(record)}")
    else:
        screen.out().print(f"run {record.id} is asked to end; {_holder(record)} still has it")
        screen.err().print(f"  it ends at its next step; look at it:  surefoot show {record.id}")
    return 0


def _waiting(record: RunRecord) -> AbstractContextManager[object]:
    """On a terminal, what is waited for."""
    from rich.status import Status

    from surefoot.cli import screen

    console = screen.err()
    if not console.is_terminal:
        return nullcontext()
    return Status(f"waiting for {_holder(record)} to end run {record.id}", console=console)


def _holder(record: RunRecord) -> str:
    owner = record.owner
    return "the process that has it" if owner is None else f"process {owner.pid} on {owner.host}"
