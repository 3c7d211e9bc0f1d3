"""`surefoot fork`: a recorded run once more, from a step on or with something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.cli.progress import Watch


@documented(
    example="surefoot fork last --from answer\n"
    "surefoot fork 01J9 --change prompt:answer@candidate \\\n    --input query='Who pays?'"
)
@click.argument("run")
@click.option(
    "--from",
    "from_step",
    metavar="STEP",
    help="Run anew from this step on: its name, NAME#2 for the second of it, or the beginning of its key.",
)
@click.option(
    "--change",
    "changes",
    multiple=True,
    metavar="CHANGE",
    help="What is different: prompt:NAME@VERSION, model:MODEL=OTHER, step:NAME or input:NAME=VALUE.",
)
@click.option(
    "-i",
    "--input",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input in the place of the recorded one; NAME=@FILE reads its text.",
)
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag that the fork is recorded with."
)
@click.option(
    "--flow",
    metavar="FLOW",
    help="Where the flow's code is now (FILE.py:NAME or module:NAME), if it has moved.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Seconds until the fork has to be over; else what the flow or the settings say.",
)
@click.option(
    "--allow-effects",
    is_flag=True,
    help="Let effects and transactions happen that are not taken from the record.",
)
@json_option
@json_errors
def command(  # noqa: PLR0917
    run: str,
    from_step: str | None,
    changes: tuple[str, ...],
    given: tuple[str, ...],
    tags: tuple[str, ...],
    flow: str | None,
    deadline: float | None,
    allow_effects: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run the flow of RUN (an id, the beginning of one, or `last`) once more, as a new run.

    What is recorded of RUN is taken (↺) up to --from, or where nothing of a --change is in it; it costs nothing. The
    rest is done anew. Effects do not happen: what was recorded of them stands in, where their inputs are the same.
    `surefoot resume` goes on with a fork as with any run.
    """
    from surefoot.app import App
    from surefoot.cli import inputs, screen
    from surefoot.cli.performing import perform, print_replayed
    from surefoot.flows import Change, Listener, load_reference

    screen.show_warnings()
    app = App.current()
    others = inputs.pairs(given, option="--input")
    labels = inputs.pairs(tags, option="--tag")
    target = None if flow is None else load_reference(flow)
    # As inputs of a command line are: read as JSON where they do not fit as text.
    named: list[Change | str] = [*changes, *(Change("input", name, value) for name, value in others.items())]

    def action(listener: Listener) -> object:
        return app.fork(
            *(run, from_step),
            changes=named,
            flow=target,
            tags=labels,
            allow_effects=allow_effects,
            deadline=deadline,
            listener=listener,
        ).output

    def after(watch: Watch) -> None:
        _print_origin(app, watch)
        print_replayed(watch)

    try:
        return perform(app, action, as_json=as_json, after=after)
    finally:
        app.close()


def _print_origin(app: App, watch: Watch) -> None:
    from surefoot.cli import screen, words

    console = screen.err()
    console.print(screen.styled((f"  {words.fork_of(app.ledger.run(watch.run_id))}", "dim")))
