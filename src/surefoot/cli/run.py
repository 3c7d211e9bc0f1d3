"""`surefoot run`: a flow as a durable run."""

from __future__ import annotations

import sys

import click

from surefoot.cli.options import documented, json_option


@documented(
    example="surefoot run workflow.py:SummarizationWorkflow \\\n"
    "    --input query='Who carries the pager?' --input document_id=on-call.md"
)
@click.argument("flow")
@click.option(
    "-i", "--input", "given", multiple=True, metavar="NAME=VALUE", help="An input; NAME=@FILE reads its text."
)
@click.option(
    "--inputs", "file", metavar="FILE.json|-", help="All inputs as a JSON object; --input goes before it."
)
@click.option(
    "--init", multiple=True, metavar="NAME=VALUE", help="A setting for the constructor of a Workflow class."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag that the run is recorded with."
)
@click.option(
    "--key",
    help="Make this the only run of the flow under KEY: once more gives its output, or goes on with it.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Seconds until the run has to be over; else what the flow or the settings say.",
)
@click.option("--session", default="", help="The conversation that the run belongs to.")
@click.option("--tenant", default="", help="The customer that the run is made for.")
@click.option("--principal", default="", help="The person or service that asks for the run.")
@click.option(
    "--strict",
    is_flag=True,
    help="Restore each fresh result at once, and fail its step if it is another value.",
)
@click.option(
    "--estimate",
    is_flag=True,
    help="Run nothing: tell what a run may cost by those that were, as `surefoot estimate` does.",
)
@click.option(
    "--schema",
    is_flag=True,
    help="Run nothing: print what the flow takes, as JSON Schema with its lengths, patterns and bounds.",
)
@json_option
def command(  # noqa: PLR0917
    flow: str,
    given: tuple[str, ...],
    file: str | None,
    init: tuple[str, ...],
    tags: tuple[str, ...],
    key: str | None,
    deadline: float | None,
    session: str,
    tenant: str,
    principal: str,
    strict: bool,  # noqa: FBT001
    estimate: bool,  # noqa: FBT001
    schema: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run FLOW, which is FILE.py:NAME or module:NAME, as a durable run.

    Progress goes to stderr, the answer to stdout. Whatever ends the run, what was done is recorded:
    `surefoot resume` goes on from there.
    """
    from surefoot.app import App
    from surefoot.cli import inputs, screen
    from surefoot.cli.performing import perform, print_replayed
    from surefoot.cli.progress import Watch
    from surefoot.flows import Listener, checked, find_spec
    from surefoot.ledger import RunRecord
    from surefoot.values import RunTags

    if schema:
        return _show_schema(flow)
    if estimate:
        from surefoot.cli.estimate import show

        return show(flow, tenant=tenant, principal=principal, as_json=as_json)
    screen.show_warnings()
    values = {**(inputs.document(file) if file else {}), **inputs.pairs(given, option="--input")}
    settings = inputs.pairs(init, option="--init")
    labels = RunTags(tenant, principal, session, inputs.pairs(tags, option="--tag"))
    app = App.current()
    app.is_strict = app.is_strict or strict
    with app.entered():
        found, spec = find_spec(flow)
        ready = checked(spec, values, is_text=True)

    def action(listener: Listener) -> object:
        return app.run(
            found, ready, init=settings, tags=labels, key=key, deadline=deadline, listener=listener
        )

    def find() -> RunRecord:
        return app.ledger.runs(flow=spec.name, tenant=tenant, run_key=key, limit=1)[0]

    def after(watch: Watch) -> None:
        if watch.is_resumed:
            print_replayed(watch)

    try:
        return perform(app, action, as_json=as_json, after=after, find=find)
    finally:
        sys.stdout.flush()
        app.close()


def _show_schema(flow: str) -> int:
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.flows import find_spec, schema_of

    with App.current().entered():
        _, spec = find_spec(flow)
    screen.print_json(schema_of(spec))
    return 0
