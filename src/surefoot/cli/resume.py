"""`surefoot resume`: go on with a run where its record ends."""

from __future__ import annotations

import time

import click

from surefoot.cli.options import documented, json_option


@documented(example="surefoot resume last")
@click.argument("run")
@click.option(
    "--accept-divergence", is_flag=True, help="Go on though the code no longer matches what is recorded."
)
@json_option
def command(run: str, accept_divergence: bool, as_json: bool) -> int:  # noqa: FBT001
    """Go on with RUN: an id, the beginning of one, or `last`.

    Steps and model calls that are recorded are not done again; their outcomes are taken from the ledger (↺).
    For a completed run the recorded output is printed.
    """
    from surefoot.app import App
    from surefoot.cli import screen, words
    from surefoot.cli.performing import perform, print_replayed
    from surefoot.flows import Listener
    from surefoot.traces import trace

    screen.show_warnings()
    app = App.current()
    record = app.ledger.run(run)
    if record.status == "completed":
        output = trace(app.ledger, record.id).output
        if as_json:
            now_ns = time.time_ns()
            described = words.run_json(record, record.status, now_ns)
            screen.print_json({**described, "output": output, "replayed": [], "performed": []})
        else:
            screen.err().print(f"run {record.id} is completed; this is its recorded output")
            screen.print_output(output, hint=f"surefoot show {record.id[:13]}")
        return 0

    def action(listener: Listener) -> object:
        return app.resume(record.id, accept_divergence=accept_divergence, listener=listener)

    try:
        return perform(app, action, as_json=as_json, after=print_replayed)
    finally:
        app.close()
