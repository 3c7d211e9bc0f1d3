"""`surefoot resume`: go on with a run where its record ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.flows import Decision
    from surefoot.ledger import Entry


@documented(example="surefoot resume last\nsurefoot resume 01J9 --step charge --done '{\"id\": 7}'")
@click.argument("run")
@click.option(
    "--accept-divergence", is_flag=True, help="Go on though the code no longer matches what is recorded."
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Seconds from now until the run has to be over, instead of its own deadline.",
)
@click.option(
    "--flow",
    metavar="FLOW",
    help="Where the flow's code is now (FILE.py:NAME or module:NAME), if it has moved.",
)
@click.option(
    "--step", metavar="NAME", help="The step in doubt that is decided: its name, or the beginning of its key."
)
@click.option("--done", metavar="JSON", help="It was done, with this result.")
@click.option("--retry", is_flag=True, help="It was not done: do it now.")
@json_option
def command(  # noqa: PLR0917
    run: str,
    accept_divergence: bool,  # noqa: FBT001
    deadline: float | None,
    flow: str | None,
    step: str | None,
    done: str | None,
    retry: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Go on with RUN: an id, the beginning of one, or `last`.

    Steps and model calls that are recorded are not done again; their outcomes are taken from the ledger (↺).
    For a completed run the recorded output is printed.

    Where nobody knows whether an effect was done, the run waits: find out, then give --step with --done or --retry.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.cli.performing import perform, print_recorded, print_replayed
    from surefoot.flows import Listener, load_reference
    from surefoot.ledger import refuse_pruned

    if (step is None) != (done is None and not retry) or (done is not None and retry):
        raise click.UsageError("a step in doubt is decided by --step NAME with either --done JSON or --retry")
    screen.show_warnings()
    app = App.current()
    record = app.ledger.run(run)
    refuse_pruned(record)
    if step is None and record.status == "completed":
        print_recorded(app, record, as_json=as_json)
        return 0
    target = None if flow is None else load_reference(flow)
    decisions: dict[str, Decision] = {}
    if step is not None:
        decisions[step] = _decision(record.entry if target is None else None, done)

    def action(listener: Listener) -> object:
        return app.resume(
            record.id,
            flow=target,
            accept_divergence=accept_divergence,
            deadline=deadline,
            decisions=decisions,
            listener=listener,
        )

    try:
        return perform(app, action, as_json=as_json, after=print_replayed)
    finally:
        app.close()


def _decision(entry: Entry | None, done: str | None) -> Decision:
    """What was found out. A result may be of the flow's own classes, so that its code at `entry` is loaded first."""
    from surefoot.errors import UsageError
    from surefoot.flows import load
    from surefoot.ledger import decode
    from surefoot.texts import jsontext
    from surefoot.values import Done

    if done is None:
        return "retry"
    try:
        jsontext.read(done)
    except jsontext.NoJson as error:
        raise UsageError(f"--done {done!r} is no JSON ({error}): a text is written as '\"text\"'") from error
    if entry is not None:
        load(entry)
    return Done(decode(done))
